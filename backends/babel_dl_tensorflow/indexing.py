"""`x[index]` by three kernels: a strided slice, a gather, a mask."""

from typing import Any

import tensorflow as tf

from babel_dl.backend.contract import Native
from babel_dl_tensorflow.constants import integers, scalar
from babel_dl_tensorflow.dtypes import INDICES, UNSIGNED

raw: Any = tf.raw_ops

_WHOLE = slice(None)
_TENSORS = (tf.Tensor, tf.Variable)


def getitem(x: Native, index: tuple[Any, ...]) -> Native:
    """What numpy's `x[index]` gives, with at most one tensor in the index."""
    place = next((i for i, item in enumerate(index) if isinstance(item, _TENSORS)), None)
    if place is None:
        return _strided_slice(x, index)
    picker = index[place]
    is_mask = picker.dtype is tf.bool
    width = len(picker.shape) if is_mask else 1
    before, after = index[:place], index[place + 1:]
    if width == 0:  # a mask without axes keeps or drops the whole: numpy makes an axis of it
        x, picker, width = _strided_slice(x, (*before, None, *after)), tf.reshape(picker, (1,)), 1
    else:
        x = _strided_slice(x, (*before, *(_WHOLE,) * width, *after))
    axis = len(x.shape) - width - _num_axes(after) if Ellipsis in before else _num_axes(before)
    found = tf.boolean_mask(x, picker, axis=axis) if is_mask else take(x, picker, axis)
    return _to_front(found, axis, 1 if is_mask else len(picker.shape)) if _is_separated(index, place) else found


def take(x: Native, indices: Native, axis: int, batch_axes: int = 0) -> Native:
    """Slices of `x` at `indices`, which may count from the end; the first `batch_axes` axes of both go together."""
    dtype = indices.dtype
    if dtype not in INDICES:
        indices = raw.Cast(x=indices, DstT=tf.int64 if dtype.size > 2 else tf.int32)
    if dtype not in UNSIGNED:
        size = x.shape[axis]
        size = tf.cast(tf.shape(x)[axis], indices.dtype) if size is None else scalar(size, indices.dtype)
        from_end = raw.AddV2(x=indices, y=size)
        indices = raw.SelectV2(condition=raw.Less(x=indices, y=scalar(0, indices.dtype)), t=from_end, e=indices)
    return raw.GatherV2(params=x, indices=indices, axis=integers(axis), batch_dims=batch_axes)


def _strided_slice(x: Native, index: tuple[Any, ...]) -> Native:
    if all(isinstance(item, slice) and item == _WHOLE for item in index):
        return x
    begin, end, steps = [], [], []
    masks = {"begin_mask": 0, "end_mask": 0, "ellipsis_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 0}
    for position, item in enumerate(index):
        start, stop, step, marks = _bounds(item)
        begin.append(start)
        end.append(stop)
        steps.append(step)
        for mark in marks:
            masks[mark] |= 1 << position
    return raw.StridedSlice(input=x, begin=integers(tuple(begin)), end=integers(tuple(end)), strides=integers(tuple(steps)), **masks)


def _bounds(item: Any) -> tuple[int, int, int, tuple[str, ...]]:
    """Start, stop, step and the masks of one item of an index."""
    if item is None:
        return 0, 0, 1, ("new_axis_mask",)
    if item is Ellipsis:
        return 0, 0, 1, ("ellipsis_mask",)
    if not isinstance(item, slice):
        return item, item + 1, 1, ("shrink_axis_mask",)
    open_ends = (("begin_mask",) if item.start is None else ()) + (("end_mask",) if item.stop is None else ())
    return item.start or 0, item.stop or 0, 1 if item.step is None else item.step, open_ends


def _is_number(item: Any) -> bool:
    return item is not None and item is not Ellipsis and not isinstance(item, slice)


def _num_axes(items: tuple[Any, ...]) -> int:
    """How many axes of the result these items make, an ellipsis not counted."""
    return sum(not _is_number(item) and item is not Ellipsis for item in items)


def _is_separated(index: tuple[Any, ...], place: int) -> bool:
    """Whether something stands between the tensor and a number; numpy then puts the tensor's axes first."""
    numbers = [i for i, item in enumerate(index) if _is_number(item)]
    return numbers[-1] - numbers[0] + 1 != len(numbers) and place in numbers


def _to_front(x: Native, axis: int, count: int) -> Native:
    moved = range(axis, axis + count)
    return raw.Transpose(x=x, perm=integers((*moved, *(i for i in range(len(x.shape)) if i not in moved))))
