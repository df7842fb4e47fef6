"""The way from a call to the backend: find the backend, agree on a type, unwrap, call, wrap.

Handles come in, a handle goes out. Where natives come in without any handle, a native goes out (`accepts_natives`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np

from babel_dl.backend import Backend, backend_of, current_backend, on_load
from babel_dl.backend.dtypes import BOOL, DEFAULT_FLOAT, DEFAULT_INTEGER, check_dtype, is_floating, is_integer, promote, promote_scalar
from babel_dl.errors import ArgumentError, BackendError, DTypeError, ShapeError
from babel_dl.ops import tree

if TYPE_CHECKING:
    from babel_dl.ops.tensor import Axes, Tensor, TensorLike

    TensorOrNumber = TensorLike | np.ndarray | bool | int | float

P = ParamSpec("P")

_FLOAT_ONLY = frozenset(("divide", "exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tanh", "erf", "mean", "isnan", "isfinite"))
_ARITHMETIC = frozenset(("add", "subtract", "multiply", "divide", "floor_divide", "remainder", "power", "sum", "prod", "negative", "abs"))
_LOGICAL = frozenset(("any", "all", "logical_not"))

_NUMBERS = (bool, int, float)

_like: Any = type(None)
_tensor: Any = None


def bind(like: type, tensor: type) -> None:
    """Makes the handle's classes known here; `tensor.py` calls it, because handles have methods and methods dispatch."""
    global _like, _tensor
    _like, _tensor = like, tensor
    introduce(tensor)


def introduce(kind: type) -> None:
    """Makes a class of handles known to every backend, for native functions that are called with it."""
    on_load(lambda backend: backend.know_handle(kind, lambda handle: handle.native, lambda native: wrap(native, backend)))


def is_tensor(x: object) -> bool:
    """Whether `x` is one of our handles."""
    return isinstance(x, _like)


def wrap(native: Any, backend: Backend) -> Tensor:
    """A handle around a native tensor."""
    return _tensor(native, backend)


def unwrap(values: Any) -> Any:
    """The tree with natives in the place of handles."""
    return tree.map_leaves(lambda leaf: leaf.native if isinstance(leaf, _like) else leaf, values)


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
        if isinstance(leaf, _like):
            if found is not None and leaf.backend is not found:
                raise BackendError(_mixed(found, leaf.backend))
            found = leaf.backend
    return found or current_backend()


def _mixed(first: Backend, second: Backend) -> str:
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
        if isinstance(leaf, _like):
            return leaf.native
        if isinstance(leaf, np.ndarray) and leaf.dtype.itemsize == 8:
            return leaf.astype(host_dtype(leaf))
        return leaf

    return tree.map_leaves(ready, values)


def as_tensor(value: Any, backend: Backend | None = None) -> Tensor:
    """A handle for a host value, a native, or a handle (which is returned as it is).

    Raises:
        BackendError: It is a tensor of another backend than the one that is asked for.
    """
    if not isinstance(value, _like):
        owner = backend_of(value)
        if owner is None:
            from babel_dl.ops.creation import asarray

            return asarray(value, backend=backend)
        value = _tensor(value, owner)
    if backend is not None and value.backend is not backend:
        raise BackendError(_mixed(backend, value.backend))
    return value


def check_same_backend(x: Any, *others: Any) -> None:
    """Refuses tensors of two backends; `None` among the others is left out.

    Raises:
        BackendError: They meet.
    """
    for other in others:
        if other is not None and other.backend is not x.backend:
            raise BackendError(_mixed(x.backend, other.backend))


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
        if args and isinstance(args[0], _like):
            return function(*args, **kwargs)
        owner = None
        for leaf in tree.leaves((args, kwargs)):
            if isinstance(leaf, _like):
                return function(*args, **kwargs)
            owner = owner or backend_of(leaf)
        if owner is None:
            return function(*args, **kwargs)
        wrapped: Any = wrap_natives((args, kwargs), owner)
        plain: Any = function
        return unwrap(plain(*wrapped[0], **wrapped[1]))

    return run


def unary(name: str, x: Any) -> Tensor:
    """One backend function of one tensor, with the types it accepts."""
    x = as_tensor(x)
    native, backend = x.native, x.backend
    if name in _FLOAT_ONLY:
        dtype = backend.dtype(native)
        if not is_floating(dtype):
            native = backend.astype(native, DEFAULT_FLOAT)
    elif name in _LOGICAL:
        native = as_bool(native, backend)
    elif name in _ARITHMETIC and backend.dtype(native) == BOOL:
        native = backend.astype(native, DEFAULT_INTEGER)
    return _tensor(getattr(backend, name)(native), backend)


def align(name: str, x: Any, y: Any) -> tuple[Backend, Any, Any]:
    """The backend and the native operands of a binary function, promoted to one type.

    Raises:
        BackendError: Tensors of two backends meet.
        DTypeError: The types have no common one.
    """
    y_is_number = isinstance(y, _NUMBERS)
    if isinstance(x, _NUMBERS) and not y_is_number:
        return _align_number(name, as_tensor(y), x, swapped=True)
    left = as_tensor(x, y.backend if isinstance(y, _like) else None)
    if y_is_number:
        return _align_number(name, left, y, swapped=False)
    backend = left.backend
    right = as_tensor(y, backend)
    if right.backend is not backend:
        raise BackendError(_mixed(backend, right.backend))
    first, second = left.native, right.native
    from_dtype, to_dtype = backend.dtype(first), backend.dtype(second)
    if from_dtype != to_dtype or not is_floating(from_dtype):
        common = _operand_dtype(name, promote(from_dtype, to_dtype))
        first = first if from_dtype == common else backend.astype(first, common)
        second = second if to_dtype == common else backend.astype(second, common)
    return backend, first, second


def _align_number(name: str, x: Any, number: Any, swapped: bool) -> tuple[Backend, Any, Any]:
    backend, native = x.backend, x.native
    dtype = backend.dtype(native)
    common = _operand_dtype(name, promote_scalar(dtype, number))
    if common != dtype:
        native = backend.astype(native, common)
    if isinstance(number, bool) and common != BOOL:
        number = int(number)  # PyTorch subtracts no bool
    if is_integer(common) and isinstance(number, int):
        bits = int(common.lstrip("uint"))
        low, high = (0, 2**bits - 1) if common.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        if not low <= number <= high:
            raise DTypeError(f"{number} does not fit into {common}, the type of the tensor it meets. Cast the tensor with astype first.")
    return (backend, number, native) if swapped else (backend, native, number)


def _operand_dtype(name: str, dtype: str) -> str:
    if name in _FLOAT_ONLY and not is_floating(dtype):
        return DEFAULT_FLOAT
    if name in _ARITHMETIC and dtype == BOOL:
        return DEFAULT_INTEGER
    return dtype


def binary(name: str, x: Any, y: Any) -> Tensor:
    """One backend function of two tensors that broadcast.

    Raises:
        ShapeError: The shapes do not broadcast; both are named.
    """
    backend, first, second = align(name, x, y)
    try:
        return _tensor(getattr(backend, name)(first, second), backend)
    except Exception as error:
        _explain_shapes(name, backend, first, second, error)
        raise


def _explain_shapes(name: str, backend: Backend, first: Any, second: Any, error: Exception) -> None:
    shapes = [backend.shape(v) if backend.is_native(v) else () for v in (first, second)]
    if any(size is None for shape in shapes for size in shape):
        return
    if not _fit(name, *shapes):
        raise ShapeError(
            f"ops.{name} got shapes {shapes[0]} and {shapes[1]}, which do not fit.\n"
            + (
                "  The last axis of the first must equal the second to last axis of the second."
                if name == "matmul"
                else "  Aligned at the last axis, sizes must be equal or 1. Use reshape or expand_dims to line them up."
            )
        ) from error


def _fit(name: str, first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    if name == "matmul":
        if not first or not second or first[-1] != second[-2:][0]:
            return False
        first, second = first[:-2], second[:-2]
    return all(m == n or 1 in (m, n) for m, n in zip(reversed(first), reversed(second), strict=False))


def operator(name: str, x: Any, y: Any) -> Any:
    """A binary function for Python's operators: natives are accepted, strangers are left to the other operand."""
    for value in (x, y):
        if not isinstance(value, (_like, bool, int, float, np.ndarray, np.generic)) and backend_of(value) is None:
            return NotImplemented
    return binary(name, x, y)


def astype(x: Any, dtype: str) -> Tensor:
    """The values in another type."""
    x = as_tensor(x)
    check_dtype(dtype)
    return _tensor(x.native if x.backend.dtype(x.native) == dtype else x.backend.astype(x.native, dtype), x.backend)


def as_bool(native: Any, backend: Backend) -> Any:
    """The native as bool: not zero."""
    return native if backend.dtype(native) == BOOL else backend.not_equal(native, 0)


def normalize_axis(axis: int, ndim: int, name: str) -> int:
    """The axis counted from the front.

    Raises:
        ShapeError: There is no such axis.
    """
    if not -ndim <= axis < ndim:
        allowed = f"Allowed: {-ndim} to {ndim - 1}." if ndim else "It is a single number."
        raise ShapeError(f"ops.{name} was asked for axis {axis} of a tensor with {ndim} axes. {allowed}")
    return axis % ndim


def normalize_axes(axis: Axes | Sequence[int], ndim: int, name: str) -> tuple[int, ...]:
    """The axes counted from the front; all of them for `None`.

    Raises:
        ShapeError: There is no such axis, or one is named twice.
    """
    if axis is None:
        return tuple(range(ndim))
    axes = tuple(normalize_axis(a, ndim, name) for a in ((axis,) if isinstance(axis, (int, np.integer)) else axis))
    if len(set(axes)) != len(axes):
        raise ShapeError(f"ops.{name} got an axis twice: {axis}.")
    return axes


def reduce(name: str, x: Any, axis: Axes, keepdims: bool) -> Tensor:
    """One backend function that joins the elements along axes.

    Raises:
        ShapeError: There is no such axis, or the largest of nothing is asked for.
    """
    x = as_tensor(x)
    native, backend = x.native, x.backend
    dtype = backend.dtype(native)
    if name in _FLOAT_ONLY and not is_floating(dtype):
        native = backend.astype(native, DEFAULT_FLOAT)
    elif name in _ARITHMETIC and dtype == BOOL:
        native = backend.astype(native, DEFAULT_INTEGER)
    elif name in _LOGICAL:
        native = as_bool(native, backend)
    shape = backend.shape(native)
    axes = normalize_axes(axis, len(shape), name)
    if not axes:
        return _tensor(native, backend)
    if name in ("max", "min", "mean") and math.prod(shape[a] for a in axes if shape[a] is not None) == 0:
        raise ShapeError(f"ops.{name} over no elements has no value; the shape is {shape}.")
    return _tensor(getattr(backend, name)(native, axes, keepdims), backend)


def position(name: str, x: Any, axis: int, keepdims: bool) -> Tensor:
    """One backend function that finds a place along an axis.

    Raises:
        ShapeError: There is no such axis.
    """
    x = as_tensor(x)
    axis = normalize_axis(axis, x.ndim, name)
    return _tensor(getattr(x.backend, name)(x.native, axis, keepdims), x.backend)


def check_same_length(name: str, given: int, expected: int, what: str) -> None:
    """Refuses a list of the wrong length.

    Raises:
        ArgumentError: The lengths differ.
    """
    if given != expected:
        raise ArgumentError(f"ops.{name} needs {expected} {what}, and got {given}.")
