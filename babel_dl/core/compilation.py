"""Functions on tensors, made fast by the backend in force."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from babel_dl.backend import current_backend
from babel_dl.errors import ArgumentError, did_you_mean
from babel_dl.ops.dispatch import narrow, unwrap, wrap_natives


def compile(fn: Callable[..., Any], mode: str = "auto") -> Callable[..., Any]:
    """The same function, compiled by the backend in force: traced once for each structure, shape and type of its arguments.

    Variables that it reads and writes are found, and stay variables. Python code in it runs while it is traced, and not again: what
    it prints or appends happens once.

    Args:
        fn: Takes and returns tensors, in any nest of tuples, lists and dicts.
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
        return unwrap(fn(*wrap_natives(args, backend), **wrap_natives(kwargs, backend)))

    compiled = backend.compile(on_natives, mode)

    @functools.wraps(fn)
    def run(*args: Any, **kwargs: Any) -> Any:
        return wrap_natives(compiled(narrow(args), narrow(kwargs)), backend)

    return run


def check_mode(backend: Any, mode: str) -> None:
    """Refuses a mode that the backend does not have.

    Raises:
        ArgumentError: The backend has no such mode.
    """
    modes = ("auto", "off", *backend.compile_modes)
    if mode not in modes:
        raise ArgumentError(f"Backend {backend.name!r} cannot compile with mode {mode!r}.{did_you_mean(mode, modes)}")
