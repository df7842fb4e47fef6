"""The primitives of neural networks. TensorFlow's own layout is ours: channels last."""

import math
from typing import Any

import tensorflow as tf

from babel_dl.backend.contract import Native, Neural, Pairs
from babel_dl_tensorflow.constants import integers, scalar
from babel_dl_tensorflow.convolution import convolve
from babel_dl_tensorflow.dtypes import INDICES, NARROW_FLOATS
from babel_dl_tensorflow.narrow import in_float32, lacks_kernels, with_bias
from babel_dl_tensorflow.normalization import arithmetic_batch_norm, fused_batch_norm, is_fused_better, normalized
from babel_dl_tensorflow.reduction import multiply_matrices
from babel_dl_tensorflow.resizing import interpolate, upsample
from babel_dl_tensorflow.transposed_convolution import convolve_transposed
from babel_dl_tensorflow.windows import Sizes, padding_word, slide

raw: Any = tf.raw_ops

_FLOAT16 = tf.float16


class TensorFlowNeural(Neural):
    """Layers' arithmetic, for one and two spatial axes."""

    def linear(self, x: Native, kernel: Native, bias: Native | None) -> Native:
        """`MatMul` and `BiasAdd`."""
        return with_bias(multiply_matrices(x, kernel), bias)

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
        if lacks_kernels(x):
            return in_float32(self.convolution, x, kernel, bias, stride, padding, dilation, groups)
        return with_bias(convolve(x, kernel, stride, padding, dilation, groups), bias)

    def convolution_transpose(
        self,
        x: Native,
        kernel: Native,
        bias: Native | None,
        stride: Sizes,
        padding: Pairs,
        dilation: Sizes,
        groups: int,
    ) -> Native:
        """`Conv2DBackpropInput` and `BiasAdd`; one spatial axis goes as two. See `transposed_convolution.py`."""
        if lacks_kernels(x):
            return in_float32(self.convolution_transpose, x, kernel, bias, stride, padding, dilation, groups)
        return with_bias(convolve_transposed(x, kernel, stride, padding, dilation, groups), bias)

    def max_pool(self, x: Native, window: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes) -> Native:
        """`MaxPool`; padding that it has no word for is added first, as minus infinity."""
        if lacks_kernels(x):
            return in_float32(self.max_pool, x, window, stride, padding, dilation)
        return slide(_max_pool, x, window, stride, padding, dilation, fill=-math.inf)

    def average_pool(self, x: Native, window: Sizes, stride: Sizes, padding: Pairs, count_padding: bool) -> Native:
        """`AvgPool`, which leaves its own padding out; other padding goes in as zeros, and is divided out where it must not count."""
        if x.dtype in NARROW_FLOATS:  # a mean, and where windows overlap, the gradient, add up
            return in_float32(self.average_pool, x, window, stride, padding, count_padding)
        if not count_padding and padding_word(x, window, stride, padding) is None:
            inside = self.average_pool(tf.ones_like(x[:1, ..., :1]), window, stride, padding, True)
            return raw.RealDiv(x=self.average_pool(x, window, stride, padding, True), y=inside)
        return slide(_average_pool, x, window, stride, padding, (1,) * len(window), knows_same=not count_padding)

    def upsample(self, x: Native, factors: Sizes) -> Native:
        """Copies, joined. See `resizing.py`."""
        return upsample(x, factors)

    def interpolate(self, x: Native, size: Sizes) -> Native:
        """`ResizeBilinear`. See `resizing.py`."""
        return interpolate(x, size)

    def batch_norm(self, x: Native, scale: Native | None, offset: Native | None, eps: float) -> tuple[Native, Native, Native]:
        """By one fused kernel or by arithmetic, whichever is faster. See `normalization.py`."""
        y, mean, variance = (fused_batch_norm if is_fused_better(x) else arithmetic_batch_norm)(x, scale, offset, eps)
        return y, raw.StopGradient(input=mean), raw.StopGradient(input=variance)

    def normalize(self, x: Native, mean: Native, variance: Native, scale: Native | None, offset: Native | None, eps: float) -> Native:
        """The channels' factor first, then one multiplication for each element; narrow floats in float32."""
        if x.dtype in NARROW_FLOATS:
            return in_float32(self.normalize, x, mean, variance, scale, offset, eps)
        return normalized(raw.Sub(x=x, y=mean), variance, scale, offset, eps)

    def layer_norm(self, x: Native, num_axes: int, scale: Native | None, offset: Native | None, eps: float) -> Native:
        """In two passes; narrow floats in float32."""
        if x.dtype in NARROW_FLOATS:
            return in_float32(self.layer_norm, x, num_axes, scale, offset, eps)
        rank = len(x.shape)
        axes = integers(tuple(range(rank - num_axes, rank)))
        centred = raw.Sub(x=x, y=raw.Mean(input=x, axis=axes, keep_dims=True))
        variance = raw.Mean(input=raw.Square(x=centred), axis=axes, keep_dims=True)
        return normalized(centred, variance, scale, offset, eps)

    def relu(self, x: Native) -> Native:
        """`Relu`; that of float16 by a choice, since an infinite gradient times 0 is NaN, and a scaled one may be infinite where x < 0."""
        if x.dtype is _FLOAT16:
            zero = scalar(0, x.dtype)
            return raw.SelectV2(condition=raw.LessEqual(x=x, y=zero), t=zero, e=x)
        return raw.Relu(features=x)

    def leaky_relu(self, x: Native, negative_slope: float) -> Native:
        """`LeakyRelu`, which keeps the slope in float32."""
        if x.dtype is tf.float64:
            below = raw.Mul(x=x, y=scalar(negative_slope, x.dtype))
            return raw.SelectV2(condition=raw.Greater(x=x, y=scalar(0, x.dtype)), t=x, e=below)
        return raw.LeakyRelu(features=x, alpha=negative_slope)

    def elu(self, x: Native, alpha: float) -> Native:
        """`Elu`, which knows no other `alpha` than 1."""
        y = raw.Elu(features=x)
        if alpha == 1:
            return y
        positive = raw.Greater(x=x, y=scalar(0, x.dtype))
        return raw.SelectV2(condition=positive, t=x, e=raw.Mul(x=y, y=scalar(alpha, x.dtype)))

    def gelu(self, x: Native, approximate: bool) -> Native:
        """x times a share; `tf.nn.gelu` is the same formula. Narrow floats in float32: in float16 the cube of 41 is infinite."""
        if x.dtype in NARROW_FLOATS:
            return in_float32(self.gelu, x, approximate)
        half = raw.Mul(x=x, y=scalar(0.5, x.dtype))
        if approximate:
            cubic = raw.Mul(x=raw.Mul(x=raw.Square(x=x), y=x), y=scalar(0.044715, x.dtype))
            share = raw.Tanh(x=raw.Mul(x=raw.AddV2(x=x, y=cubic), y=scalar(math.sqrt(2 / math.pi), x.dtype)))
        else:
            share = raw.Erf(x=raw.Mul(x=x, y=scalar(math.sqrt(0.5), x.dtype)))
        return raw.Mul(x=half, y=raw.AddV2(x=share, y=scalar(1, x.dtype)))

    def silu(self, x: Native) -> Native:
        """`Mul` by `Sigmoid`."""
        return raw.Mul(x=x, y=raw.Sigmoid(x=x))

    def sigmoid(self, x: Native) -> Native:
        """`Sigmoid`."""
        return raw.Sigmoid(x=x)

    def softplus(self, x: Native) -> Native:
        """`Softplus`."""
        return raw.Softplus(features=x)

    def softmax(self, x: Native, axis: int) -> Native:
        """`Softmax`, which knows the last axis only; `tf.nn.softmax` moves another one there; narrow floats in float32."""
        if x.dtype in NARROW_FLOATS:
            return in_float32(self.softmax, x, axis)
        return raw.Softmax(logits=x) if axis == len(x.shape) - 1 else tf.nn.softmax(x, axis)

    def log_softmax(self, x: Native, axis: int) -> Native:
        """`LogSoftmax`, which knows the last axis only; `tf.nn.log_softmax` moves another one there; narrow floats in float32."""
        if x.dtype in NARROW_FLOATS:
            return in_float32(self.log_softmax, x, axis)
        return raw.LogSoftmax(logits=x) if axis == len(x.shape) - 1 else tf.nn.log_softmax(x, axis)

    def sparse_cross_entropy(self, logits: Native, labels: Native) -> Native:
        """`SparseSoftmaxCrossEntropyWithLogits`, with NaN put in for labels that it must not see."""
        dtype = logits.dtype
        if dtype in NARROW_FLOATS:
            return in_float32(self.sparse_cross_entropy, logits, labels)
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
