"""Batch normalisation in one kernel and in several, and what both share."""

from typing import Any

import tensorflow as tf

from babel_dl.backend.contract import Native
from babel_dl_tensorflow.constants import integers, scalar
from babel_dl_tensorflow.creation import device_names
from babel_dl_tensorflow.dtypes import NARROW_FLOATS

raw: Any = tf.raw_ops


def is_fused_better(x: Native) -> bool:
    """Whether to take the fused kernel: for narrow floats, which it sums in float32 without copies, and for float32 on a GPU.

    On a CPU it adds up each channel one element after the other in float32, and loses 1e-5 over 6,000 of them, 1e-4 over 100,000: of no
    account beside a narrow float's own rounding.
    """
    return x.dtype in NARROW_FLOATS or (x.dtype is tf.float32 and len(device_names()) > 1)


def fused_batch_norm(x: Native, scale: Native | None, offset: Native | None, eps: float) -> tuple[Native, Native, Native]:
    """`FusedBatchNormV3`; its variance is the unbiased one, so that is taken back."""
    channels = x.shape[-1]
    scale = raw.Fill(dims=integers((channels,)), value=scalar(1.0, tf.float32)) if scale is None else tf.cast(scale, tf.float32)
    offset = raw.Fill(dims=integers((channels,)), value=scalar(0.0, tf.float32)) if offset is None else tf.cast(offset, tf.float32)
    image = x if len(x.shape) == 4 else raw.Reshape(tensor=x, shape=integers((-1, 1, 1, channels)))
    nothing = raw.Fill(dims=integers((0,)), value=scalar(0.0, tf.float32))
    found = raw.FusedBatchNormV3(x=image, scale=scale, offset=offset, mean=nothing, variance=nothing, epsilon=eps)
    y = found.y if image is x else raw.Reshape(tensor=found.y, shape=raw.Shape(input=x))
    variance = raw.Mul(x=found.batch_variance, y=_share_of_biased(x))
    return y, found.batch_mean, variance


def arithmetic_batch_norm(x: Native, scale: Native | None, offset: Native | None, eps: float) -> tuple[Native, Native, Native]:
    """Mean and variance by reductions; the variance from the differences, which is exact when the mean is large."""
    mean = _channel_means(x)
    centred = raw.Sub(x=x, y=mean)
    variance = _channel_means(raw.Square(x=centred))
    return normalized(centred, variance, scale, offset, eps), mean, variance


def _channel_means(x: Native) -> Native:
    """The mean of each channel, first of each sample and then over the batch: short sums lose less than one long one."""
    inner = tuple(range(1, len(x.shape) - 1))
    means = raw.Mean(input=x, axis=integers(inner), keep_dims=False) if inner else x
    return raw.Mean(input=means, axis=integers((0,)), keep_dims=False)


def normalized(centred: Native, variance: Native, scale: Native | None, offset: Native | None, eps: float) -> Native:
    """centred / sqrt(variance + eps) * scale + offset, with one product over the large tensor."""
    factor = raw.Rsqrt(x=raw.AddV2(x=variance, y=scalar(eps, variance.dtype)))
    if scale is not None:
        factor = raw.Mul(x=factor, y=scale)
    y = raw.Mul(x=centred, y=factor)
    return y if offset is None else raw.AddV2(x=y, y=offset)


def _share_of_biased(x: Native) -> Native:
    """(n - 1) / n for n values in each channel; 0 for one value, whose variance is 0."""
    count = x.shape[:-1].num_elements()
    if count is None:
        n = tf.cast(tf.size(x), tf.float32) / x.shape[-1]
        return (n - 1.0) / n
    return scalar((count - 1) / count if count else 0.0, tf.float32)
