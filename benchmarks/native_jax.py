"""The same training in plain JAX: one jitted step with donated buffers. "best" passes flat lists, which cross faster than dicts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks import task

SIZES = (1, 12, 18, 18, 18)


def make_round(model: str, style: str) -> Callable[[int], float]:
    """A function that trains one epoch and returns its mean loss."""
    images, labels = task.arrays()
    params, statistics = _initial(model)
    structure = jax.tree.structure(params)
    pack = jax.tree.leaves if style == "best" else lambda tree: tree
    unpack = partial(jax.tree.unflatten, structure) if style == "best" else lambda tree: tree
    learnt = pack(params)
    momenta = jax.tree.map(jnp.zeros_like, learnt)
    step = 0

    def loss_of(learnt: Any, statistics: Any, x: Any, y: Any) -> tuple[Any, Any]:
        logits, statistics = _forward(model, unpack(learnt), statistics, x)
        loss = -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1))
        return loss, (statistics, jnp.mean((jnp.argmax(logits, 1) == y).astype(jnp.float32)))

    @partial(jax.jit, donate_argnums=(0, 1, 2))
    def train_step(learnt: Any, momenta: Any, statistics: Any, image: Any, y: Any, rate: Any) -> Any:
        x, y = image.astype(jnp.float32), y.astype(jnp.int32)
        (loss, (statistics, hits)), gradients = jax.value_and_grad(loss_of, has_aux=True)(learnt, statistics, x, y)
        momenta = jax.tree.map(lambda m, g: task.MOMENTUM * m + g, momenta, gradients)
        learnt = jax.tree.map(lambda w, g, m: w - rate * (g + task.MOMENTUM * m), learnt, gradients, momenta)
        return learnt, momenta, statistics, loss, hits

    def run(epoch: int) -> float:
        nonlocal learnt, momenta, statistics, step
        losses, hits = [], []
        for image, label in task.batches(images, labels, epoch):
            rate = np.float32(task.learning_rate(step))
            learnt, momenta, statistics, loss, hit = train_step(learnt, momenta, statistics, image, label, rate)
            losses.append(loss)
            hits.append(hit)
            step += 1
        float(np.mean(jax.device_get(hits)))
        return float(np.mean(jax.device_get(losses)))

    return run


def _initial(model: str) -> tuple[dict[str, Any], list[Any]]:
    random = np.random.default_rng(0)

    def weight(*shape: int) -> Any:
        limit = np.sqrt(6 / (np.prod(shape[:-1]) + shape[-1]))
        return jnp.asarray(random.uniform(-limit, limit, shape).astype(np.float32))

    if model == "mlp":
        return {"w0": weight(784, 64), "b0": jnp.zeros(64), "w1": weight(64, 10), "b1": jnp.zeros(10)}, []
    params = {"w0": weight(18, 18), "b0": jnp.zeros(18), "w1": weight(18, 10), "b1": jnp.zeros(10)}
    for index, (before, filters) in enumerate(pairwise(SIZES)):
        params[f"kernel{index}"], params[f"bias{index}"] = weight(3, 3, before, filters), jnp.zeros(filters)
    for index, size in enumerate(SIZES):
        params[f"scale{index}"], params[f"offset{index}"] = jnp.ones(size), jnp.zeros(size)
    return params, [(jnp.zeros(size), jnp.ones(size)) for size in SIZES]


def _forward(model: str, params: dict[str, Any], statistics: list[Any], x: Any) -> tuple[Any, list[Any]]:
    new: list[Any] = []

    def normalise(x: Any, index: int) -> Any:
        axes = tuple(range(x.ndim - 1))
        mean, variance = jnp.mean(x, axes), jnp.var(x, axes)
        old_mean, old_variance = statistics[index]
        new.append((0.9 * old_mean + 0.1 * mean, 0.9 * old_variance + 0.1 * variance))
        return (x - mean) * lax.rsqrt(variance + 1e-5) * params[f"scale{index}"] + params[f"offset{index}"]

    if model == "mlp":
        x = x.reshape(-1, 784) / 255.0
    else:
        for index in range(4):
            kernel = params[f"kernel{index}"]
            x = lax.conv_general_dilated(normalise(x, index), kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
            x = jax.nn.relu(x + params[f"bias{index}"])
            if index < 3:
                x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        x = normalise(jnp.mean(x, (1, 2)), 4)
    x = jax.nn.relu(x @ params["w0"] + params["b0"])
    return x @ params["w1"] + params["b1"], new
