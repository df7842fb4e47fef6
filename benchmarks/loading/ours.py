"""babel_dl: the loader of a dataset of arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from babel_dl import ops
from babel_dl.data import ArrayDataset
from benchmarks.loading import task
from benchmarks.protocol import Contestant, Setup
from benchmarks.training.ours import enter


class Image(NamedTuple):
    """What goes in."""

    image: Any


class Nothing(NamedTuple):
    """A dataset has two sides."""

    index: Any


def contestant(setup: Setup) -> Contestant:
    """Walks through the loader, and makes each batch a float tensor."""
    enter(setup)
    data = ArrayDataset(Image(task.images()), Nothing(np.zeros(task.COUNT, np.uint8)))
    loaders = {size: data.to_dataloader(size, drop_last=True) for size in task.BATCH_SIZES}

    def tensors(batch_size: int, epoch: int) -> Iterator[Any]:
        for inputs, _ in loaders[batch_size].batches(epoch):
            yield ops.asarray(inputs.image).astype("float32")

    return task.walked(tensors, lambda last: last.numpy())
