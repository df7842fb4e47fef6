"""Convolutions, and how groups are computed where TensorFlow has no kernel with a gradient for them."""

from functools import lru_cache
from typing import Any

import tensorflow as tf

from babel_dl.backend.contract import Native, Pairs
from babel_dl_tensorflow.constants import integers
from babel_dl_tensorflow.windows import Sizes, slide

raw: Any = tf.raw_ops


def convolve(x: Native, kernel: Native, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int) -> Native:
    """Cross-correlation of one or two spatial axes, without an offset."""
    window = tuple(kernel.shape)[:-2]
    if len(window) == 1:
        kernel = raw.ExpandDims(input=kernel, axis=integers(0))

    def correlate(x: Native, window: Sizes, stride: Sizes, word: str) -> Native:
        return _correlate(x, kernel, [1, *stride, 1], word, groups)

    return slide(correlate, x, window, stride, padding, dilation)


def _correlate(x: Native, kernel: Native, strides: list[int], word: str, groups: int) -> Native:
    if groups > 1 and kernel.shape[2] == 1 and strides[1] == strides[2]:
        height, width, _, channels = kernel.shape
        depthwise = raw.Reshape(tensor=kernel, shape=integers((height, width, groups, channels // groups)))
        return raw.DepthwiseConv2dNative(input=x, filter=depthwise, strides=strides, padding=word)
    if groups == 1 or groups_have_gradients(x.dtype):
        return raw.Conv2D(input=x, filter=kernel, strides=strides, padding=word)
    parts = zip(tf.split(x, groups, -1), tf.split(kernel, groups, -1), strict=True)
    return tf.concat([raw.Conv2D(input=part, filter=k, strides=strides, padding=word) for part, k in parts], -1)


@lru_cache(maxsize=8)
def groups_have_gradients(dtype: tf.DType) -> bool:
    """Whether the kernel for groups has a gradient here: oneDNN's and a GPU's have, TensorFlow's own on a CPU has none. So it is tried."""
    with tf.init_scope():
        x, kernel = tf.zeros((1, 1, 1, 4), dtype), tf.zeros((1, 1, 2, 4), dtype)
        try:
            raw.Conv2DBackpropInput(input_sizes=x.shape, filter=kernel, out_backprop=x, strides=[1, 1, 1, 1], padding="VALID")
            raw.Conv2DBackpropFilter(input=x, filter_sizes=kernel.shape, out_backprop=x, strides=[1, 1, 1, 1], padding="VALID")
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
            return False
    return True
