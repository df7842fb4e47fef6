"""Functions that join many elements into one."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import tensorflow as tf

from babel_dl.backend.contract import Native, Reduction
from babel_dl_tensorflow.constants import integers
from babel_dl_tensorflow.dtypes import NARROW_FLOATS
from babel_dl_tensorflow.narrow import in_float32

raw: Any = tf.raw_ops

_WIDER = {
    **dict.fromkeys((tf.bool, tf.int8, tf.int16, tf.uint8, tf.uint16), tf.int32),
    **dict.fromkeys((tf.uint32, tf.uint64), tf.int64),
}
"""Types without a kernel for matrix products, and where their products are formed; they wrap around alike."""

_LONG = 2048
"""Rows from which a sum over leading axes is taken in two stages. TensorFlow adds row by row: 50,000 times 1.1 is 4e-4 off."""


class TensorFlowReduction(Reduction):
    """Sums, extremes, positions and products of matrices."""

    def sum(self, x: Native, axes: tuple[int, ...], keepdims: bool) -> Native:
        """`Sum`; over many rows in two stages."""
        return _fold(raw.Sum, x, axes, keepdims)

    def mean(self, x: Native, axes: tuple[int, ...], keepdims: bool) -> Native:
        """`Mean`; over many rows in two stages."""
        return _fold(raw.Mean, x, axes, keepdims)

    def prod(self, x: Native, axes: tuple[int, ...], keepdims: bool) -> Native:
        """`Prod`; narrow floats in float32."""
        if x.dtype in NARROW_FLOATS:
            return in_float32(self.prod, x, axes, keepdims)
        return raw.Prod(input=x, axis=integers(axes), keep_dims=keepdims)

    def max(self, x: Native, axes: tuple[int, ...], keepdims: bool) -> Native:
        """`Max`; on bool `Any`."""
        kernel = raw.Any if x.dtype is tf.bool else raw.Max
        return kernel(input=x, axis=integers(axes), keep_dims=keepdims)

    def min(self, x: Native, axes: tuple[int, ...], keepdims: bool) -> Native:
        """`Min`; on bool `All`."""
        kernel = raw.All if x.dtype is tf.bool else raw.Min
        return kernel(input=x, axis=integers(axes), keep_dims=keepdims)

    def any(self, x: Native, axes: tuple[int, ...], keepdims: bool) -> Native:
        """`Any`."""
        return raw.Any(input=x, axis=integers(axes), keep_dims=keepdims)

    def all(self, x: Native, axes: tuple[int, ...], keepdims: bool) -> Native:
        """`All`."""
        return raw.All(input=x, axis=integers(axes), keep_dims=keepdims)

    def argmax(self, x: Native, axis: int, keepdims: bool) -> Native:
        """`ArgMax`, told to answer in int32."""
        found = raw.ArgMax(input=x, dimension=integers(axis), output_type=tf.int32)
        return raw.ExpandDims(input=found, axis=integers(axis)) if keepdims else found

    def argmin(self, x: Native, axis: int, keepdims: bool) -> Native:
        """`ArgMin`, told to answer in int32."""
        found = raw.ArgMin(input=x, dimension=integers(axis), output_type=tf.int32)
        return raw.ExpandDims(input=found, axis=integers(axis)) if keepdims else found

    def cumulative_sum(self, x: Native, axis: int) -> Native:
        """`Cumsum`; narrow floats in float32."""
        if x.dtype in NARROW_FLOATS:
            return in_float32(self.cumulative_sum, x, axis)
        return raw.Cumsum(x=x, axis=integers(axis))

    def argsort(self, x: Native, axis: int, descending: bool) -> Native:
        """`TopKV2` of all elements of the last axis, where another one is moved to; upwards by the opposite values."""
        if x.dtype is tf.bool:
            x = raw.Cast(x=x, DstT=tf.uint8)
        if not descending:  # inverted bits turn the order around, and have no number that does not fit
            x = raw.Neg(x=x) if x.dtype.is_floating else raw.Invert(x=x)
        last = len(x.shape) - 1
        swap = integers(tuple(last if i == axis else axis if i == last else i for i in range(last + 1)))
        if axis != last:
            x = raw.Transpose(x=x, perm=swap)
        size = tf.shape(x)[-1] if x.shape[-1] is None else integers(x.shape[-1])
        found = raw.TopKV2(input=x, k=size).indices  # of equal elements the first comes first
        return found if axis == last else raw.Transpose(x=found, perm=swap)

    def matmul(self, x: Native, y: Native) -> Native:
        """`MatMul`, or `BatchMatMulV2` where both have a batch; small and unsigned integers in a wider type."""
        return multiply_matrices(x, y)


def _fold(kernel: Callable[..., Native], x: Native, axes: tuple[int, ...], keepdims: bool) -> Native:
    """A sum or a mean; over long leading axes that of blocks first, which is as fast, and exact. Narrow floats in float32."""
    if x.dtype in NARROW_FLOATS:
        return in_float32(lambda wide: _fold(kernel, wide, axes, keepdims), x)
    sizes = tuple(x.shape)
    block = _block(sizes, axes) if axes[0] == 0 and axes[-1] == len(axes) - 1 < len(sizes) - 1 else 1
    if block == 1 or not x.dtype.is_floating:
        return kernel(input=x, axis=integers(axes), keep_dims=keepdims)
    rest = sizes[len(axes):]
    blocks = raw.Reshape(tensor=x, shape=integers((math.prod(sizes[:len(axes)]) // block, block, *rest)))
    found = kernel(input=kernel(input=blocks, axis=integers(1), keep_dims=False), axis=integers(0), keep_dims=False)
    return raw.Reshape(tensor=found, shape=integers((1,) * len(axes) + rest)) if keepdims else found


@lru_cache(maxsize=1024)
def _block(sizes: tuple[int | None, ...], axes: tuple[int, ...]) -> int:
    """How many rows to add up at first: the largest divisor of their number up to its square root, 1 for few rows."""
    known = [size for size in sizes if size is not None]
    count = math.prod(known[:len(axes)])
    if len(known) < len(sizes) or count < _LONG:
        return 1
    return next(divisor for divisor in range(math.isqrt(count), 0, -1) if count % divisor == 0)


def multiply_matrices(x: Native, y: Native) -> Native:
    """The matrix product of the last two axes, as numpy's `@`."""
    dtype, left, right = x.dtype, len(x.shape), len(y.shape)
    if dtype in _WIDER:
        wide = multiply_matrices(raw.Cast(x=x, DstT=_WIDER[dtype]), raw.Cast(x=y, DstT=_WIDER[dtype]))
        return raw.Cast(x=wide, DstT=dtype)
    if left == 2 and right == 2:
        return raw.MatMul(a=x, b=y)
    if left == 1:
        x = raw.ExpandDims(input=x, axis=integers(0))
    if right == 1:
        y = raw.ExpandDims(input=y, axis=integers(1))
    found = _rows_by_matrix(x, y) if right <= 2 else raw.BatchMatMulV2(x=x, y=y)
    dropped = ((-2,) if left == 1 else ()) + ((-1,) if right == 1 else ())
    return raw.Squeeze(input=found, axis=dropped) if dropped else found


def _rows_by_matrix(x: Native, y: Native) -> Native:
    """All rows of a batch by one matrix, in one product: faster than a product for each item of the batch."""
    sizes = tuple(x.shape)
    if len(sizes) == 2:
        return raw.MatMul(a=x, b=y)
    if None in sizes:
        return raw.BatchMatMulV2(x=x, y=y)
    rows = raw.Reshape(tensor=x, shape=integers((math.prod(sizes[:-1]), sizes[-1])))
    return raw.Reshape(tensor=raw.MatMul(a=rows, b=y), shape=integers((*sizes[:-1], y.shape[-1])))
