"""Functions that move elements and change none."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from babel_dl.backend.contract import Native, Shape
from babel_dl_tensorflow.constants import integers, scalar
from babel_dl_tensorflow.indexing import getitem, take

raw: Any = tf.raw_ops


class TensorFlowShape(Shape):
    """Reshaping, joining, indexing."""

    def reshape(self, x: Native, shape: tuple[int, ...]) -> Native:
        """`Reshape`."""
        return raw.Reshape(tensor=x, shape=integers(shape))

    def permute_dims(self, x: Native, axes: tuple[int, ...]) -> Native:
        """`Transpose`."""
        return raw.Transpose(x=x, perm=integers(axes))

    def expand_dims(self, x: Native, axis: int) -> Native:
        """`ExpandDims`."""
        return raw.ExpandDims(input=x, axis=integers(axis))

    def squeeze(self, x: Native, axes: tuple[int, ...]) -> Native:
        """`Squeeze`; `x` itself without axes."""
        return raw.Squeeze(input=x, axis=axes) if axes else x  # no axes would mean all of them

    def broadcast_to(self, x: Native, shape: tuple[int, ...]) -> Native:
        """`BroadcastTo`."""
        return raw.BroadcastTo(input=x, shape=integers(shape))

    def concat(self, xs: Sequence[Native], axis: int) -> Native:
        """`ConcatV2`, which wants two at least; one is itself."""
        return raw.ConcatV2(values=list(xs), axis=integers(axis)) if len(xs) > 1 else xs[0]

    def stack(self, xs: Sequence[Native], axis: int) -> Native:
        """`Pack`."""
        return raw.Pack(values=list(xs), axis=axis)

    def split(self, x: Native, sizes: tuple[int, ...], axis: int) -> tuple[Native, ...]:
        """`Split` into equal parts, else `SplitV`."""
        if len(set(sizes)) == 1:
            return tuple(raw.Split(axis=integers(axis), value=x, num_split=len(sizes)))
        return tuple(raw.SplitV(value=x, size_splits=integers(sizes), axis=integers(axis), num_split=len(sizes)))

    def flip(self, x: Native, axes: tuple[int, ...]) -> Native:
        """`ReverseV2`."""
        return raw.ReverseV2(tensor=x, axis=integers(axes))

    def tile(self, x: Native, repetitions: tuple[int, ...]) -> Native:
        """`Tile`; uint16 as int32."""
        if x.dtype is tf.uint16:  # the one type without a kernel
            return raw.Cast(x=self.tile(raw.Cast(x=x, DstT=tf.int32), repetitions), DstT=tf.uint16)
        return raw.Tile(input=x, multiples=integers(repetitions))

    def pad(self, x: Native, widths: tuple[tuple[int, int], ...], value: float) -> Native:
        """`PadV2`; `x` itself without axes."""
        return raw.PadV2(input=x, paddings=integers(widths), constant_values=scalar(value, x.dtype)) if widths else x

    def getitem(self, x: Native, index: tuple[Any, ...]) -> Native:
        """By `StridedSlice`, a gather or a mask. See `indexing.py`."""
        return getitem(x, index)

    def take(self, x: Native, indices: Native, axis: int) -> Native:
        """`GatherV2`, after indices that count from the end are made positive."""
        return take(x, indices, axis)

    def take_along_axis(self, x: Native, indices: Native, axis: int) -> Native:
        """`GatherV2` on the last axis, where another one is moved to; all others are its batch."""
        last = len(x.shape) - 1
        swap = tuple(last if i == axis else axis if i == last else i for i in range(last + 1))
        if axis != last:
            x, indices = self.permute_dims(x, swap), self.permute_dims(indices, swap)
        rows, picked = tuple(x.shape)[:-1], tuple(indices.shape)[:-1]
        if rows != picked:
            common = np.broadcast_shapes(rows, picked)
            x, indices = self.broadcast_to(x, (*common, x.shape[-1])), self.broadcast_to(indices, (*common, indices.shape[-1]))
        found = take(x, indices, last, batch_axes=last)
        return found if axis == last else self.permute_dims(found, swap)
