"""What a trainer holds: parts in its attributes, and in lists, tuples and dicts of them, each found once."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, TypeVar

Part = TypeVar("Part")


def held_parts(holder: object, kind: type[Part], leave_out: Collection[str]) -> dict[str, Part]:
    """The parts of a class by name: `model`, `critics/0`, `optimizers/generator`.

    Args:
        holder: Whose attributes are searched.
        kind: The class.
        leave_out: Attributes that are not searched.
    """
    found: dict[str, Part] = {}
    seen: set[int] = set()
    for name, value in vars(holder).items():
        if name not in leave_out:
            for path, part in _inside(name, value):
                if isinstance(part, kind) and id(part) not in seen:
                    seen.add(id(part))
                    found[path] = part
    return found


def _inside(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, (list, tuple, dict)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _inside(f"{path}/{key}", item)
    else:
        yield path, value
