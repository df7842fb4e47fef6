"""Whose module an object is. Told by the names of its classes, so that no framework is imported to ask."""

from __future__ import annotations

from functools import lru_cache

from babel_dl.backend.discovery import find_plugin, list_backends
from babel_dl.errors import BackendError


def native_owner(value: object) -> str | None:
    """The backend whose framework `value` is a module of (a layer, a model); None for anything else, tensors and classes too.

    Args:
        value: Anything.

    Example:
        >>> native_owner(3.0) is None
        True
    """
    return _owner_of(type(value))


def is_native_module(value: object) -> bool:
    """Whether `value` is a module of some framework that has a plug-in, loaded or not."""
    return _owner_of(type(value)) is not None


@lru_cache(maxsize=4096)
def _owner_of(kind: type) -> str | None:
    names = {f"{base.__module__.partition('.')[0]}.{base.__qualname__}" for base in kind.__mro__}
    return next((name for name, classes in _module_classes().items() if names & classes), None)


@lru_cache(maxsize=1)
def _module_classes() -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for name in list_backends():
        try:
            found[name] = frozenset(find_plugin(name).module_classes)
        except (BackendError, ImportError):  # a broken card is reported to whoever chooses that backend
            continue
    return found
