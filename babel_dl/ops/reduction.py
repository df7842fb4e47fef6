"""Functions that join many elements into one. `axis` is a number, a tuple or `None` for all axes; integers keep their type in sums."""

from __future__ import annotations

from babel_dl.ops.calls import binary, normalize_axis, position, reduce
from babel_dl.ops.dispatch import accepts_natives, as_tensor, wrap
from babel_dl.ops.elementwise import exp, isfinite, log, square, stop_gradient, where
from babel_dl.ops.tensor import Axes, Tensor, TensorLike

_HALVES = ("float16", "bfloat16")


@accepts_natives
def sum(x: TensorLike, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The sum. Raises `ShapeError` for an axis that does not exist, as all functions here."""
    return reduce("sum", x, axis, keepdims)


@accepts_natives
def mean(x: TensorLike, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The mean; integers become float32."""
    return reduce("mean", x, axis, keepdims)


@accepts_natives
def var(x: TensorLike, axis: Axes = None, keepdims: bool = False, correction: float = 0.0) -> Tensor:
    """The variance: squared distance from the mean, summed, over the count less `correction`; halves in float32."""
    x = as_tensor(x)
    if x.dtype in _HALVES:
        return var(x.astype("float32"), axis, keepdims, correction).astype(x.dtype)
    centred = square(x - mean(x, axis, keepdims=True))
    total = reduce("sum", centred, axis, keepdims)
    count = centred.size // (total.size or 1)
    return total / (count - correction)


@accepts_natives
def prod(x: TensorLike, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The product."""
    return reduce("prod", x, axis, keepdims)


@accepts_natives
def max(x: TensorLike, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The largest; where several are largest they share its gradient."""
    return reduce("max", x, axis, keepdims)


@accepts_natives
def min(x: TensorLike, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The smallest; where several are smallest they share its gradient."""
    return reduce("min", x, axis, keepdims)


@accepts_natives
def any(x: TensorLike, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Whether one element is true (not zero)."""
    return reduce("any", x, axis, keepdims)


@accepts_natives
def all(x: TensorLike, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Whether every element is true (not zero)."""
    return reduce("all", x, axis, keepdims)


@accepts_natives
def argmax(x: TensorLike, axis: int = -1, keepdims: bool = False) -> Tensor:
    """The first position of the largest along one axis, int32."""
    return position("argmax", x, axis, keepdims)


@accepts_natives
def argmin(x: TensorLike, axis: int = -1, keepdims: bool = False) -> Tensor:
    """The first position of the smallest along one axis, int32."""
    return position("argmin", x, axis, keepdims)


@accepts_natives
def cumulative_sum(x: TensorLike, axis: int = -1) -> Tensor:
    """Sums up to and including each element."""
    x = as_tensor(x)
    return wrap(x.backend.cumulative_sum(x.native, normalize_axis(axis, x.ndim, "cumulative_sum")), x.backend)


@accepts_natives
def argsort(x: TensorLike, axis: int = -1, descending: bool = False) -> Tensor:
    """Positions in sorted order, int32; equal elements keep their order."""
    x = as_tensor(x)
    return wrap(x.backend.argsort(x.native, normalize_axis(axis, x.ndim, "argsort"), descending), x.backend)


@accepts_natives
def logsumexp(x: TensorLike, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))), without overflow; halves in float32."""
    x = as_tensor(x)
    if x.dtype in _HALVES:
        return logsumexp(x.astype("float32"), axis, keepdims).astype(x.dtype)
    top = reduce("max", x, axis, keepdims=True)
    top = where(isfinite(top), stop_gradient(top), 0.0)  # inf - inf would be NaN
    total = log(reduce("sum", exp(x - top), axis, keepdims))
    return total + top.reshape(total.shape)


@accepts_natives
def matmul(x: TensorLike, y: TensorLike) -> Tensor:
    """The matrix product of the last two axes, as Python's `@`.

    Raises:
        ShapeError: The inner sizes differ.
    """
    return binary("matmul", x, y)
