"""One backend function on handles: agree on a type, unwrap, call, wrap; and say what is wrong where shapes do not fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from babel_dl.backend import Backend, backend_of
from babel_dl.backend.dtypes import BOOL, DEFAULT_FLOAT, DEFAULT_INTEGER, check_dtype, is_floating, is_integer, promote, promote_scalar
from babel_dl.errors import ArgumentError, BackendError, DTypeError, ShapeError
from babel_dl.ops.dispatch import as_tensor, mixed_backends, wrap
from babel_dl.ops.handle import Handle

if TYPE_CHECKING:
    from babel_dl.ops.tensor import Axes, Tensor

    TensorOrNumber = Handle | np.ndarray | bool | int | float

_FLOAT_ONLY = frozenset(("divide", "exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tanh", "erf", "mean", "isnan", "isfinite"))
_ARITHMETIC = frozenset(("add", "subtract", "multiply", "divide", "floor_divide", "remainder", "power", "sum", "prod", "negative", "abs"))
_LOGICAL = frozenset(("any", "all", "logical_not"))

_NUMBERS = (bool, int, float)


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
    return wrap(getattr(backend, name)(native), backend)


def align(name: str, x: Any, y: Any) -> tuple[Backend, Any, Any]:
    """The backend and the native operands of a binary function, promoted to one type.

    Raises:
        BackendError: Tensors of two backends meet.
        DTypeError: The types have no common one.
    """
    y_is_number = isinstance(y, _NUMBERS)
    if isinstance(x, _NUMBERS) and not y_is_number:
        return _align_number(name, as_tensor(y), x, swapped=True)
    left = as_tensor(x, y.backend if isinstance(y, Handle) else None)
    if y_is_number:
        return _align_number(name, left, y, swapped=False)
    backend = left.backend
    right = as_tensor(y, backend)
    if right.backend is not backend:
        raise BackendError(mixed_backends(backend, right.backend))
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
        return wrap(getattr(backend, name)(first, second), backend)
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
        if not isinstance(value, (Handle, bool, int, float, np.ndarray, np.generic)) and backend_of(value) is None:
            return NotImplemented
    return binary(name, x, y)


def astype(x: Any, dtype: str) -> Tensor:
    """The values in another type."""
    x = as_tensor(x)
    check_dtype(dtype)
    return wrap(x.native if x.backend.dtype(x.native) == dtype else x.backend.astype(x.native, dtype), x.backend)


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
        return wrap(native, backend)
    if name in ("max", "min", "mean") and math.prod([shape[a] for a in axes if shape[a] is not None]) == 0:
        raise ShapeError(f"ops.{name} over no elements has no value; the shape is {shape}.")
    return wrap(getattr(backend, name)(native, axes, keepdims), backend)


def position(name: str, x: Any, axis: int, keepdims: bool) -> Tensor:
    """One backend function that finds a place along an axis.

    Raises:
        ShapeError: There is no such axis.
    """
    x = as_tensor(x)
    axis = normalize_axis(axis, x.ndim, name)
    return wrap(getattr(x.backend, name)(x.native, axis, keepdims), x.backend)


def check_same_length(name: str, given: int, expected: int, what: str) -> None:
    """Refuses a list of the wrong length.

    Raises:
        ArgumentError: The lengths differ.
    """
    if given != expected:
        raise ArgumentError(f"ops.{name} needs {expected} {what}, and got {given}.")
