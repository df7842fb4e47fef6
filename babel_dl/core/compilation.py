"""Functions on tensors, made fast by the backend in force."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from babel_dl.backend import current_backend
from babel_dl.core import precision
from babel_dl.core.logged import collect_logged, log_value
from babel_dl.core.variable import Variable, watch_variables
from babel_dl.errors import ArgumentError, StateError, did_you_mean
from babel_dl.ops.dispatch import narrow, unwrap, wrap, wrap_natives
from babel_dl.ops.tree import pack, unpack


def compile(fn: Callable[..., Any], mode: str = "auto", state: Iterable[Any] | None = None) -> Callable[..., Any]:
    """The same function, compiled by the backend in force: traced once for each structure, shape and type of its arguments.

    Variables that it reads and writes are found, and stay variables; values that it logs are carried out at every call. Python code in
    it runs while it is traced, and not again: what it prints or appends happens once.

    Args:
        fn: Takes and returns tensors, in any nest of tuples, lists, dicts and dataclasses.
        mode: "auto" for what is fastest as a rule, "off" for none, or a mode of this backend (`backend.compile_modes`).
        state: The modules, variables and optimizers that the function may use; any other variable is refused. None for all that it finds.

    Raises:
        ArgumentError: The backend has no such mode, or `state` holds something that has no variables.
        StateError: At a call: the function uses a variable that is not in `state`; it is named.

    Example:
        >>> from babel_dl import ops
        >>> double = compile(lambda x: 2 * x)
        >>> double(ops.asarray([1.0, 2.0])).numpy()
        array([2., 4.], dtype=float32)
    """
    backend = current_backend()
    check_mode(backend, mode)
    if state is not None:
        fn = _with_declared_state(fn, list(state))

    def on_natives(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with collect_logged() as logged:
            result = fn(*wrap_natives(unpack(args), backend), **wrap_natives(unpack(kwargs), backend))
        return unwrap(pack(result)), unwrap(logged)

    compiled, revision = backend.compile(on_natives, mode), precision.revision

    @functools.wraps(fn)
    def run(*args: Any, **kwargs: Any) -> Any:
        nonlocal compiled, revision
        if revision != precision.revision:  # a module may compute in another type now
            compiled, revision = backend.compile(on_natives, mode), precision.revision
        result, logged = compiled(narrow(pack(args)), narrow(pack(kwargs)))
        for name, value in logged.items():
            log_value(name, wrap(value, backend))
        return wrap_natives(unpack(result), backend)

    return run


def _with_declared_state(fn: Callable[..., Any], state: list[Any]) -> Callable[..., Any]:
    for part in state:
        if not isinstance(part, Variable) and not hasattr(part, "named_variables"):
            raise ArgumentError(f"compile needs modules, variables and optimizers in `state`, and got {part!r}.")

    @functools.wraps(fn)
    def run(*args: Any, **kwargs: Any) -> Any:
        with watch_variables() as used:
            result = fn(*args, **kwargs)
        check_declared(fn, used, state)
        return result

    return run


def check_declared(fn: Callable[..., Any], used: Mapping[int, Variable], state: Iterable[Any]) -> None:
    """Refuses variables that nobody declared.

    Args:
        fn: What used them, for the message.
        used: The variables by id.
        state: Variables, and what has `named_variables`.

    Raises:
        StateError: One of them is not in `state`.
    """
    declared: set[int] = set()
    for part in state:
        declared.update(map(id, [part] if isinstance(part, Variable) else part.named_variables.values()))
    found = strangers(used, declared)
    if found:
        raise StateError(
            f"{getattr(fn, '__qualname__', 'A compiled function')} uses the variable {found}, which is not declared in its state.\n"
            f"  Add its module: compile(fn, state=[..., module]), or leave `state` out to let it be found."
        )


def strangers(used: Mapping[int, Variable], known: Collection[int]) -> str:
    """The paths of variables that are used and not known, for a message; empty if there is none.

    Args:
        used: The variables by id.
        known: Ids.
    """
    paths = [repr(variable.path) for key, variable in used.items() if key not in known]
    return ", ".join(paths[:5]) + (", ..." if len(paths) > 5 else "")


def check_mode(backend: Any, mode: str) -> None:
    """Refuses a mode that the backend does not have.

    Raises:
        ArgumentError: The backend has no such mode.
    """
    modes = ("auto", "off", *backend.compile_modes)
    if mode not in modes:
        raise ArgumentError(f"Backend {backend.name!r} cannot compile with mode {mode!r}.{did_you_mean(mode, modes)}")
