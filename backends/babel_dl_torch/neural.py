"""The primitives of neural networks.

`x.permute(0, 3, 1, 2)` of a dense channels-last tensor is PyTorch's own channels_last memory format, and variables of kernels lie in
memory so that their OIHW view has it too (see `state.py`): between the two views no element moves. One spatial axis is computed as
two, the first of size 1, as PyTorch does itself.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from babel_dl.backend.contract import Neural, Pairs
from babel_dl_torch.binding import bound
from babel_dl_torch.narrow import NARROW, in_float32, lacks_kernels, widened
from babel_dl_torch.normalization import careful_batch_norm, needs_care
from babel_dl_torch.resizing import interpolate, upsample
from babel_dl_torch.shape import refuses_bad_indices
from babel_dl_torch.transposed_convolution import convolve_transposed

_NO_LABEL = -(2**63)
"""For `ignore_index`, whose default of -100 would give a loss of 0 to a wrong label."""


class TorchNeural(Neural):
    """Layers' arithmetic, on views that have the memory format PyTorch is fastest with."""

    def linear(self, x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
        """One `addmm` for a matrix; `F.linear` folds more axes into one."""
        if x.dtype in NARROW and lacks_kernels(x):
            return in_float32(self.linear, x, kernel, bias)
        if x.ndim == 2:
            return torch.mm(x, kernel) if bias is None else torch.addmm(bias, x, kernel)
        return F.linear(x, kernel.t(), bias)

    def convolution(
        self,
        x: Tensor,
        kernel: Tensor,
        bias: Tensor | None,
        stride: tuple[int, ...],
        padding: Pairs,
        dilation: tuple[int, ...],
        groups: int,
    ) -> Tensor:
        """`torch.conv2d` on views; unequal padding is added first, since PyTorch takes one number for both sides."""
        if x.dtype in NARROW and lacks_kernels(x):
            return in_float32(self.convolution, x, kernel, bias, stride, padding, dilation, groups)
        if x.ndim == 3:
            wide = self.convolution(
                x.unsqueeze(1), kernel.unsqueeze(0), bias, (1, *stride), ((0, 0), *padding), (1, *dilation), groups
            )
            return wide.squeeze(1)
        (top, bottom), (left, right) = padding
        if top != bottom or left != right:
            x, top, left = _padded(x, padding, 0.0), 0, 0
        y = torch.conv2d(x.permute(0, 3, 1, 2), kernel.permute(3, 2, 0, 1), bias, stride, (top, left), dilation, groups)
        return y.permute(0, 2, 3, 1)

    def convolution_transpose(
        self,
        x: Tensor,
        kernel: Tensor,
        bias: Tensor | None,
        stride: tuple[int, ...],
        padding: Pairs,
        dilation: tuple[int, ...],
        groups: int,
    ) -> Tensor:
        """`torch.conv_transpose2d` on views. See `transposed_convolution.py`."""
        if x.dtype in NARROW and lacks_kernels(x):
            return in_float32(convolve_transposed, x, kernel, bias, stride, padding, dilation, groups)
        return convolve_transposed(x, kernel, bias, stride, padding, dilation, groups)

    def max_pool(self, x: Tensor, window: tuple[int, ...], stride: tuple[int, ...], padding: Pairs, dilation: tuple[int, ...]) -> Tensor:
        """`torch.max_pool2d` on a view."""
        if x.ndim == 3:
            return self.max_pool(x.unsqueeze(1), (1, *window), (1, *stride), ((0, 0), *padding), (1, *dilation)).squeeze(1)
        ceil_mode = _ceil_mode(x, window, stride, padding, dilation)
        if ceil_mode is None:
            x, padding, ceil_mode = _padded(x, padding, -math.inf), ((0, 0), (0, 0)), False
        y = torch.max_pool2d(x.permute(0, 3, 1, 2), window, stride, (padding[0][0], padding[1][0]), dilation, ceil_mode)
        return y.permute(0, 2, 3, 1)

    def average_pool(self, x: Tensor, window: tuple[int, ...], stride: tuple[int, ...], padding: Pairs, count_padding: bool) -> Tensor:
        """`F.avg_pool2d` on a view; narrow floats in float32 where windows overlap, for gradients add up there."""
        if x.dtype in NARROW and any(step < size for step, size in zip(stride, window, strict=True)):
            return in_float32(self.average_pool, x, window, stride, padding, count_padding)
        if x.ndim == 3:
            return self.average_pool(x.unsqueeze(1), (1, *window), (1, *stride), ((0, 0), *padding), count_padding).squeeze(1)
        ceil_mode = _ceil_mode(x, window, stride, padding, (1, 1))
        if ceil_mode is None:
            sums = _window_means(_padded(x, padding, 0.0), window, stride)
            if count_padding:
                return sums
            places = torch.ones((1, *x.shape[1:3], 1), dtype=x.dtype, device=x.device)
            return sums / _window_means(_padded(places, padding, 0.0), window, stride)
        divisor = math.prod(window) if count_padding else None
        before = (padding[0][0], padding[1][0])
        y = F.avg_pool2d(x.permute(0, 3, 1, 2), window, stride, before, ceil_mode, count_padding, divisor)
        return y.permute(0, 2, 3, 1)

    upsample = bound(upsample)
    interpolate = bound(interpolate)

    def batch_norm(self, x: Tensor, scale: Tensor | None, offset: Tensor | None, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        """The call of `torch.nn.BatchNorm2d`; with momentum 1 its running statistics are those of the batch."""
        if x.dtype in NARROW:
            scale, offset = widened(scale, offset)
            if x.is_cpu:  # a GPU's kernel takes narrow values beside float32 ones
                y, mean, variance = self.batch_norm(x.float(), scale, offset, eps)
                return y.to(x.dtype), mean, variance
        if x.ndim in (2, 4) and needs_care(x):
            return careful_batch_norm(x, scale, offset, eps)
        if x.ndim not in (2, 4):
            y, mean, variance = self.batch_norm(x.reshape(x.shape[0], 1, -1, x.shape[-1]), scale, offset, eps)
            return y.reshape(x.shape), mean, variance
        channels = x.shape[-1]
        mean, unbiased = torch.zeros((2, channels), dtype=torch.promote_types(x.dtype, torch.float32), device=x.device).unbind(0)
        y = _batch_norm(x, scale, offset, mean, unbiased, True, eps)
        count = x.numel() // max(channels, 1)
        if count < 2:
            return y, mean, torch.zeros_like(mean)  # the unbiased variance of one value is 0 / 0
        return y, mean, unbiased * ((count - 1) / count)

    def normalize(self, x: Tensor, mean: Tensor, variance: Tensor, scale: Tensor | None, offset: Tensor | None, eps: float) -> Tensor:
        """The call of `torch.nn.BatchNorm2d` in evaluation; narrow floats in float32."""
        if x.dtype in NARROW:
            if x.is_cpu or torch.is_grad_enabled():
                return in_float32(self.normalize, x, mean, variance, scale, offset, eps)
            mean, variance = mean.float(), variance.float()
            scale, offset = widened(scale, offset)
        if not torch.is_grad_enabled():
            return _batch_norm(x, scale, offset, mean, variance, False, eps)
        if mean.requires_grad or variance.requires_grad:  # PyTorch's function has no gradient for these two
            return _normalize_by_formula(x, mean, variance, scale, offset, eps)
        # clones, because running statistics may be assigned before the gradient is asked for
        return _batch_norm(x, scale, offset, mean.clone(), variance.clone(), False, eps)

    def layer_norm(self, x: Tensor, num_axes: int, scale: Tensor | None, offset: Tensor | None, eps: float) -> Tensor:
        """`torch.layer_norm`; narrow floats in float32."""
        if x.dtype in NARROW:
            return in_float32(self.layer_norm, x, num_axes, scale, offset, eps)
        if scale is None and x.requires_grad:
            scale = x.new_ones(x.shape[x.ndim - num_axes :])  # PyTorch's second gradient wants one
        return torch.layer_norm(x, x.shape[x.ndim - num_axes :], scale, offset, eps)

    relu = bound(torch.relu)
    leaky_relu = bound(F.leaky_relu)
    elu = bound(F.elu)
    silu = bound(F.silu)

    def gelu(self, x: Tensor, approximate: bool) -> Tensor:
        """`F.gelu`."""
        return F.gelu(x, approximate="tanh" if approximate else "none")

    sigmoid = bound(torch.sigmoid)

    def softplus(self, x: Tensor) -> Tensor:
        """`F.softplus`; above 40 the result is `x` in every type, above its default of 20 not yet in float64."""
        return F.softplus(x, 1.0, 40.0)

    softmax = bound(torch.softmax)
    log_softmax = bound(torch.log_softmax)

    def sparse_cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """`F.cross_entropy` without reduction, which takes int64 labels."""
        if logits.ndim != 2:
            return self.sparse_cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)).reshape(labels.shape)
        labels = labels.long()
        if refuses_bad_indices(logits):
            try:
                return F.cross_entropy(logits, labels, ignore_index=_NO_LABEL, reduction="none")
            except IndexError:  # a label is outside of the classes: its sample becomes NaN below
                pass
        inside = (labels >= 0) & (labels < logits.shape[-1])
        return torch.where(inside, F.cross_entropy(logits, torch.where(inside, labels, 0), reduction="none"), math.nan)


def _padded(x: Tensor, padding: Pairs, value: float) -> Tensor:
    (top, bottom), (left, right) = padding
    return torch.constant_pad_nd(x, (0, 0, left, right, top, bottom), value)


def _ceil_mode(x: Tensor, window: tuple[int, ...], stride: tuple[int, ...], padding: Pairs, dilation: tuple[int, ...]) -> bool | None:
    """How PyTorch can pool with this padding and no copy of `x`: its `ceil_mode`, or None where it cannot.

    PyTorch pads both sides alike, by at most half a window. In ceil mode it also takes windows that reach over the end, and counts what is
    inside: where the number of windows is right, that is the padding after the last element.
    """
    if any(before > size // 2 for size, (before, _) in zip(window, padding, strict=True)):
        return None
    if all(before == after for before, after in padding):
        return False
    for length, size, step, (before, after), gap in zip(x.shape[1:3], window, stride, padding, dilation, strict=True):
        extent = (size - 1) * gap + 1
        wanted = (length + before + after - extent) // step + 1
        reached = -(-(length + 2 * before - extent) // step) + 1
        if (reached - 1) * step >= length + before:  # PyTorch drops a window that would start behind the last element
            reached -= 1
        if reached != wanted:
            return None
    return True


def _window_means(x: Tensor, window: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    return F.avg_pool2d(x.permute(0, 3, 1, 2), window, stride).permute(0, 2, 3, 1)


def _batch_norm(
    x: Tensor, scale: Tensor | None, offset: Tensor | None, mean: Tensor, variance: Tensor, training: bool, eps: float
) -> Tensor:
    cudnn = torch.backends.cudnn.enabled
    if scale is None and x.requires_grad:
        scale = mean.new_ones(mean.shape)  # PyTorch's second gradient wants one
    if x.ndim == 2:
        return torch.batch_norm(x, scale, offset, mean, variance, training, 1.0, eps, cudnn)
    if x.ndim != 4:
        folded = x.reshape(x.shape[0], 1, -1, x.shape[-1])
        return _batch_norm(folded, scale, offset, mean, variance, training, eps).reshape(x.shape)
    y = torch.batch_norm(x.permute(0, 3, 1, 2), scale, offset, mean, variance, training, 1.0, eps, cudnn)
    return y.permute(0, 2, 3, 1)


def _normalize_by_formula(
    x: Tensor, mean: Tensor, variance: Tensor, scale: Tensor | None, offset: Tensor | None, eps: float
) -> Tensor:
    factor = torch.rsqrt(variance + eps)
    y = (x - mean) * (factor if scale is None else factor * scale)
    return y if offset is None else y + offset
