"""Transposed convolutions, by PyTorch's own on channels-last views."""

import torch
from torch import Tensor

from babel_dl.backend.contract import Pairs

Sizes = tuple[int, ...]


def convolve_transposed(
    x: Tensor, kernel: Tensor, bias: Tensor | None, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int
) -> Tensor:
    """See `Neural.convolution_transpose`. What PyTorch cannot cut off or add is cut or added afterwards."""
    if x.ndim == 3:
        wide = convolve_transposed(
            x.unsqueeze(1), kernel.unsqueeze(0), bias, (1, *stride), ((0, 0), *padding), (1, *dilation), groups
        )
        return wide.squeeze(1)
    cuts, added, starts, ends = zip(*map(_shared, padding, stride, dilation), strict=True)
    is_late = max(ends) > 0  # the offset reaches what is added, too
    early = None if is_late else bias
    y = torch.conv_transpose2d(x.permute(0, 3, 1, 2), _weight(kernel, groups), early, stride, cuts, added, groups, dilation)
    y = y.permute(0, 2, 3, 1)
    if any(starts) or any(ends):
        y = torch.constant_pad_nd(y, (0, 0, starts[1], ends[1], starts[0], ends[0]))
    return y + bias if is_late and bias is not None else y


def _shared(pair: tuple[int, int], step: int, gap: int) -> tuple[int, int, int, int]:
    """What PyTorch cuts off an axis on both sides and leaves on at the end, and what is then added at both ends, below 0 to cut."""
    before, after = pair
    if 0 <= before - after < max(step, gap):  # PyTorch leaves on less than a step
        return before, before - after, 0, 0
    cut = min(before, max(after, 0))
    return cut, 0, cut - before, cut - after


def _weight(kernel: Tensor, groups: int) -> Tensor:
    """(in, out / groups, height, width) from (height, width, in / groups, out); a view for one group."""
    if groups == 1:
        return kernel.permute(2, 3, 0, 1)
    height, width, part, out = kernel.shape
    apart = kernel.reshape(height, width, part, groups, out // groups)
    return apart.permute(3, 2, 4, 0, 1).reshape(groups * part, out // groups, height, width)
