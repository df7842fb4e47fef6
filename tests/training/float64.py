"""Models in float64, in which central differences are exact enough to judge gradients."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from babel_dl.backend import Backend
from babel_dl.core import Module, Variable

STEP = 1e-6


@contextmanager
def wide(backend: Backend) -> Iterator[None]:
    """While it is open the backend has types of 64 bits: JAX has them only when it is told."""
    if backend.name != "jax":
        yield
        return
    import jax

    with jax.enable_x64(True):
        yield


def widen(variable: Variable, value: Any) -> None:
    """Keeps a variable in float64 from now on, with this value."""
    variable.static_dtype = "float64"
    variable.storage = variable.backend.variable(np.asarray(value, np.float64), "float64", variable.trainable, variable.path)


def widen_all(module: Module, seed: int = 0) -> None:
    """Keeps all floating variables in float64, and moves parameters off their first values, where scales and offsets are all alike."""
    rng = np.random.default_rng(seed)
    for variable in module.variables:
        if variable.dtype == "float32":
            shift = rng.uniform(-0.3, 0.3, variable.shape) if variable.is_parameter else 0.0
            widen(variable, variable.numpy().astype(np.float64) + shift)


class Restart:
    """Puts back what a forward pass moves: counters of dropout and running statistics. So each pass is the same function of the weights.

    Args:
        modules: Whose state is kept.
    """

    def __init__(self, *modules: Module) -> None:
        self._kept = [(v, v.stored.copy()) for module in modules for v in module.variables if not v.is_parameter]

    def __call__(self) -> None:
        for variable, value in self._kept:
            variable.assign(value)


def put(variable: Variable, value: np.ndarray) -> None:
    """Assigns float64 values without rounding them to float32 on the way."""
    variable.backend.assign(variable.storage, variable.backend.asarray(value, "float64"))


def slopes(loss: Callable[[], float], variable: Variable, directions: Sequence[np.ndarray]) -> list[float]:
    """Central differences of a loss along some directions of a variable.

    Args:
        loss: A function of what variables hold.
        variable: What is moved.
        directions: Of its shape.
    """
    found, center = [], variable.numpy()
    for direction in directions:
        put(variable, center + STEP * direction)
        above = loss()
        put(variable, center - STEP * direction)
        below = loss()
        put(variable, center)
        found.append((above - below) / (2 * STEP))
    return found


def directions_of(variable: Variable, count: int = 3) -> list[np.ndarray]:
    """Some directions of a variable: each element by itself where there are few, else random ones over all of them."""
    rng = np.random.default_rng(variable.size)
    if variable.size <= 4:
        return list(np.eye(variable.size).reshape(-1, *variable.shape))
    return [rng.normal(size=variable.shape) for _ in range(count)]
