"""Finds native modules where our modules and trainers keep them, and puts ours in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from babel_dl.backend import native_owner

if TYPE_CHECKING:
    from babel_dl.core.native.module import NativeModule

_wrapped: WeakValueDictionary[int, NativeModule] = WeakValueDictionary()
"""By the id of the native module, which its wrapper keeps alive."""


def as_module(value: Any) -> Any:
    """The value as one of our modules, if it is a native one; itself, if it is anything else.

    The same native module is always the same module of ours; what `to_native` made is the module that it was made of.

    Args:
        value: Anything.
    """
    if native_owner(value) is None:
        return value
    origin = getattr(value, "babel_module", None)
    if origin is not None:
        return origin
    from babel_dl.core.native.module import NativeModule

    known = _wrapped.get(id(value))
    if known is None or known._given is not value:
        known = _wrapped[id(value)] = NativeModule(value)
    return known


def adopt_natives(holder: object) -> None:
    """Puts our modules in the place of native ones in the attributes of an object, and in lists, tuples and dicts there.

    Args:
        holder: A module or a trainer.
    """
    if hasattr(type(holder), "native_members"):  # it stands for a native module itself
        return
    attributes = vars(holder)
    for name, value in list(attributes.items()):
        adopted = _adopted(value, set())
        if adopted is not value and adopted is not holder:
            attributes[name] = adopted


def _adopted(value: Any, open_containers: set[int]) -> Any:
    """The value with all native modules in it adopted. Lists and dicts change in place, for others may hold them, too."""
    if not isinstance(value, (list, tuple, dict)):
        return as_module(value)
    if id(value) in open_containers:
        return value
    inside = open_containers | {id(value)}
    if isinstance(value, tuple):
        items = [_adopted(item, inside) for item in value]
        if all(new is old for new, old in zip(items, value, strict=True)):
            return value
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
        adopted = _adopted(item, inside)
        if adopted is not item:
            value[key] = adopted
    return value
