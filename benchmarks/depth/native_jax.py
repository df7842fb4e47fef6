"""JAX: one jitted step with donated buffers; and all steps of a round scanned in one call."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.depth import task
from benchmarks.protocol import Contestant, Setup

State = tuple[list[Any], list[Any]]


def contestant(setup: Setup) -> Contestant:
    """The twin of a style."""
    return task.deepened(_scanned if setup.style == "best" else _one_by_one)


def _loss(p: list[Any], x: Any, y: Any) -> Any:
    for place in range(0, len(p), 2):
        x = (jax.nn.relu(x) if place else x) @ p[place] + p[place + 1]
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(x), y.astype(jnp.int32)[:, None], 1))


def _step(state: State, x: Any, y: Any) -> tuple[State, Any]:
    p, momenta = state
    loss, gradients = jax.value_and_grad(_loss)(p, x, y)
    momenta = [task.MOMENTUM * m + g for m, g in zip(momenta, gradients, strict=True)]
    p = [w - task.RATE * (g + task.MOMENTUM * m) for w, g, m in zip(p, gradients, momenta, strict=True)]
    return (p, momenta), loss


def _first(depth: int) -> State:
    p = [jnp.asarray(value) for value in task.weights(depth)]
    return p, [jnp.zeros_like(value) for value in p]


def _one_by_one(depth: int) -> Callable[[int], float]:
    state, compiled = _first(depth), jax.jit(_step, donate_argnums=0)

    def run(number: int) -> float:
        nonlocal state
        losses = []
        for x, y in task.batches(number):
            state, loss = compiled(state, x, y)
            losses.append(loss)
        return float(np.mean(jax.device_get(losses)))

    return run


def _scanned(depth: int) -> Callable[[int], float]:
    state, (inputs, classes) = _first(depth), task.arrays()

    @partial(jax.jit, donate_argnums=0)
    def steps(state: State, x: Any, y: Any) -> tuple[State, Any]:
        return lax.scan(lambda state, batch: _step(state, *batch), state, (x, y))

    def run(number: int) -> float:
        nonlocal state
        order = task.order(number)
        state, losses = steps(state, inputs[order], classes[order])
        return float(np.mean(losses))

    return run
