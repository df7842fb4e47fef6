"""The primitives of neural networks. The contract's layout, channels last, is one of XLA's own."""

import jax
import jax.numpy as jnp
from jax import lax

from babel_dl.backend.contract import Native, Neural, Pairs
from babel_dl_jax import normalization, pooling
from babel_dl_jax.binding import bound

_LAYOUT = ("NHWC", "HWIO", "NHWC")


class JaxNeural(Neural):
    """Layers' arithmetic."""

    def linear(self, x: Native, kernel: Native, bias: Native | None) -> Native:
        """`lax.dot_general` over the last axis."""
        product = lax.dot_general(x, kernel, (((x.ndim - 1,), (0,)), ((), ())))
        return product if bias is None else product + bias

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
        return result if bias is None else result + bias

    def max_pool(self, x: Native, window: tuple[int, ...], stride: tuple[int, ...], padding: Pairs, dilation: tuple[int, ...]) -> Native:
        """The larger of shifted views."""
        return pooling.max_pool(x, window, stride, padding, dilation)

    def average_pool(self, x: Native, window: tuple[int, ...], stride: tuple[int, ...], padding: Pairs, count_padding: bool) -> Native:
        """The sum of shifted views, divided by their number."""
        return pooling.average_pool(x, window, stride, padding, count_padding)

    def batch_norm(self, x: Native, scale: Native | None, offset: Native | None, eps: float) -> tuple[Native, Native, Native]:
        """In two passes; halves in float32. Forward mode (`jax.jvp`) is not defined for it."""
        return normalization.batch_norm(x, scale, offset, eps)

    def normalize(self, x: Native, mean: Native, variance: Native, scale: Native | None, offset: Native | None, eps: float) -> Native:
        """The channels' factor first, then one multiplication for each element."""
        factor = lax.rsqrt(variance + eps)
        result = (x - mean) * (factor if scale is None else factor * scale)
        return result if offset is None else result + offset

    def layer_norm(self, x: Native, num_axes: int, scale: Native | None, offset: Native | None, eps: float) -> Native:
        """In two passes; halves in float32."""
        axes = tuple(range(x.ndim - num_axes, x.ndim))
        wide = x.astype(normalization.wide_dtype(x))
        centred = wide - jnp.mean(wide, axes, keepdims=True)
        result = (centred * lax.rsqrt(jnp.mean(lax.square(centred), axes, keepdims=True) + eps)).astype(x.dtype)
        if scale is not None:
            result = result * scale
        return result if offset is None else result + offset

    relu = bound(jax.nn.relu)
    sigmoid = bound(jax.nn.sigmoid)
    softplus = bound(jax.nn.softplus)

    def softmax(self, x: Native, axis: int) -> Native:
        """`jax.nn.softmax`."""
        return jax.nn.softmax(x, axis)

    def log_softmax(self, x: Native, axis: int) -> Native:
        """`jax.nn.log_softmax`."""
        return jax.nn.log_softmax(x, axis)

    def sparse_cross_entropy(self, logits: Native, labels: Native) -> Native:
        """The label's entry of `jax.nn.log_softmax`, found by comparison: its gradient is elementwise, a gather's would be a scatter."""
        if labels.dtype.itemsize < 4:
            labels = labels.astype(jnp.int32)
        classes = lax.broadcasted_iota(labels.dtype, logits.shape, logits.ndim - 1)
        is_label = classes == labels[..., None]
        picked = jnp.sum(jnp.where(is_label, jax.nn.log_softmax(logits), 0), -1)
        is_class = (labels >= 0) & (labels < logits.shape[-1])
        return jnp.where(is_class, -picked, jnp.asarray(jnp.nan, logits.dtype))
