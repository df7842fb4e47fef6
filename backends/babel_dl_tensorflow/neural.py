"""The primitives of neural networks. TensorFlow's own layout is ours: channels last."""

import math
from typing import Any

import tensorflow as tf

from babel_dl.backend.contract import Native, Neural, Pairs
from babel_dl_tensorflow.constants import integers, scalar
from babel_dl_tensorflow.convolution import convolve
from babel_dl_tensorflow.dtypes import INDICES, NARROW_FLOATS
from babel_dl_tensorflow.normalization import arithmetic_batch_norm, fused_batch_norm, is_fused_better, normalized
from babel_dl_tensorflow.reduction import multiply_matrices
from babel_dl_tensorflow.windows import Sizes, padding_word, slide

raw: Any = tf.raw_ops


class TensorFlowNeural(Neural):
    """Layers' arithmetic, for one and two spatial axes."""

    def linear(self, x: Native, kernel: Native, bias: Native | None) -> Native:
        """`MatMul` and `BiasAdd`."""
        product = multiply_matrices(x, kernel)
        if bias is None:
            return product
        return raw.BiasAdd(value=product, bias=bias) if len(x.shape) > 1 else raw.AddV2(x=product, y=bias)

    def convolution(
        self,
        x: Native,
        kernel: Native,
        bias: Native | None,
        stride: Sizes,
        padding: Pairs,
        dilation: Sizes,
        groups: int,
    ) -> Native:
        """`Conv2D` and `BiasAdd`; one spatial axis goes as two. See `convolution.py`."""
        found = convolve(x, kernel, stride, padding, dilation, groups)
        return found if bias is None else raw.BiasAdd(value=found, bias=bias)

    def max_pool(self, x: Native, window: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes) -> Native:
        """`MaxPool`; padding that it has no word for is added first, as minus infinity."""
        return slide(_max_pool, x, window, stride, padding, dilation, fill=-math.inf)

    def average_pool(self, x: Native, window: Sizes, stride: Sizes, padding: Pairs, count_padding: bool) -> Native:
        """`AvgPool`, which leaves its own padding out; other padding goes in as zeros, and is divided out where it must not count."""
        if not count_padding and padding_word(x, window, stride, padding) is None:
            inside = self.average_pool(tf.ones_like(x[:1, ..., :1]), window, stride, padding, True)
            return raw.RealDiv(x=self.average_pool(x, window, stride, padding, True), y=inside)
        return slide(_average_pool, x, window, stride, padding, (1,) * len(window), knows_same=not count_padding)

    def batch_norm(self, x: Native, scale: Native | None, offset: Native | None, eps: float) -> tuple[Native, Native, Native]:
        """By one fused kernel or by arithmetic, whichever is faster. See `normalization.py`."""
        y, mean, variance = (fused_batch_norm if is_fused_better(x) else arithmetic_batch_norm)(x, scale, offset, eps)
        return y, raw.StopGradient(input=mean), raw.StopGradient(input=variance)

    def normalize(self, x: Native, mean: Native, variance: Native, scale: Native | None, offset: Native | None, eps: float) -> Native:
        """The channels' factor first, then one multiplication for each element."""
        return normalized(raw.Sub(x=x, y=mean), variance, scale, offset, eps)

    def layer_norm(self, x: Native, num_axes: int, scale: Native | None, offset: Native | None, eps: float) -> Native:
        """In two passes; narrow floats in float32."""
        dtype = x.dtype
        if dtype in NARROW_FLOATS:  # their sums over many elements lose too much
            wide = [None if part is None else raw.Cast(x=part, DstT=tf.float32) for part in (x, scale, offset)]
            return raw.Cast(x=self.layer_norm(wide[0], num_axes, wide[1], wide[2], eps), DstT=dtype)
        rank = len(x.shape)
        axes = integers(tuple(range(rank - num_axes, rank)))
        centred = raw.Sub(x=x, y=raw.Mean(input=x, axis=axes, keep_dims=True))
        variance = raw.Mean(input=raw.Square(x=centred), axis=axes, keep_dims=True)
        return normalized(centred, variance, scale, offset, eps)

    def relu(self, x: Native) -> Native:
        """`Relu`."""
        return raw.Relu(features=x)

    def sigmoid(self, x: Native) -> Native:
        """`Sigmoid`."""
        return raw.Sigmoid(x=x)

    def softplus(self, x: Native) -> Native:
        """`Softplus`."""
        return raw.Softplus(features=x)

    def softmax(self, x: Native, axis: int) -> Native:
        """`Softmax`, which knows the last axis only; `tf.nn.softmax` moves another one there."""
        return raw.Softmax(logits=x) if axis == len(x.shape) - 1 else tf.nn.softmax(x, axis)

    def log_softmax(self, x: Native, axis: int) -> Native:
        """`LogSoftmax`, which knows the last axis only; `tf.nn.log_softmax` moves another one there."""
        return raw.LogSoftmax(logits=x) if axis == len(x.shape) - 1 else tf.nn.log_softmax(x, axis)

    def sparse_cross_entropy(self, logits: Native, labels: Native) -> Native:
        """`SparseSoftmaxCrossEntropyWithLogits`, with NaN put in for labels that it must not see."""
        dtype = logits.dtype
        if dtype in NARROW_FLOATS:
            return raw.Cast(x=self.sparse_cross_entropy(raw.Cast(x=logits, DstT=tf.float32), labels), DstT=dtype)
        if labels.dtype not in INDICES:
            labels = raw.Cast(x=labels, DstT=tf.int64)
        classes, is_flat = logits.shape[-1], len(labels.shape) == 1
        rows = logits if is_flat else raw.Reshape(tensor=logits, shape=integers((-1, classes)))
        wanted = labels if is_flat else raw.Reshape(tensor=labels, shape=integers((-1,)))
        # On a CPU the kernel raises for a label outside, elsewhere it gives NaN; so it never sees one.
        nearest = raw.Minimum(x=raw.Maximum(x=wanted, y=scalar(0, labels.dtype)), y=scalar(classes - 1, labels.dtype))
        loss = raw.SparseSoftmaxCrossEntropyWithLogits(features=rows, labels=nearest).loss
        loss = raw.SelectV2(condition=raw.Equal(x=wanted, y=nearest), t=loss, e=scalar(math.nan, dtype))
        return loss if is_flat else raw.Reshape(tensor=loss, shape=raw.Shape(input=labels))


def _max_pool(x: Native, window: Sizes, stride: Sizes, word: str) -> Native:
    return raw.MaxPool(input=x, ksize=[1, *window, 1], strides=[1, *stride, 1], padding=word)


def _average_pool(x: Native, window: Sizes, stride: Sizes, word: str) -> Native:
    return raw.AvgPool(value=x, ksize=[1, *window, 1], strides=[1, *stride, 1], padding=word)
