"""Sliding windows: one spatial axis made two, padding as TensorFlow words it, dilation by rearranging.

TensorFlow's kernels pad fast only by "SAME" and "VALID" (its "EXPLICIT" takes up to eight times as long on a CPU), and its own CPU kernels
have no gradient of dilated convolutions. So other padding is added before, and a dilated window becomes a plain one: space_to_batch puts
the elements that a window sees side by side, as batches of their own.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from babel_dl.backend.contract import Native, Pairs
from babel_dl_tensorflow.constants import integers, scalar

raw: Any = tf.raw_ops

Sizes = tuple[int, ...]
Kernel = Callable[[Native, Sizes, Sizes, str], Native]
"""A kernel for two spatial axes. It is called with a tensor, a window, a stride, and "SAME" or "VALID"."""


def slide(
    kernel: Kernel, x: Native, window: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes, fill: float = 0.0, knows_same: bool = True
) -> Native:
    """Runs a kernel of two axes, without dilation, as if it knew one axis, all paddings and dilations.

    Args:
        kernel: The kernel.
        x: (batch, *spatial, channels).
        window: Size of the window, gaps not counted.
        stride: Step of the window.
        padding: Before and after each spatial axis.
        dilation: Distance of neighbours in the window.
        fill: What padding adds.
        knows_same: Whether the kernel's "SAME" means the same as adding `fill`.

    Returns:
        (batch, *out, channels).
    """
    if len(window) == 1:
        # The same stride on both axes: depthwise kernels ask for it, and an axis of size 1 does not mind.
        wide = raw.ExpandDims(input=x, axis=integers(1))
        found = slide(kernel, wide, (1, *window), stride * 2, ((0, 0), *padding), (1, *dilation), fill, knows_same)
        return raw.Squeeze(input=found, axis=(1,))
    if x.shape[0] == 0:  # oneDNN's kernels return the input itself for an empty batch
        one = tf.concat([x, tf.zeros((1, *x.shape[1:]), x.dtype)], 0)
        return slide(kernel, one, window, stride, padding, dilation, fill, knows_same)[:0]
    is_plain = all(distance == 1 for distance in dilation)
    word = padding_word(x, window, stride, padding) if is_plain else None
    if word == "VALID" or (word == "SAME" and knows_same):
        return kernel(x, window, stride, word)
    if np.any(padding):
        x = raw.PadV2(input=x, paddings=integers(((0, 0), *padding, (0, 0))), constant_values=scalar(fill, x.dtype))
    return kernel(x, window, stride, "VALID") if is_plain else _dilated(kernel, x, window, stride, dilation)


def padding_word(x: Native, window: Sizes, stride: Sizes, padding: Pairs) -> str | None:
    """TensorFlow's word for the padding: "VALID" for none, "SAME" where it would add just that, else None."""
    if not np.any(padding):
        return "VALID"
    axes = zip(tuple(x.shape)[1:-1], window, stride, padding, strict=True)
    return "SAME" if all(size is not None and pair == same_padding(size, width, step) for size, width, step, pair in axes) else None


def same_padding(size: int, window: int, stride: int) -> tuple[int, int]:
    """What "SAME" adds before and after an axis."""
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def _dilated(kernel: Kernel, x: Native, window: Sizes, stride: Sizes, dilation: Sizes) -> Native:
    sizes: list[Any] = [tf.shape(x)[axis] if x.shape[axis] is None else x.shape[axis] for axis in (1, 2)]
    # What is added to make sizes divisible reaches only results that are cropped again.
    ends = [(0, -size % distance) for size, distance in zip(sizes, dilation, strict=True)]
    spread = raw.SpaceToBatchND(input=x, block_shape=integers(dilation), paddings=ends)
    found = raw.BatchToSpaceND(input=kernel(spread, window, (1, 1), "VALID"), block_shape=integers(dilation), crops=ends)
    return found if stride == (1, 1) else found[:, ::stride[0], ::stride[1]]
