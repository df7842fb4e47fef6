"""Limits on gradients."""

from __future__ import annotations

from collections.abc import Sequence

from babel_dl import ops
from babel_dl.ops.tensor import Tensor


def global_norm(gradients: Sequence[Tensor]) -> Tensor:
    """The root of the sum of all squares, over all gradients together; a scalar."""
    return ops.sqrt(ops.sum(ops.stack([ops.sum(ops.square(gradient)) for gradient in gradients])))


def clip_by_global_norm(gradients: Sequence[Tensor], max_norm: float) -> list[Tensor]:
    """All gradients scaled by min(1, max_norm / (norm + 1e-6)), so that their joint norm is at most `max_norm`.

    Source: Pascanu et al. 2013, algorithm 1; torch.nn.utils.clip_grad_norm_.
    """
    scale = ops.minimum(max_norm / (global_norm(gradients) + 1e-6), 1.0)
    return [gradient * scale for gradient in gradients]


def clip_by_value(gradients: Sequence[Tensor], limit: float) -> list[Tensor]:
    """Each element cut to [-limit, limit]. Source: torch.nn.utils.clip_grad_value_."""
    return [ops.clip(gradient, -limit, limit) for gradient in gradients]
