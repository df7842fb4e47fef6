"""Functions that move elements and change none."""

from typing import Any

import torch
from torch import Tensor

from babel_dl.backend.contract import Shape
from babel_dl_torch.binding import bound
from babel_dl_torch.tracing import is_tracing


def refuses_bad_indices(x: Tensor) -> bool:
    """Whether PyTorch answers an index outside of `x` with an error.

    It does so on the CPU, where a guard can therefore wait until the error comes. On a GPU such an index kills the process's
    context, and a compiled graph cannot raise: there the guard has to be part of the computation.
    """
    return x.is_cpu and not is_tracing()


class TorchShape(Shape):
    """Reshaping, joining, indexing."""

    reshape = bound(torch.reshape)
    permute_dims = bound(torch.permute)
    expand_dims = bound(torch.unsqueeze)
    squeeze = bound(torch.squeeze)
    broadcast_to = bound(torch.broadcast_to)
    concat = bound(torch.cat)
    stack = bound(torch.stack)
    split = bound(torch.split)
    flip = bound(torch.flip)
    tile = bound(torch.tile)

    def pad(self, x: Tensor, widths: tuple[tuple[int, int], ...], value: float) -> Tensor:
        """PyTorch lists the widths from the last axis to the first."""
        return torch.constant_pad_nd(x, [width for pair in reversed(widths) for width in pair], value)

    def getitem(self, x: Tensor, index: tuple[Any, ...]) -> Tensor:
        """`x[index]`, with numpy's rules where PyTorch has others."""
        for item in index:
            if isinstance(item, Tensor) or (isinstance(item, slice) and item.step is not None and item.step < 0):
                return _getitem_as_numpy(x, index)
        return x[index]

    def take(self, x: Tensor, indices: Tensor, axis: int) -> Tensor:
        """`torch.index_select`: its gradient is twice as fast as that of `x[indices]`."""
        flat = indices.reshape(-1)
        if flat.dtype not in (torch.int32, torch.int64):
            flat = flat.long()
        picked = _index_select(x, flat, axis)
        return picked if indices.ndim == 1 else picked.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])

    def take_along_axis(self, x: Tensor, indices: Tensor, axis: int) -> Tensor:
        """`torch.take_along_dim`, which wants int64."""
        return torch.take_along_dim(x, indices.long(), axis)


def _index_select(x: Tensor, indices: Tensor, axis: int) -> Tensor:
    if refuses_bad_indices(x):
        try:
            return torch.index_select(x, axis, indices)
        except (IndexError, RuntimeError):  # both occur, by rank; one is negative, or truly outside: then it is raised again below
            pass
    return torch.index_select(x, axis, torch.where(indices < 0, indices + x.shape[axis], indices))


def _getitem_as_numpy(x: Tensor, index: tuple[Any, ...]) -> Tensor:
    """Steps backwards become a flip. A number beside an index tensor becomes one too: numpy joins them, PyTorch would not."""
    ranks = [item.ndim for item in index if isinstance(item, Tensor) and item.dtype is not torch.bool]
    translated: list[Any] = []
    for axis, item in _with_axes(x, index):
        if isinstance(item, Tensor):
            translated.append(item if item.dtype in (torch.bool, torch.int32, torch.int64) else item.long())
        elif isinstance(item, slice) and item.step is not None and item.step < 0:
            x = torch.flip(x, (axis,))
            translated.append(_mirrored(item, x.shape[axis]))
        elif isinstance(item, int) and any(ranks):
            translated.append(torch.full((1,) * max(ranks), item, dtype=torch.int64, device=x.device))
        else:
            translated.append(item)
    return x[tuple(translated)]


def _with_axes(x: Tensor, index: tuple[Any, ...]) -> list[tuple[int, Any]]:
    # `item is ...` instead of `in`: comparing a tensor would give a tensor
    used = [0 if item is None or item is ... else item.ndim if _is_mask(item) else 1 for item in index]
    pairs, axis = [], 0
    for item, width in zip(index, used, strict=True):
        pairs.append((axis, item))
        axis += x.ndim - sum(used) if item is ... else width
    return pairs


def _is_mask(item: Any) -> bool:
    return isinstance(item, Tensor) and item.dtype is torch.bool


def _mirrored(backwards: slice, size: int) -> slice:
    places = range(*backwards.indices(size))
    first = size - 1 - places.start
    return slice(first, first + (len(places) - 1) * -places.step + 1, -places.step) if places else slice(0, 0)
