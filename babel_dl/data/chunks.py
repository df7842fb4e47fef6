"""Several batches in one array each, for steps that run in one call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from babel_dl.data.batch import Batch
from babel_dl.data.order import batch_indices, epoch_order
from babel_dl.data.workers import make_batch
from babel_dl.ops import tree

if TYPE_CHECKING:
    from babel_dl.data.loader import DataLoader


class Chunk(NamedTuple):
    """Some batches.

    Attributes:
        batch: Named tuples of arrays (capacity, batch, ...), or of one batch.
        num_batches: How many of the places hold a batch; 0 for one batch without the leading axis.
    """

    batch: Batch
    num_batches: int


def capacity_of(loader: DataLoader, max_bytes: int, max_batches: int) -> int:
    """How many batches a chunk of the loader's may have; 1 where they are read sample by sample, or differ in shape.

    Args:
        loader: Whose batches.
        max_bytes: How much memory a chunk may take.
        max_batches: How many batches it may have.
    """
    dataset = loader.dataset
    if not (dataset.is_gathered and dataset.has_one_shape):
        return 1
    sample = make_batch(dataset, loader.seed, 0, np.zeros(1, np.int64))
    size = sum(np.asarray(leaf).nbytes for leaf in tree.leaves(sample)) * loader.batch_size
    return max(1, min(max_batches, max_bytes // max(size, 1), loader.num_samples // loader.batch_size))


def chunks(loader: DataLoader, epoch: int, start_step: int, capacity: int) -> Iterator[Chunk]:
    """The batches of an epoch in the loader's order, from any step on; a last batch that is not full comes alone.

    Every chunk has the same shape, so nothing is compiled anew for the last one: places without a batch hold other samples.

    Args:
        loader: Whose batches; of a dataset that is gathered.
        epoch: The epoch, from 0.
        start_step: How many batches to leave out.
        capacity: Batches in a chunk.
    """
    order = epoch_order(loader.num_samples, loader.seed, epoch, loader.shuffle)
    size, num_full = loader.batch_size, loader.num_samples // loader.batch_size
    for first in range(start_step, num_full, capacity):
        count = min(capacity, num_full - first)
        indices = np.resize(order[first * size : (first + count) * size], capacity * size)
        gathered = make_batch(loader.dataset, loader.seed, epoch, indices)
        yield Chunk(tree.map_leaves(lambda leaf: leaf.reshape(capacity, size, *leaf.shape[1:]), gathered), count)
    for indices in batch_indices(order, size, loader.drop_last, max(start_step, num_full)):
        yield Chunk(make_batch(loader.dataset, loader.seed, epoch, indices), 0)
