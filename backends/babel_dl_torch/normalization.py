"""Batch normalisation with statistics that are added up with care.

PyTorch's kernel for channels last adds up each channel one element after the other in float32: over the 6,272 values of a small picture's
channel in a batch that loses 1e-5, over 100,000 values 1e-4, and outputs and gradients lose as much. Its reductions add up in blocks and
lose 1e-7. So these give the statistics, and its kernels do the rest: as fast as its own way, measured on the CPU.
"""

from typing import Any

import torch
from torch import Tensor

_MANY = 512
"""Values of a channel up to which PyTorch's own sums lose less than 1e-6."""


def needs_care(x: Tensor) -> bool:
    """Whether PyTorch's own kernel would lose too much: that of the CPU, unless there are few values, or one channel alone.

    Args:
        x: (batch, height, width, channels) or (batch, channels).
    """
    return x.is_cpu and x.dtype is torch.float32 and x.shape[-1] > 1 and x.numel() > _MANY * x.shape[-1]


def careful_batch_norm(x: Tensor, scale: Tensor | None, offset: Tensor | None, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """See `Neural.batch_norm`; for the shapes of `needs_care`."""
    return _BatchNorm.apply(x, scale, offset, eps)


class _BatchNorm(torch.autograd.Function):
    """The result, mean and variance; the latter two are constants for gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor | None, offset: Tensor | None, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        mean, variance = _statistics(x)
        y = torch.batch_norm(_channels_first(x), scale, offset, mean, variance, False, 0.0, eps, False)
        ctx.eps = eps
        ctx.save_for_backward(x, scale, offset, mean, variance)
        ctx.mark_non_differentiable(mean, variance)
        return _channels_last(y), mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, offset, mean, variance = ctx.saved_tensors
        gradient, eps, wanted = gradients[0], ctx.eps, ctx.needs_input_grad
        if torch.is_grad_enabled():  # a gradient of this gradient may be asked for
            return *_gradients_by_formula(x, scale, offset, eps, gradient, wanted), None
        found = torch.ops.aten.native_batch_norm_backward(
            _channels_first(gradient), _channels_first(x), scale, mean, variance, mean, torch.rsqrt(variance + eps), True, eps, wanted[:3]
        )
        return None if found[0] is None else _channels_last(found[0]), found[1], found[2], None


def _statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    axes = tuple(range(x.ndim - 1))
    mean = x.mean(axes)
    return mean, (x - mean).square().mean(axes)


def _channels_first(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2) if x.ndim == 4 else x


def _channels_last(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1) if x.ndim == 4 else x


def _gradients_by_formula(
    x: Tensor, scale: Tensor | None, offset: Tensor | None, eps: float, gradient: Tensor, wanted: tuple[bool, ...]
) -> list[Tensor | None]:
    mean, variance = _statistics(x)
    y = (x - mean) * torch.rsqrt(variance + eps)
    y = y if scale is None else y * scale
    y = y if offset is None else y + offset
    inputs = [value for value, is_wanted in zip((x, scale, offset), wanted, strict=False) if is_wanted and value is not None]
    found = iter(torch.autograd.grad(y, inputs, gradient, create_graph=True))
    return [next(found) if is_wanted else None for is_wanted in wanted[:3]]
