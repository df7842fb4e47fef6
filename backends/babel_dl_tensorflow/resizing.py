"""Images in another size.

Copies are joined, not resized: TensorFlow's `ResizeNearestNeighbor` has no gradient of its gradient, and adds up in any order on a GPU;
`BroadcastTo` has a gradient that takes eight times as long. `ResizeBilinear` has a gradient whose own gradient is silently None, so the
two are told here that each is the other's transpose.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from babel_dl.backend.contract import Native
from babel_dl_tensorflow.constants import integers
from babel_dl_tensorflow.dtypes import NARROW_FLOATS

raw: Any = tf.raw_ops

Sizes = tuple[int, ...]


def upsample(x: Native, factors: Sizes) -> Native:
    """See `Neural.upsample`."""
    if len(factors) == 1:
        return raw.Squeeze(input=upsample(raw.ExpandDims(input=x, axis=integers(1)), (1, *factors)), axis=(1,))
    down, right = factors
    sizes = tuple(x.shape)
    if None in sizes[1:]:
        sizes = (sizes[0], *tf.unstack(tf.shape(x)[1:]))
    _, height, width, channels = sizes
    rows = _reshaped(_copies(x, right), (height, width * right * channels))  # each place beside itself
    return _reshaped(_copies(rows, down), (height * down, width * right, channels))  # each row behind itself


def _copies(x: Native, count: int) -> Native:
    """`count` copies joined along the last axis."""
    return raw.ConcatV2(values=[x] * count, axis=integers(len(x.shape) - 1)) if count > 1 else x


def _reshaped(x: Native, sample: tuple[Any, ...]) -> Native:
    known = all(isinstance(size, int) for size in sample)
    if x.shape[0] == 0:  # -1 cannot be found from no elements
        return raw.Reshape(tensor=x, shape=integers((0, *sample)) if known else tf.stack((0, *sample)))
    return raw.Reshape(tensor=x, shape=integers((-1, *sample)) if known else tf.stack((-1, *sample)))


def interpolate(x: Native, size: Sizes) -> Native:
    """See `Neural.interpolate`. The kernel computes in float32; float64 goes by matrices."""
    if len(size) == 1:
        return raw.Squeeze(input=interpolate(raw.ExpandDims(input=x, axis=integers(1)), (1, *size)), axis=(1,))
    if x.dtype is tf.float64:
        for count in size:
            x = tf.tensordot(x, _weights(x.shape[1], count), ((1,), (1,)))  # moves the axis to the end
        return tf.transpose(x, (0, 2, 3, 1))
    if x.dtype in NARROW_FLOATS:
        return raw.Cast(x=_by_kernel(raw.Cast(x=x, DstT=tf.float32), size), DstT=x.dtype)
    return _by_kernel(x, size)


def _by_kernel(x: Native, size: Sizes) -> Native:
    shaped_as_x = raw.StopGradient(input=x)

    @tf.custom_gradient
    def forward(value: Native) -> Any:
        return raw.ResizeBilinear(images=value, size=integers(size), half_pixel_centers=True), backward

    @tf.custom_gradient
    def backward(gradient: Native) -> Any:
        return raw.ResizeBilinearGrad(grads=gradient, original_image=shaped_as_x, half_pixel_centers=True), forward

    return forward(x)


def _weights(places: int, count: int) -> np.ndarray:
    """The share that each of `places` has in each of `count` results."""
    centres = np.clip((np.arange(count) + 0.5) * places / count - 0.5, 0, places - 1)
    return np.maximum(1 - np.abs(centres[:, None] - np.arange(places)), 0)
