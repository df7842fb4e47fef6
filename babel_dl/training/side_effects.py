"""Finds what a step does in Python beside its result: a compiled step would do it once, while it is traced, and never again.

The first run of a step is watched, on every backend alike, also where nothing is compiled: what is written for one runs on all.
"""

from __future__ import annotations

import ast
import inspect
import random
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np

from babel_dl.errors import SideEffectError

_Place = tuple[str, str]
"""Whose: "self" or the class of a module with its path; and the name there."""


@contextmanager
def watched(step: Callable[..., Any], holders: dict[str, Any]) -> Iterator[None]:
    """Refuses a block that changes Python state behind the back of a compiler.

    Args:
        step: The function that runs in the block; its source is searched for the line, its closure and globals are watched.
        holders: The objects whose attributes are watched, by the name for messages.

    Raises:
        SideEffectError: An attribute, a list, dict or set changed, or numbers were drawn from a global generator; the line is named.
    """
    before, generators = _snapshot(step, holders), _generators()
    yield
    for place, value in _snapshot(step, holders).items():
        if place not in before or _differs(before[place], value):
            raise SideEffectError(_changed(step, place))
    for name, state in _generators().items():
        line = _line_of(step, partial(_names, name=name.rpartition(".")[2])) if state != generators[name] else ""
        if line:  # else somebody else drew: a loader's thread may, at the same time
            raise SideEffectError(_drew(step, name, line))


def _snapshot(step: Callable[..., Any], holders: dict[str, Any]) -> dict[_Place, Any]:
    found: dict[_Place, Any] = {}
    for owner, holder in holders.items():
        for name, value in vars(holder).items():
            if not name.startswith("_") and name != "training":  # a step may switch a module, and does so in each trace
                found[owner, name] = _content(value)
    for name, value in _reached(step).items():
        if isinstance(value, (list, dict, set)):
            found["", name] = _content(value)
    return found


def _content(value: Any) -> Any:
    """What to compare: the items of a container by identity, other objects as they are."""
    if isinstance(value, dict):
        return [(key, id(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return [id(item) for item in value]
    return {id(item) for item in value} if isinstance(value, set) else value


def _differs(before: Any, after: Any) -> bool:
    if before is after:
        return False
    plain = (int, float, str, bool, bytes, list, set, type(None))
    return not (isinstance(before, plain) and isinstance(after, plain) and type(before) is type(after) and before == after)


def _reached(step: Callable[..., Any]) -> dict[str, Any]:
    """The globals and the closure that a function and those defined in it use, by name."""
    function = step.__func__ if isinstance(step, MethodType) else step
    if not isinstance(function, FunctionType):
        return {}
    names = {name for code in _codes(function.__code__) for name in code.co_names}
    found = {name: function.__globals__[name] for name in names if name in function.__globals__}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # assigned later
            continue
    return found


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _generators() -> dict[str, Any]:
    kind, keys, place, *rest = np.random.get_state(legacy=True)
    return {"numpy.random": (kind, hash(keys.tobytes()), place, *rest), "random": random.getstate()}  # type: ignore[union-attr]


def _changed(step: Callable[..., Any], place: _Place) -> str:
    owner, name = place
    what = f"{owner}.{name}" if owner else name
    return (
        f"{_title(step)} changes {what}{_line_of(step, lambda node: _touches(node, name))}. A compiled step runs its Python code once, "
        f"while it is traced, so this would happen once and not at every step.\n"
        f"  To remember a number: keep a Variable in an attribute and assign to it, or return it by name. To do something in Python after "
        f'each step: write a callback with on_step_end. To run without compilation: compile="off".'
    )


def _drew(step: Callable[..., Any], module: str, line: str) -> str:
    return (
        f"{_title(step)} draws from the global generator of {module}{line}. A compiled step would draw once, while it is traced, and use "
        f"the same numbers at every step.\n"
        f"  Use the trainer's stream: self.random.uniform(shape), self.random.normal(shape); or a RandomStream in an attribute of a module."
    )


def _title(step: Callable[..., Any]) -> str:
    return getattr(step, "__qualname__", type(step).__name__)


def _line_of(step: Callable[..., Any], fits: Callable[[ast.AST], bool]) -> str:
    """` (file.py, line 12: the code)` for the first statement of the step's class, or of the function, that fits; else nothing."""
    owner: Any = type(step.__self__) if isinstance(step, MethodType) else step
    try:
        lines, first = inspect.getsourcelines(owner)
        tree = ast.parse(textwrap.dedent("".join(lines)))
        file = inspect.getsourcefile(owner) or "?"
    except (OSError, TypeError, SyntaxError):  # typed at a prompt, or made at run time
        return ""
    for node in ast.walk(tree):
        inside = isinstance(node, ast.FunctionDef) and node.name != "__init__"
        found = next((inner for inner in ast.walk(node) if fits(inner)), None) if inside else None
        if found is not None:
            number = found.lineno  # type: ignore[attr-defined]
            return f" ({file.rpartition('/')[2]}, line {first + number - 1}: {lines[number - 1].strip()})"
    return ""


def _touches(node: ast.AST, name: str) -> bool:
    """Whether a statement assigns to something of this name, or calls a method of it that changes it."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, (ast.AugAssign, ast.AnnAssign)) else []
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        changing = ("append", "extend", "add", "update", "insert", "pop", "setdefault", "clear", "remove", "discard", "popitem")
        targets = [node.func.value] if node.func.attr in changing else []
    return any(_names(inner, name) for target in targets for inner in [target, getattr(target, "value", target)])


def _names(node: ast.AST, name: str) -> bool:
    return (isinstance(node, ast.Attribute) and node.attr == name) or (isinstance(node, ast.Name) and node.id == name)
