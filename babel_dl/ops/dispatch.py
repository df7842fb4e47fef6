"""Which backend a call goes to, and the way between handles, natives and host values.

Handles come in, a handle goes out. Where natives come in without any handle, a native goes out (`accepts_natives`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np

from babel_dl.backend import Backend, backend_of, current_backend, on_load
from babel_dl.backend.dtypes import DEFAULT_FLOAT, DEFAULT_INTEGER, check_dtype
from babel_dl.errors import BackendError, DTypeError
from babel_dl.ops import tree
from babel_dl.ops.handle import Handle

if TYPE_CHECKING:
    from babel_dl.ops.tensor import Tensor

P = ParamSpec("P")

_tensor: Any = None


def bind(tensor: type) -> None:
    """Makes the class of results known here; `tensor.py` calls it, because tensors have methods and methods dispatch."""
    global _tensor
    _tensor = tensor
    introduce(tensor)


def introduce(kind: type) -> None:
    """Makes a class of handles known to every backend, for native functions that are called with it."""
    on_load(lambda backend: backend.know_handle(kind, lambda handle: handle.native, lambda native: wrap(native, backend)))


def is_tensor(x: object) -> bool:
    """Whether `x` is one of our handles."""
    return isinstance(x, Handle)


def wrap(native: Any, backend: Backend) -> Tensor:
    """A handle around a native tensor."""
    return _tensor(native, backend)


def unwrap(values: Any) -> Any:
    """The tree with natives in the place of handles."""
    return tree.map_leaves(lambda leaf: leaf.native if isinstance(leaf, Handle) else leaf, values)


def wrap_natives(values: Any, backend: Backend) -> Any:
    """The tree with handles in the place of this backend's natives."""
    return tree.map_leaves(lambda leaf: _tensor(leaf, backend) if backend.is_native(leaf) else leaf, values)


def find_backend(values: Any) -> Backend:
    """The backend that all handles in the tree belong to; the current one if there is none.

    Raises:
        BackendError: Tensors of two backends meet.
    """
    found: Backend | None = None
    for leaf in tree.leaves(values):
        if isinstance(leaf, Handle):
            if found is not None and leaf.backend is not found:
                raise BackendError(mixed_backends(found, leaf.backend))
            found = leaf.backend
    return found or current_backend()


def mixed_backends(first: Backend, second: Backend) -> str:
    """The message when tensors of two backends meet."""
    return (
        f"Tensors of two backends meet: {first.name!r} and {second.name!r}.\n"
        f"  Move one over: ops.asarray(x.numpy()) inside `with babel_dl.use_backend({first.name!r}):`"
    )


def host_dtype(value: Any) -> str:
    """The type a host value gets: that of a numpy array in at most 32 bit, float32 and int32 for Python numbers.

    Raises:
        DTypeError: There is no such type, or whole numbers do not fit into 32 bit.
    """
    host = np.asarray(value)
    kind = host.dtype
    if isinstance(value, (np.ndarray, np.generic)) and kind.name not in ("float64", "int64", "uint64"):
        return check_dtype(kind.name)
    if kind.kind == "f":
        return DEFAULT_FLOAT
    if kind.kind in "iu":
        _check_32_bit(host)
        return DEFAULT_INTEGER
    return check_dtype(kind.name)


def _check_32_bit(host: np.ndarray) -> None:
    if host.dtype.itemsize < 8 or not host.size:
        return
    low, high = int(host.min()), int(host.max())
    if low < -(2**31) or high >= 2**31:
        raise DTypeError(
            f"Whole numbers from {low} to {high} do not fit into int32, the type they get unless you name one.\n"
            f'  Ask for it: ops.asarray(values, dtype="int64")'
        )


def narrow(values: Any) -> Any:
    """The tree with its numpy arrays in at most 32 bit, as `asarray` makes them, and natives in the place of handles.

    Raises:
        DTypeError: Whole numbers do not fit into 32 bit.
    """

    def ready(leaf: Any) -> Any:
        if isinstance(leaf, Handle):
            return leaf.native
        if isinstance(leaf, np.ndarray) and (leaf.dtype.itemsize == 8 or leaf.dtype.kind not in "biufV"):
            return leaf.astype(host_dtype(leaf))
        return leaf

    return tree.map_leaves(ready, values)


def as_tensor(value: Any, backend: Backend | None = None) -> Tensor:
    """A handle for a host value, a native, or a handle (which is returned as it is).

    Raises:
        BackendError: It is a tensor of another backend than the one that is asked for.
    """
    tensor: Any = value
    if not isinstance(value, Handle):
        owner = backend_of(value)
        if owner is None:
            from babel_dl.ops.creation import asarray

            return asarray(value, backend=backend)
        tensor = _tensor(value, owner)
    if backend is not None and tensor.backend is not backend:
        raise BackendError(mixed_backends(backend, tensor.backend))
    return tensor


def check_same_backend(x: Any, *others: Any) -> None:
    """Refuses tensors of two backends; `None` among the others is left out.

    Raises:
        BackendError: They meet.
    """
    for other in others:
        if other is not None and other.backend is not x.backend:
            raise BackendError(mixed_backends(x.backend, other.backend))


def returns_handles(function: Callable[..., Any]) -> Callable[..., Any]:
    """Lets a framework's function, which takes handles and returns natives, return handles."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        return wrap_natives(function(*args, **kwargs), find_backend((args, kwargs)))

    return run


def accepts_natives(function: Callable[P, Any]) -> Callable[P, Any]:
    """Lets a function on handles take natives as well: then it returns natives."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> Any:
        if args and isinstance(args[0], Handle):
            return function(*args, **kwargs)
        owner = None
        for leaf in tree.leaves((args, kwargs)):
            if isinstance(leaf, Handle):
                return function(*args, **kwargs)
            owner = owner or backend_of(leaf)
        if owner is None:
            return function(*args, **kwargs)
        wrapped: Any = wrap_natives((args, kwargs), owner)
        plain: Any = function
        return unwrap(plain(*wrapped[0], **wrapped[1]))

    return run
