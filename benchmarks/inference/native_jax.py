"""JAX: a jitted function of weights and images; and one with the weights as constants. To pool by reshaping is
faster only where a gradient is taken."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.inference import task
from benchmarks.protocol import Contestant, Setup
from benchmarks.training.native_jax import forward
from benchmarks.training.task import weights


def contestant(setup: Setup) -> Contestant:
    """The twin of a style."""
    p = jax.tree.map(jnp.asarray, weights(task.MODEL))

    def answers(p: Any, images: Any) -> Any:
        return forward(task.MODEL, p, [], images.astype(jnp.float32), "window", is_training=False)[0]

    if setup.style == "manual":
        manual = jax.jit(answers)
        return task.asked_in_batches(lambda images: np.asarray(manual(p, images)))
    best = jax.jit(lambda images: answers(p, images))
    return task.asked_in_batches(lambda images: np.asarray(best(images)))
