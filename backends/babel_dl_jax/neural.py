"""The primitives of neural networks. The contract's layout, channels last, is one of XLA's own."""

import jax
import jax.numpy as jnp
from jax import lax

from babel_dl.backend.contract import Native, Neural, Pairs
from babel_dl_jax import normalization, pooling
from babel_dl_jax.binding import bound
from babel_dl_jax.narrow import in_float32, is_narrow, with_bias
from babel_dl_jax.resizing import interpolate, upsample
from babel_dl_jax.transposed_convolution import convolve_transposed

_LAYOUT = ("NHWC", "HWIO", "NHWC")


class JaxNeural(Neural):
    """Layers' arithmetic."""

    def linear(self, x: Native, kernel: Native, bias: Native | None) -> Native:
        """`lax.dot_general` over the last axis."""
        return with_bias(lax.dot_general(x, kernel, (((x.ndim - 1,), (0,)), ((), ()))), bias)

    def convolution(
        self,
        x: Native,
        kernel: Native,
        bias: Native | None,
        stride: tuple[int, ...],
        padding: Pairs,
        dilation: tuple[int, ...],
        groups: int,
    ) -> Native:
        """`lax.conv_general_dilated`; one spatial axis goes as two, the first of size 1: on CPUs XLA is 1.3 to 2 times faster so."""
        if len(stride) == 1:
            flat = self.convolution(x[:, None], kernel[None], bias, (1, *stride), ((0, 0), *padding), (1, *dilation), groups)
            return lax.squeeze(flat, (1,))
        result = lax.conv_general_dilated(
            x, kernel, stride, padding, rhs_dilation=dilation, dimension_numbers=_LAYOUT, feature_group_count=groups
        )
        return with_bias(result, bias)

    def convolution_transpose(
        self,
        x: Native,
        kernel: Native,
        bias: Native | None,
        stride: tuple[int, ...],
        padding: Pairs,
        dilation: tuple[int, ...],
        groups: int,
    ) -> Native:
        """A convolution of the spread input. See `transposed_convolution.py`."""
        return with_bias(convolve_transposed(x, kernel, stride, padding, dilation, groups), bias)

    def max_pool(self, x: Native, window: tuple[int, ...], stride: tuple[int, ...], padding: Pairs, dilation: tuple[int, ...]) -> Native:
        """The larger of shifted views."""
        return pooling.max_pool(x, window, stride, padding, dilation)

    def average_pool(self, x: Native, window: tuple[int, ...], stride: tuple[int, ...], padding: Pairs, count_padding: bool) -> Native:
        """The sum of shifted views, divided by their number."""
        return pooling.average_pool(x, window, stride, padding, count_padding)

    upsample = bound(upsample)
    interpolate = bound(interpolate)

    def batch_norm(self, x: Native, scale: Native | None, offset: Native | None, eps: float) -> tuple[Native, Native, Native]:
        """In two passes; halves in float32. Forward mode (`jax.jvp`) is not defined for it."""
        return normalization.batch_norm(x, scale, offset, eps)

    def normalize(self, x: Native, mean: Native, variance: Native, scale: Native | None, offset: Native | None, eps: float) -> Native:
        """The channels' factor first, then one multiplication for each element; halves in float32."""
        if is_narrow(x):
            return in_float32(self.normalize, x, mean, variance, scale, offset, eps)
        factor = lax.rsqrt(variance + eps)
        result = (x - mean) * (factor if scale is None else factor * scale)
        return result if offset is None else result + offset

    def layer_norm(self, x: Native, num_axes: int, scale: Native | None, offset: Native | None, eps: float) -> Native:
        """In two passes; halves in float32."""
        if is_narrow(x):
            return in_float32(self.layer_norm, x, num_axes, scale, offset, eps)
        axes = tuple(range(x.ndim - num_axes, x.ndim))
        centred = x - jnp.mean(x, axes, keepdims=True)
        result = centred * lax.rsqrt(jnp.mean(lax.square(centred), axes, keepdims=True) + eps)
        if scale is not None:
            result = result * scale
        return result if offset is None else result + offset

    relu = bound(jax.nn.relu)

    def leaky_relu(self, x: Native, negative_slope: float) -> Native:
        """A choice; the gradient at 0 of `jax.nn.leaky_relu` is 1."""
        return jnp.where(x > 0, x, negative_slope * x)

    elu = bound(jax.nn.elu)

    def gelu(self, x: Native, approximate: bool) -> Native:
        """`jax.nn.gelu`; halves in float32: in float16 the cube of 41 is infinite."""
        return in_float32(jax.nn.gelu, x, approximate) if is_narrow(x) else jax.nn.gelu(x, approximate)

    silu = bound(jax.nn.silu)
    sigmoid = bound(jax.nn.sigmoid)
    softplus = bound(jax.nn.softplus)

    def softmax(self, x: Native, axis: int) -> Native:
        """`jax.nn.softmax`; halves in float32."""
        return in_float32(jax.nn.softmax, x, axis) if is_narrow(x) else jax.nn.softmax(x, axis)

    def log_softmax(self, x: Native, axis: int) -> Native:
        """`jax.nn.log_softmax`; halves in float32."""
        return in_float32(jax.nn.log_softmax, x, axis) if is_narrow(x) else jax.nn.log_softmax(x, axis)

    def sparse_cross_entropy(self, logits: Native, labels: Native) -> Native:
        """The label's entry of `jax.nn.log_softmax`, found by comparison: its gradient is elementwise, a gather's would be a scatter."""
        if is_narrow(logits):
            return in_float32(self.sparse_cross_entropy, logits, labels)
        if labels.dtype.itemsize < 4:
            labels = labels.astype(jnp.int32)
        classes = lax.broadcasted_iota(labels.dtype, logits.shape, logits.ndim - 1)
        is_label = classes == labels[..., None]
        picked = jnp.sum(jnp.where(is_label, jax.nn.log_softmax(logits), 0), -1)
        is_class = (labels >= 0) & (labels < logits.shape[-1])
        return jnp.where(is_class, -picked, jnp.asarray(jnp.nan, logits.dtype))
