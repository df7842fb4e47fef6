"""The same training in plain JAX: one jitted step with donated buffers. "best" passes flat lists, which cross faster than dicts, pools by
reshaping, and scans over an epoch's steps in one call; but not where there are convolutions, which XLA runs slower inside a loop on CPUs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.protocol import Contestant, Setup
from benchmarks.training import task

Tree = Any
Step = Callable[..., tuple[Tree, tuple[Any, Any]]]


def contestant(setup: Setup) -> Contestant:
    """The twin of a style."""
    model, is_best = setup.workload, setup.style == "best"
    state, step = _state_and_step(model, "reshape" if is_best else "window")
    if is_best:
        leaves, structure = jax.tree.flatten(state)

        def flat(leaves: Tree, *batch: Any) -> Any:
            state, measures = step(jax.tree.unflatten(structure, leaves), *batch)
            return jax.tree.leaves(state), measures

        return task.trained(model, (_scanned if model == "mlp" else _one_by_one)(model, leaves, flat))
    return task.trained(model, _one_by_one(model, state, step))


def _one_by_one(model: str, state: Tree, step: Step) -> Callable[[int], float]:
    compiled, done = jax.jit(step, donate_argnums=0), 0

    def run(epoch: int) -> float:
        nonlocal state, done
        losses, hits = [], []
        for image, label in task.batches(model, epoch):
            state, (loss, hit) = compiled(state, image, label, np.float32(task.learning_rate(done)))
            losses.append(loss)
            hits.append(hit)
            done += 1
        float(np.mean(jax.device_get(hits)))
        return float(np.mean(jax.device_get(losses)))

    return run


def _scanned(model: str, state: Tree, step: Step) -> Callable[[int], float]:
    done, (images, labels) = 0, task.arrays()

    @partial(jax.jit, donate_argnums=0)
    def steps(state: Tree, image: Any, label: Any, rate: Any) -> tuple[Tree, tuple[Any, Any]]:
        return lax.scan(lambda state, batch: step(state, *batch), state, (image, label, rate))

    def run(epoch: int) -> float:
        nonlocal state, done
        order = task.order(model, epoch)
        image = images.take(order.reshape(-1), 0, mode="clip").reshape(*order.shape, *images.shape[1:])
        state, (losses, hits) = steps(state, image, labels.take(order), task.learning_rates(done, len(order)))
        done += len(order)
        float(np.mean(hits))
        return float(np.mean(losses))

    return run


def _state_and_step(model: str, pooling: str) -> tuple[dict[str, Tree], Step]:
    weights = jax.tree.map(jnp.asarray, task.weights(model))
    state: dict[str, Tree] = {"weights": weights, "first": jax.tree.map(jnp.zeros_like, weights)}
    if task.SETTINGS[model].rule == "adam":
        state |= {"second": jax.tree.map(jnp.zeros_like, weights), "count": jnp.zeros(())}
    state["statistics"] = [(jnp.zeros(n), jnp.ones(n)) for n in (task.CNN if model == "cnn" else ())]

    def loss_of(weights: Tree, statistics: Tree, x: Any, y: Any) -> tuple[Any, Any]:
        logits, statistics = forward(model, weights, statistics, x, pooling)
        loss = -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1))
        return loss, (statistics, jnp.mean((jnp.argmax(logits, 1) == y).astype(jnp.float32)))

    def step(state: dict[str, Tree], image: Any, label: Any, rate: Any) -> tuple[Tree, tuple[Any, Any]]:
        x, y = image.astype(jnp.float32), label.astype(jnp.int32)
        slopes = jax.value_and_grad(loss_of, has_aux=True)
        (loss, (statistics, hits)), gradients = slopes(state["weights"], state["statistics"], x, y)
        moved = _adam(state, gradients, rate) if "second" in state else _sgd(state, gradients, rate)
        return {**moved, "statistics": statistics}, (loss, hits)

    return state, step


def _sgd(state: dict[str, Tree], gradients: Tree, rate: Any) -> dict[str, Tree]:
    first = jax.tree.map(lambda m, g: task.MOMENTUM * m + g, state["first"], gradients)
    weights = jax.tree.map(lambda w, g, m: w - rate * (g + task.MOMENTUM * m), state["weights"], gradients, first)
    return {"weights": weights, "first": first}


def _adam(state: dict[str, Tree], gradients: Tree, rate: Any) -> dict[str, Tree]:
    count = state["count"] + 1
    first = jax.tree.map(lambda m, g: task.BETA1 * m + (1 - task.BETA1) * g, state["first"], gradients)
    second = jax.tree.map(lambda v, g: task.BETA2 * v + (1 - task.BETA2) * g * g, state["second"], gradients)
    one, two = 1 - task.BETA1**count, 1 - task.BETA2**count
    weights = jax.tree.map(lambda w, m, v: w - rate * (m / one) / (jnp.sqrt(v / two) + task.EPS), state["weights"], first, second)
    return {"weights": weights, "first": first, "second": second, "count": count}


def forward(model: str, p: dict[str, Any], statistics: Tree, x: Any, pooling: str, is_training: bool = True) -> tuple[Any, Tree]:
    """The logits, and the statistics as they are now.

    Args:
        model: Which network.
        p: Its weights by name.
        statistics: Mean and variance of each normalization.
        x: Images (batch, 28, 28, 1), float, from 0 to 255.
        pooling: "window" or "reshape".
        is_training: Whether to normalize by the batch.
    """
    new: list[Any] = []

    def normalized(x: Any, place: int) -> Any:
        mean, variance = statistics[place]
        if is_training:
            axes = tuple(range(x.ndim - 1))
            now = jnp.mean(x, axes), jnp.var(x, axes)
            new.append(tuple(_drifted(*pair) for pair in zip((mean, variance), now, strict=True)))
            mean, variance = now
        return (x - mean) * lax.rsqrt(variance + task.BN_EPS) * p[f"scale{place}"] + p[f"offset{place}"]

    if model == "mlp":
        x = x.reshape(-1, 784) / 255.0
    for place in range(sum(name.startswith("kernel") for name in p)):
        x = normalized(x, place) if model == "cnn" else x
        x = lax.conv_general_dilated(x, p[f"kernel{place}"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        x = jax.nn.relu(x + p[f"shift{place}"])
        x = pooled(x, pooling) if place < 3 else x
    if model == "cnn":
        x = normalized(jnp.mean(x, (1, 2)), 4)
    x = jax.nn.relu(x.reshape(len(x), -1) @ p["weight0"] + p["bias0"])
    return x @ p["weight1"] + p["bias1"], new


def _drifted(old: Any, now: Any) -> Any:
    return (1 - task.BN_MOMENTUM) * old + task.BN_MOMENTUM * now


def pooled(x: Any, pooling: str) -> Any:
    """The largest of each 2 x 2 places."""
    if pooling == "window":
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    batch, height, width, channels = x.shape
    even = x[:, : height // 2 * 2, : width // 2 * 2]
    return even.reshape(batch, height // 2, 2, width // 2, 2, channels).max((2, 4))
