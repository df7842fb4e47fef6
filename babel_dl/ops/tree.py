"""Nested values: tuples, named tuples, lists, dicts and dataclasses with leaves in them."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple


def map_leaves(function: Callable[[Any], Any], tree: Any) -> Any:
    """The same nest with `function(leaf)` in the place of every leaf. `None` is a leaf."""
    if isinstance(tree, tuple):
        mapped = [map_leaves(function, value) for value in tree]
        return type(tree)(*mapped) if hasattr(tree, "_fields") else tuple(mapped)
    if isinstance(tree, list):
        return [map_leaves(function, value) for value in tree]
    if isinstance(tree, dict):
        return {key: map_leaves(function, value) for key, value in tree.items()}
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        values = {f.name: map_leaves(function, getattr(tree, f.name)) for f in dataclasses.fields(tree) if f.init}
        return dataclasses.replace(tree, **values)
    return function(tree)


def leaves(tree: Any) -> Iterator[Any]:
    """Every leaf, in order."""
    if isinstance(tree, (tuple, list)):
        for value in tree:
            yield from leaves(value)
    elif isinstance(tree, dict):
        for value in tree.values():
            yield from leaves(value)
    elif dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        for field in dataclasses.fields(tree):
            yield from leaves(getattr(tree, field.name))
    else:
        yield tree


def named_leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf with its place, such as `input.image` or `layers[0]`."""
    fields = getattr(tree, "_fields", None)
    if isinstance(tree, tuple) and fields is not None:
        for name, value in zip(fields, tree, strict=True):
            yield from named_leaves(value, f"{prefix}.{name}" if prefix else name)
    elif isinstance(tree, (tuple, list)):
        for index, value in enumerate(tree):
            yield from named_leaves(value, f"{prefix}[{index}]")
    elif isinstance(tree, dict):
        for name, value in tree.items():
            yield from named_leaves(value, f"{prefix}.{name}" if prefix else str(name))
    elif dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        for field in dataclasses.fields(tree):
            yield from named_leaves(getattr(tree, field.name), f"{prefix}.{field.name}" if prefix else field.name)
    else:
        yield prefix, tree


class Packed(NamedTuple):
    """A dataclass taken apart, for those who know tuples, lists and dicts alone."""

    kind: type
    values: dict[str, Any]


def pack(tree: Any) -> Any:
    """The same nest with `Packed` in the place of every dataclass."""

    def apart(value: Any) -> Packed:
        return Packed(type(value), {f.name: pack(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init})

    return _replace(tree, lambda value: dataclasses.is_dataclass(value) and not isinstance(value, type), apart)


def unpack(tree: Any) -> Any:
    """The same nest with the dataclasses put together again."""
    return _replace(tree, lambda value: isinstance(value, Packed), lambda packed: packed.kind(**unpack(packed.values)))


def _replace(tree: Any, is_wanted: Callable[[Any], bool], change: Callable[[Any], Any]) -> Any:
    if is_wanted(tree):
        return change(tree)
    if isinstance(tree, tuple):
        replaced = [_replace(value, is_wanted, change) for value in tree]
        return type(tree)(*replaced) if hasattr(tree, "_fields") else tuple(replaced)
    if isinstance(tree, list):
        return [_replace(value, is_wanted, change) for value in tree]
    if isinstance(tree, dict):
        return {key: _replace(value, is_wanted, change) for key, value in tree.items()}
    return tree
