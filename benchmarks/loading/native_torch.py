"""PyTorch: a DataLoader over a TensorDataset; and one gather into a buffer."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.loading import task
from benchmarks.protocol import Contestant, Setup


def contestant(setup: Setup) -> Contestant:
    """The twin of a style."""
    if setup.style == "best":
        return task.walked(lambda size, epoch: (torch.from_numpy(batch).float() for batch in task.taken(size, epoch)))
    data = TensorDataset(torch.from_numpy(task.images()))
    loaders = {size: DataLoader(data, size, shuffle=True, drop_last=True) for size in task.BATCH_SIZES}

    def tensors(batch_size: int, epoch: int) -> Iterator[torch.Tensor]:
        for (batch,) in loaders[batch_size]:
            yield batch.float()

    return task.walked(tensors)
