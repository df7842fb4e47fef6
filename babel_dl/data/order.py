"""Which sample stands in which batch: a pure function of seed and epoch, the same on every machine and backend."""

from collections.abc import Iterator

import numpy as np

from babel_dl.core.random import host_generator


def epoch_order(num_samples: int, seed: int, epoch: int, shuffle: bool) -> np.ndarray:
    """The sample indices in the order of an epoch.

    They are sorted by random words straight from the counter-based generator, whose bits are fixed by its specification;
    `Generator.permutation` may change with numpy's version.

    Args:
        num_samples: How many samples there are.
        seed: The seed.
        epoch: The epoch, from 0.
        shuffle: Whether to mix them; if not, they come in their own order.

    Returns:
        int64 of shape (num_samples,); each index once.
    """
    if not shuffle:
        return np.arange(num_samples, dtype=np.int64)
    words = host_generator(seed, "sample order", epoch).bit_generator.random_raw(num_samples)
    return np.argsort(words, kind="stable").astype(np.int64, copy=False)


def batch_indices(order: np.ndarray, batch_size: int, drop_last: bool, start_step: int = 0) -> Iterator[np.ndarray]:
    """The sample indices of each batch.

    Args:
        order: All sample indices.
        batch_size: Samples in a batch.
        drop_last: Whether to leave out a last batch that is not full.
        start_step: How many batches to leave out at the start.

    Yields:
        Parts of `order`.
    """
    end = len(order) - len(order) % batch_size if drop_last else len(order)
    for start in range(start_step * batch_size, end, batch_size):
        yield order[start : start + batch_size]
