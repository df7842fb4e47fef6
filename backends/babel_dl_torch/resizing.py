"""Images in another size, by PyTorch's own kernels: on a channels-last view they move along whole pixels."""

import torch
import torch.nn.functional as F
from torch import Tensor


def upsample(x: Tensor, factors: tuple[int, ...]) -> Tensor:
    """See `Neural.upsample`."""
    if x.ndim == 3:
        return upsample(x.unsqueeze(1), (1, *factors)).squeeze(1)
    batch, height, width, channels = x.shape
    down, right = factors
    if x.is_floating_point() or x.dtype is torch.uint8:
        # "nearest" computes each place from a rounded quotient and can miss it by one; "nearest-exact" aims at the middle
        wide = F.interpolate(x.permute(0, 3, 1, 2), (height * down, width * right), mode="nearest-exact")
        return wide.permute(0, 2, 3, 1)
    repeated = x.reshape(batch, height, 1, width, 1, channels).expand(batch, height, down, width, right, channels)
    return repeated.reshape(batch, height * down, width * right, channels)


def interpolate(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """See `Neural.interpolate`."""
    if x.ndim == 3:
        return interpolate(x.unsqueeze(1), (1, *size)).squeeze(1)
    return F.interpolate(x.permute(0, 3, 1, 2), size, mode="bilinear").permute(0, 2, 3, 1)
