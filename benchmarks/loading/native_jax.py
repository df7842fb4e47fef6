"""JAX has no loader: indexing by hand as its tutorials show it; and one gather into a buffer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.loading import task
from benchmarks.protocol import Contestant, Setup


def contestant(setup: Setup) -> Contestant:
    """The twin of a style."""
    images = task.images()
    if setup.style == "manual":
        return task.walked(
            lambda size, epoch: (jnp.asarray(images[places], jnp.float32) for places in task.chosen(size, epoch)), jax.block_until_ready
        )
    as_float = jax.jit(lambda batch: batch.astype(jnp.float32))

    def tensors(batch_size: int, epoch: int) -> Iterator[Any]:
        before = None
        for batch in task.taken(batch_size, epoch, buffers=2):
            now = as_float(batch)
            jax.block_until_ready(before)  # its buffer is filled next
            yield now
            before = now

    return task.walked(tensors, jax.block_until_ready)
