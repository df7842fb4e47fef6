"""The same step by hand in JAX: one jitted function with donated buffers. "best" passes flat lists, and pools by reshaping;
where there are no convolutions, which XLA runs slower inside a loop on CPUs, it scans over all steps of a round in one call.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.custom_step import task
from benchmarks.protocol import Setup

Tree = Any
DIMENSIONS = ("NHWC", "HWIO", "NHWC")


class Forward:
    """The networks as functions of weights and running statistics.

    Args:
        model: Which.
        style: How to pool: "manual" by `reduce_window`, "best" by a maximum over a reshaped image.
    """

    def __init__(self, model: str, style: str) -> None:
        self.model, self.pool = model, _pool_by_window if style == "manual" else _pool_by_reshape

    def generator(self, p: Tree, statistics: Tree, z: Any) -> tuple[Any, Tree]:
        """Images (batch, 28, 28, 1), and the statistics as they are now."""
        if self.model == "gan":
            hidden = jax.nn.relu(z @ p["0/weight"] + p["0/bias"])
            return jnp.tanh(hidden @ p["1/weight"] + p["1/bias"]).reshape(-1, 28, 28, 1), statistics
        x, new = z.reshape(-1, 4, 4, 8), dict(statistics)
        for place in range(len(task.GENERATOR)):
            if place:
                x = jnp.repeat(jnp.repeat(x, 2, 1), 2, 2)
            x = _convolution(p, place, x)
            if place + 1 < len(task.GENERATOR):
                x = _normalized(p, place, jax.nn.relu(x), new)
        return jax.image.resize(x, (x.shape[0], 28, 28, 1), "bilinear", antialias=False), new

    def discriminator(self, p: Tree, statistics: Tree, x: Any) -> tuple[Any, Tree]:
        """Logits, and the statistics as they are now."""
        if self.model == "gan":
            hidden = jax.nn.relu(x.reshape(-1, 784) @ p["0/weight"] + p["0/bias"])
            return hidden @ p["1/weight"] + p["1/bias"], statistics
        new = dict(statistics)
        for place in range(len(task.DISCRIMINATOR)):
            x = _convolution(p, place, x)
            if place + 1 < len(task.DISCRIMINATOR):
                x = self.pool(_normalized(p, place, jax.nn.relu(x), new))
        return x, new


def _convolution(p: Tree, place: int, x: Any) -> Any:
    return lax.conv_general_dilated(x, p[f"{place}/weight"], (1, 1), "SAME", dimension_numbers=DIMENSIONS) + p[f"{place}/bias"]


def _normalized(p: Tree, place: int, x: Any, statistics: dict[str, Any]) -> Any:
    mean, variance = jnp.mean(x, (0, 1, 2)), jnp.var(x, (0, 1, 2))
    count = x.size // x.shape[-1]
    for name, value in ((f"{place}/mean", mean), (f"{place}/variance", variance * (count / (count - 1)))):
        statistics[name] = (1 - task.BN_MOMENTUM) * statistics[name] + task.BN_MOMENTUM * lax.stop_gradient(value)
    return (x - mean) * lax.rsqrt(variance + task.BN_EPS) * p[f"{place}/scale"] + p[f"{place}/offset"]


def _pool_by_window(x: Any) -> Any:
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def _pool_by_reshape(x: Any) -> Any:
    batch, height, width, channels = x.shape
    even = x[:, : height // 2 * 2, : width // 2 * 2]
    return even.reshape(batch, height // 2, 2, width // 2, 2, channels).max((2, 4))


def _binary_cross_entropy(logits: Any, is_real: float) -> Any:
    return jnp.mean(jax.nn.softplus(-logits) if is_real else jax.nn.softplus(logits))


def _adam(p: Tree, gradients: Tree, first: Tree, second: Tree, count: Any) -> tuple[Tree, Tree, Tree]:
    first = jax.tree.map(lambda m, g: task.BETA1 * m + (1 - task.BETA1) * g, first, gradients)
    second = jax.tree.map(lambda v, g: task.BETA2 * v + (1 - task.BETA2) * g * g, second, gradients)
    one, two = 1 - task.BETA1**count, 1 - task.BETA2**count
    moved = jax.tree.map(lambda w, m, v: w - task.LEARNING_RATE * (m / one) / (jnp.sqrt(v / two) + task.EPS), p, first, second)
    return moved, first, second


def _make_step(model: str, style: str, draws: bool) -> Callable[[Tree, Any, Any], tuple[Tree, Any, Any]]:
    forward = Forward(model, style)

    def g_loss(p: Tree, state: Tree, z: Any) -> Any:
        fake, generator = forward.generator(p, state["statistics"]["generator"], z)
        logits, discriminator = forward.discriminator(state["weights"]["discriminator"], state["statistics"]["discriminator"], fake)
        return _binary_cross_entropy(logits, 1.0), (fake, {"generator": generator, "discriminator": discriminator})

    def d_loss(p: Tree, statistics: Tree, fake: Any, real: Any) -> Any:
        on_fake, statistics = forward.discriminator(p, statistics, fake)
        on_real, statistics = forward.discriminator(p, statistics, real)
        return 0.5 * (_binary_cross_entropy(on_fake, 0.0) + _binary_cross_entropy(on_real, 1.0)), statistics

    def moved(state: Tree, net: str, gradients: Tree, count: Any) -> None:
        weights, first, second = (state[part] for part in ("weights", "first", "second"))
        weights[net], first[net], second[net] = _adam(weights[net], gradients, first[net], second[net], count)

    def step(state: Tree, image: Any, noise: Any) -> tuple[Tree, Any, Any]:
        state = {part: dict(value) if isinstance(value, dict) else value for part, value in state.items()}
        real = image.astype(jnp.float32) / 127.5 - 1.0
        if draws:
            state["key"], drawn = jax.random.split(state["key"])
            noise = jax.random.normal(drawn, (len(image), task.NOISE[model]))
        count = state["count"] = state["count"] + 1.0
        (g, (fake, statistics)), gradients = jax.value_and_grad(g_loss, has_aux=True)(state["weights"]["generator"], state, noise)
        moved(state, "generator", gradients, count)
        fake = lax.stop_gradient(fake)
        critic = jax.value_and_grad(d_loss, has_aux=True)
        (d, statistics["discriminator"]), gradients = critic(state["weights"]["discriminator"], statistics["discriminator"], fake, real)
        moved(state, "discriminator", gradients, count)
        state["statistics"] = statistics
        return state, g, d

    return step


def _scan(step: Callable[..., Any], state: Tree, images: Any, noise: Any) -> tuple[Tree, Any]:
    def one(state: Tree, batch: tuple[Any, Any]) -> tuple[Tree, Any]:
        state, g, d = step(state, *batch)
        return state, jnp.stack((g, d))

    return lax.scan(one, state, (images, noise))


def contestant(setup: Setup) -> Contestant:
    """The twin of a style; it draws its noise, unless it is given."""
    return Contestant(setup.workload, setup.style, setup.option != "given")


class Contestant(task.Rounds):
    """Trains rounds.

    Args:
        model: What.
        style: "manual" for dicts of arrays; "best" for flat lists, which cross into the compiled function faster, and a scan.
        draws: Whether the step draws its noise.
    """

    def __init__(self, model: str, style: str, draws: bool) -> None:
        self.model, self.steps = model, None
        weights = jax.tree.map(jnp.asarray, task.weights(model))
        statistics = {net: _first_statistics(p) for net, p in weights.items()}
        first, second = (jax.tree.map(jnp.zeros_like, weights) for _ in range(2))
        state = {"weights": weights, "first": first, "second": second, "statistics": statistics, "count": jnp.zeros(())}
        state["key"] = jax.random.key(0)
        step = _make_step(model, style, draws)
        if style == "best":
            leaves, structure = jax.tree.flatten(state)
            self.state: Tree = leaves

            def flat(leaves: list[Any], image: Any, noise: Any) -> Any:
                state, g, d = step(jax.tree.unflatten(structure, leaves), image, noise)
                return jax.tree.leaves(state), g, d

            self.step = jax.jit(flat, donate_argnums=0)
            if model == "gan":
                self.steps = partial(jax.jit, donate_argnums=0)(partial(_scan, flat))
        else:
            self.state, self.step = state, partial(jax.jit, donate_argnums=0)(step)

    def losses(self, number: int = 0) -> np.ndarray:
        """Both losses of each step of a round, (steps, 2)."""
        if self.steps is not None:
            self.state, rows = self.steps(self.state, *map(np.stack, zip(*task.batches(self.model, number), strict=True)))
            return np.asarray(rows)
        rows = []
        for batch in task.batches(self.model, number):
            self.state, g, d = self.step(self.state, batch.image, batch.noise)
            rows.append((g, d))
        return np.array(jax.device_get(rows))

    def round(self, number: int) -> float:
        """One round; the mean loss of the discriminator."""
        return float(self.losses(number)[:, 1].mean())


def _first_statistics(p: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for name, value in p.items():
        if name.endswith("/scale"):
            place = name.partition("/")[0]
            found[f"{place}/mean"], found[f"{place}/variance"] = jnp.zeros_like(value), jnp.ones_like(value)
    return found
