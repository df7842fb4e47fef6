"""What lies below a module, kept from one question to the next: walking through a network costs more than asking it for one answer."""

from __future__ import annotations

from operator import is_
from typing import TYPE_CHECKING, Any

from babel_dl.core.structure import walk
from babel_dl.core.variable import Variable

if TYPE_CHECKING:
    from babel_dl.core.module import Module

_PLACE = "_inventory"


class Inventory:
    """The modules and variables below a module, by path.

    It is current as long as every attribute, and every item of a list, tuple or dict in one, is the object that it was.

    Args:
        root: The module.

    Attributes:
        modules: By path; the module itself is the first.
        variables: By path.
    """

    __slots__ = ("_held", "_is_kept", "modules", "variables")

    def __init__(self, root: Module) -> None:
        found = list(walk(root))
        self.modules: dict[str, Module] = {path: part for path, part in found if not isinstance(part, Variable)}
        self.variables: dict[str, Variable] = {path: part for path, part in found if isinstance(part, Variable)}
        # Modules that keep their variables elsewhere are asked each time.
        self._is_kept = not any(hasattr(type(module), "native_members") for module in self.modules.values())
        vars(root)[_PLACE] = self  # before the attributes are noted, for it is one of them
        self._held: list[tuple[Any, list[Any]]] = []
        self._note([vars(module) for module in self.modules.values()])

    def _note(self, waiting: list[Any]) -> None:
        """Notes what containers hold, and the containers in these."""
        seen: set[int] = set()
        while waiting:
            container = waiting.pop()
            if id(container) in seen:
                continue
            seen.add(id(container))
            values = list(container.values()) if isinstance(container, dict) else list(container)
            self._held.append((container, values))
            waiting.extend(value for value in values if isinstance(value, (list, tuple, dict)) and value)

    @property
    def is_current(self) -> bool:
        """Whether nothing was assigned, appended or taken away since."""
        if not self._is_kept:
            return False
        for container, values in self._held:
            now = container.values() if isinstance(container, dict) else container
            if len(now) != len(values) or not all(map(is_, now, values)):
                return False
        return True

    def __reduce__(self) -> tuple[Any, ...]:
        """Nothing: copies of a module, in this process or another, look for themselves."""
        return type(None), ()


def inventory(root: Module) -> Inventory:
    """What lies below a module now.

    Args:
        root: The module.
    """
    known = vars(root).get(_PLACE)
    return known if known is not None and known.is_current else Inventory(root)
