"""Functions on tensors, made fast by the backend in force."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from babel_dl.backend import current_backend
from babel_dl.core.logged import collect_logged, log_value
from babel_dl.errors import ArgumentError, did_you_mean
from babel_dl.ops.dispatch import narrow, unwrap, wrap, wrap_natives
from babel_dl.ops.tree import pack, unpack


def compile(fn: Callable[..., Any], mode: str = "auto") -> Callable[..., Any]:
    """The same function, compiled by the backend in force: traced once for each structure, shape and type of its arguments.

    Variables that it reads and writes are found, and stay variables; values that it logs are carried out at every call. Python code in
    it runs while it is traced, and not again: what it prints or appends happens once.

    Args:
        fn: Takes and returns tensors, in any nest of tuples, lists, dicts and dataclasses.
        mode: "auto" for what is fastest as a rule, "off" for none, or a mode of this backend (`backend.compile_modes`).

    Raises:
        ArgumentError: The backend has no such mode.

    Example:
        >>> from babel_dl import ops
        >>> double = compile(lambda x: 2 * x)
        >>> double(ops.asarray([1.0, 2.0])).numpy()
        array([2., 4.], dtype=float32)
    """
    backend = current_backend()
    check_mode(backend, mode)

    def on_natives(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with collect_logged() as logged:
            result = fn(*wrap_natives(unpack(args), backend), **wrap_natives(unpack(kwargs), backend))
        return unwrap(pack(result)), unwrap(logged)

    compiled = backend.compile(on_natives, mode)

    @functools.wraps(fn)
    def run(*args: Any, **kwargs: Any) -> Any:
        result, logged = compiled(narrow(pack(args)), narrow(pack(kwargs)))
        for name, value in logged.items():
            log_value(name, wrap(value, backend))
        return wrap_natives(unpack(result), backend)

    return run


def check_mode(backend: Any, mode: str) -> None:
    """Refuses a mode that the backend does not have.

    Raises:
        ArgumentError: The backend has no such mode.
    """
    modes = ("auto", "off", *backend.compile_modes)
    if mode not in modes:
        raise ArgumentError(f"Backend {backend.name!r} cannot compile with mode {mode!r}.{did_you_mean(mode, modes)}")
