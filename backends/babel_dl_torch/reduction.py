"""Functions that join many elements into one."""

import torch
from torch import Tensor

from babel_dl.backend.contract import Reduction
from babel_dl_torch.binding import bound
from babel_dl_torch.narrow import NARROW, in_float32


class TorchReduction(Reduction):
    """Sums, extremes, positions and products of matrices. PyTorch would widen integers to int64; `dtype` keeps them."""

    def sum(self, x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
        """`torch.sum` in the type of `x`."""
        return torch.sum(x, axes, keepdims, dtype=x.dtype)

    mean = bound(torch.mean)

    def prod(self, x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
        """`torch.prod` takes one axis, so the last goes first and the others keep their places; narrow floats in float32."""
        if x.dtype in NARROW:
            return in_float32(self.prod, x, axes, keepdims)
        for axis in sorted(axes, reverse=True):
            x = torch.prod(x, axis, keepdims, dtype=x.dtype)
        return x

    max = bound(torch.amax)
    min = bound(torch.amin)
    any = bound(torch.any)
    all = bound(torch.all)

    def argmax(self, x: Tensor, axis: int, keepdims: bool) -> Tensor:
        """`torch.argmax`, which answers in int64 and does not know bool."""
        return torch.argmax(_ordered(x), axis, keepdims).to(torch.int32)

    def argmin(self, x: Tensor, axis: int, keepdims: bool) -> Tensor:
        """`torch.argmin`, which answers in int64 and does not know bool."""
        return torch.argmin(_ordered(x), axis, keepdims).to(torch.int32)

    def cumulative_sum(self, x: Tensor, axis: int) -> Tensor:
        """`torch.cumsum` in the type of `x`."""
        return torch.cumsum(x, axis, dtype=x.dtype)

    def argsort(self, x: Tensor, axis: int, descending: bool) -> Tensor:
        """`torch.argsort`, stable, which answers in int64."""
        return torch.argsort(x, stable=True, dim=axis, descending=descending).to(torch.int32)

    matmul = bound(torch.matmul)


def _ordered(x: Tensor) -> Tensor:
    return x.to(torch.uint8) if x.dtype is torch.bool else x
