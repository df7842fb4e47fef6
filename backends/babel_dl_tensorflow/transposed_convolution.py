"""Transposed convolutions: TensorFlow's gradient of a convolution for its input."""

from typing import Any

import tensorflow as tf

from babel_dl.backend.contract import Native, Pairs
from babel_dl_tensorflow.constants import integers
from babel_dl_tensorflow.convolution import groups_have_gradients
from babel_dl_tensorflow.windows import Sizes, same_padding

raw: Any = tf.raw_ops


def convolve_transposed(x: Native, kernel: Native, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int) -> Native:
    """See `Neural.convolution_transpose`, without an offset."""
    if len(stride) == 1:
        # The same stride on both axes: an axis of size 1 does not mind, and kernels for different strides are rarer.
        wide, window = raw.ExpandDims(input=x, axis=integers(1)), raw.ExpandDims(input=kernel, axis=integers(0))
        found = convolve_transposed(wide, window, stride * 2, ((0, 0), *padding), (1, *dilation), groups)
        return raw.Squeeze(input=found, axis=(1,))
    if x.shape[0] == 0:  # oneDNN's kernels do not return nothing for an empty batch
        one = tf.concat([x, tf.zeros((1, *x.shape[1:]), x.dtype)], 0)
        return convolve_transposed(one, kernel, stride, padding, dilation, groups)[:0]
    kernel = _spread(kernel, dilation)  # the CPU has no kernel for dilation
    out = kernel.shape[-1]
    if groups == 1 or groups_have_gradients(x.dtype):
        return _transposed(x, _exchanged(kernel, groups), out, stride, padding)
    parts = zip(tf.split(x, groups, -1), tf.split(kernel, groups, -1), strict=True)
    return tf.concat([_transposed(part, _exchanged(k, 1), out // groups, stride, padding) for part, k in parts], -1)


def _transposed(x: Native, kernel: Native, out: int, stride: Sizes, padding: Pairs) -> Native:
    """By the kernel's "SAME" where it cuts off just that, else from the full result.

    Args:
        x: (batch, height, width, in).
        kernel: (*window, out / groups, in).
        out: Number of output channels.
        stride: Distance of the places that neighbours write to.
        padding: What is cut off the full result.
    """
    window, places = tuple(kernel.shape)[:2], tuple(x.shape)[1:3]
    if None not in places:
        sizes = tuple(n * step for n, step in zip(places, stride, strict=True))
        is_same = tuple(padding) == tuple(same_padding(*axis) for axis in zip(sizes, window, stride, strict=True))
        if is_same and all(length >= step for step, length in zip(stride, window, strict=True)):
            return _by_kernel(x, kernel, (*sizes, out), stride, "SAME")
    known = [tf.shape(x)[axis] if n is None else n for axis, n in enumerate(places, 1)]
    full = tuple((n - 1) * step + length for n, step, length in zip(known, stride, window, strict=True))
    found = _by_kernel(x, kernel, (*full, out), stride, "VALID")
    (top, bottom), (left, right) = padding
    if max(top, bottom, left, right) > 0:
        found = found[:, top:-bottom if bottom > 0 else None, left:-right if right > 0 else None]
    if min(bottom, right) < 0:
        found = tf.pad(found, ((0, 0), (0, max(-bottom, 0)), (0, max(-right, 0)), (0, 0)))
    return found


def _by_kernel(x: Native, kernel: Native, sample: tuple[Any, ...], stride: Sizes, word: str) -> Native:
    sizes = (x.shape[0], *sample)
    shape = integers(sizes) if all(isinstance(size, int) for size in sizes) else tf.stack((tf.shape(x)[0], *sample))
    return raw.Conv2DBackpropInput(input_sizes=shape, filter=kernel, out_backprop=x, strides=[1, *stride, 1], padding=word)


def _spread(kernel: Native, dilation: Sizes) -> Native:
    """The window with its gaps filled by zeros."""
    if dilation == (1, 1):
        return kernel
    height, width, part, out = kernel.shape
    (down, right), apart = dilation, raw.Reshape(tensor=kernel, shape=integers((height, 1, width, 1, part * out)))
    filled = tf.pad(apart, ((0, 0), (0, down - 1), (0, 0), (0, right - 1), (0, 0)))
    whole = raw.Reshape(tensor=filled, shape=integers((height * down, width * right, part, out)))
    return whole[:(height - 1) * down + 1, :(width - 1) * right + 1]


def _exchanged(kernel: Native, groups: int) -> Native:
    """The kernel with inputs and outputs of each group exchanged: (*window, in / groups, out) to (*window, out / groups, in)."""
    if groups == 1:
        return raw.Transpose(x=kernel, perm=integers((0, 1, 3, 2)))
    height, width, part, out = kernel.shape
    apart = raw.Reshape(tensor=kernel, shape=integers((height, width, part, groups, out // groups)))
    moved = raw.Transpose(x=apart, perm=integers((0, 1, 4, 3, 2)))
    return raw.Reshape(tensor=moved, shape=integers((height, width, out // groups, groups * part)))
