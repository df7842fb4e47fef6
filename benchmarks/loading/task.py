"""What is loaded: 60,000 images of 28 x 28 random bytes in memory, in random order, as float tensors of the framework."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

import numpy as np

from benchmarks.protocol import Answer, Contestant, microseconds

COUNT, BATCH_SIZES = 60_000, (32, 256)


@cache
def images() -> np.ndarray:
    """Images (60000, 28, 28, 1), uint8."""
    return np.random.default_rng(0).integers(0, 256, (COUNT, 28, 28, 1), np.uint8)


def walked(tensors: Callable[[int, int], Iterable[Any]], wait: Callable[[Any], object] = lambda last: None) -> Contestant:
    """The contestant; a batch that is not full is left out.

    Args:
        tensors: From a batch size and an epoch to its tensors, one after the other.
        wait: Waits for a tensor, where a backend computes while Python goes on.
    """

    def walk(batch_size: int, epoch: int) -> None:
        last = None
        for tensor in tensors(batch_size, epoch):
            last = tensor
        wait(last)

    def answer(number: int) -> Answer:
        sizes = BATCH_SIZES
        return Answer({f"batch of {size}": microseconds(lambda size=size: walk(size, number), COUNT // size) for size in sizes})

    return answer


def chosen(batch_size: int, epoch: int) -> Iterator[np.ndarray]:
    """Which images each batch has."""
    order = np.random.default_rng(epoch).permutation(COUNT)
    for start in range(0, COUNT - batch_size + 1, batch_size):
        yield order[start : start + batch_size]


def taken(batch_size: int, epoch: int, buffers: int = 1) -> Iterator[np.ndarray]:
    """The images of each batch, gathered as fast as we know how: `take` into a buffer that is used again.

    Args:
        batch_size: How many.
        epoch: Another order for each.
        buffers: How many take turns, where a backend may still read the one before.
    """
    data = images().reshape(COUNT, -1)
    rows = [np.empty((batch_size, data.shape[1]), np.uint8) for _ in range(buffers)]
    for number, places in enumerate(chosen(batch_size, epoch)):
        buffer = rows[number % buffers]
        np.take(data, places, axis=0, out=buffer, mode="clip")
        yield buffer.reshape(batch_size, 28, 28, 1)
