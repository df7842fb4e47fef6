"""Walks through what a module holds: attributes, lists, tuples and dicts of modules and variables, each found once, named by path.

Native modules are taken in on the way; what is found in their place are modules of ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from babel_dl.core.native.adoption import adopt_natives
from babel_dl.core.native.variable import NativeVariable
from babel_dl.core.variable import Variable

if TYPE_CHECKING:
    from babel_dl.core.module import Module


def members(holder: Any) -> Iterator[tuple[str, Any]]:
    """The modules and variables in the attributes of one object, with their names below it; containers add `/index` or `/key`.

    A module that keeps its variables elsewhere says so by a method `native_members`.
    """
    if hasattr(type(holder), "native_members"):
        yield from holder.native_members()
        return
    adopt_natives(holder)
    for name, value in vars(holder).items():
        yield from _members_of(value, f"/{name}", set())


def _members_of(value: Any, name: str, open_containers: set[int]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Variable) or hasattr(type(value), "is_babel_module"):
        yield name, value
    elif isinstance(value, (list, tuple, dict)) and id(value) not in open_containers:
        inside = open_containers | {id(value)}
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from _members_of(item, f"{name}/{key}", inside)


def walk(root: Module, prefix: str = "") -> Iterator[tuple[str, Module | Variable]]:
    """The module itself and everything below it, depth first in the order of the attributes, each once.

    Args:
        root: Where to begin. Its path is `prefix`; references back to a parent end there.
        prefix: What all paths begin with.
    """
    seen: set[int] = set()
    stack: list[tuple[str, Any]] = [(prefix, root)]
    while stack:
        path, value = stack.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        yield path, value
        if not isinstance(value, Variable):
            stack.extend(reversed([(path + name, member) for name, member in members(value)]))


def name_modules(root: Module) -> None:
    """Tells every module below `root` its path, so that variables made later know theirs; those of native modules are there already."""
    for path, value in walk(root, root.path):
        if not isinstance(value, Variable):
            value.path, value._has_place = path, True
        elif isinstance(value, NativeVariable):
            value.path = path
