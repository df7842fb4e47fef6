"""Tensors from host values and from nothing, on the backend and device in force."""

from __future__ import annotations

from typing import Any

import numpy as np

from babel_dl.backend import Backend, current_backend
from babel_dl.backend.dtypes import DEFAULT_FLOAT, DEFAULT_INTEGER, check_dtype
from babel_dl.ops.dispatch import as_tensor, host_dtype, is_tensor, wrap
from babel_dl.ops.tensor import Tensor, TensorLike


def asarray(value: Any, dtype: str | None = None, backend: Backend | None = None) -> Tensor:
    """A tensor with these values. A tensor comes back as it is, in `dtype`.

    Args:
        value: A tensor, a native tensor, a numpy array, a number, or nested lists of numbers.
        dtype: Element type. `None` keeps that of an array, in at most 32 bit: float64 becomes float32, int64 becomes int32, on every
            backend. Ask for 64 bit by name where you need them.
        backend: Where to make it; `None` for the backend in force.

    Raises:
        DTypeError: There is no such type, or whole numbers do not fit into 32 bit and `dtype` is not given.
    """
    if is_tensor(value) or (backend is None and not isinstance(value, (np.ndarray, list, int, float)) and _is_native(value)):
        tensor = as_tensor(value)
        return tensor if dtype is None else tensor.astype(dtype)
    host = np.asarray(value)
    wanted = check_dtype(dtype) if dtype is not None else host_dtype(value if isinstance(value, (np.ndarray, np.generic)) else host)
    backend = backend or current_backend()
    return wrap(backend.asarray(host, wanted), backend)


def _is_native(value: Any) -> bool:
    from babel_dl.backend import backend_of

    return backend_of(value) is not None


def full(shape: tuple[int, ...] | int, value: bool | int | float, dtype: str | None = None) -> Tensor:
    """A tensor of one value; the type follows the value unless it is given.

    Raises:
        DTypeError: There is no such type, or a whole number does not fit into 32 bit and `dtype` is not given.
    """
    backend = current_backend()
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    return wrap(backend.full(sizes, value, check_dtype(dtype or host_dtype(value))), backend)


def zeros(shape: tuple[int, ...] | int, dtype: str = DEFAULT_FLOAT) -> Tensor:
    """A tensor of zeros."""
    return full(shape, 0, dtype)


def ones(shape: tuple[int, ...] | int, dtype: str = DEFAULT_FLOAT) -> Tensor:
    """A tensor of ones."""
    return full(shape, 1, dtype)


def zeros_like(x: TensorLike, dtype: str | None = None) -> Tensor:
    """Zeros in the shape of `x`, on its backend."""
    return _full_like(x, 0, dtype)


def ones_like(x: TensorLike, dtype: str | None = None) -> Tensor:
    """Ones in the shape of `x`, on its backend."""
    return _full_like(x, 1, dtype)


def _full_like(x: TensorLike, value: int, dtype: str | None) -> Tensor:
    x = as_tensor(x)
    scalar = x.backend.full((), value, check_dtype(dtype or x.dtype))
    return wrap(x.backend.broadcast_to(scalar, x.shape), x.backend)


def arange(start: int, stop: int | None = None, step: int = 1, dtype: str = DEFAULT_INTEGER) -> Tensor:
    """start, start + step, ... below `stop`; one number alone is the stop, as in Python's range."""
    first, last = (0, start) if stop is None else (start, stop)
    backend = current_backend()
    return wrap(backend.arange(first, last, step, check_dtype(dtype)), backend)


def from_dlpack(x: Any) -> Tensor:
    """A tensor over another framework's memory, without a copy where both sit on one device.

    Args:
        x: Anything with `__dlpack__`: a numpy array, a native or babel_dl tensor of any backend.
    """
    backend = current_backend()
    return wrap(backend.from_dlpack(x.native if is_tensor(x) else x), backend)
