"""Small training steps written with a backend's functions, and their twins in numpy. The tests of state and transforms share them."""

from typing import Any

import numpy as np

from babel_dl.backend import Backend
from babel_dl.testing.conformance.judge import expect_native

RATE = 0.1


def variable(backend: Backend, value: Any, dtype: str = "float32", trainable: bool = True) -> Any:
    """A variable with this value."""
    return backend.variable(np.asarray(value), dtype, trainable, "variable")


def expect_variable(backend: Backend, storage: Any, wanted: Any, dtype: str = "float32") -> None:
    """Raises unless the variable holds this value now.

    Raises:
        Mismatch: It does not, or its tensor is symbolic outside of any trace.
    """
    expect_native(backend, backend.read(storage), wanted, dtype)


def increment(backend: Backend, storage: Any, amount: float | int = 1) -> None:
    """Adds a number to a variable."""
    backend.assign(storage, backend.add(backend.read(storage), amount))


def total(backend: Backend, x: Any) -> Any:
    """The sum of all elements, as a scalar."""
    axes = tuple(range(len(backend.shape(x))))
    return backend.sum(x, axes, False) if axes else x


class Regression:
    """A linear model with a bias that is made at the first step, a counter and gradient descent.

    Args:
        backend: Whose functions and variables it uses.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.weight = variable(backend, NumpyRegression.initial())
        self.steps = variable(backend, 0, "int32", trainable=False)
        self.bias: Any = None
        self.num_bias_made = 0

    def step(self, x: Any, y: Any) -> dict[str, Any]:
        """One update. x: (batch, 3); y: (batch, 2). Returns the loss before it and the number of steps after it."""
        backend = self.backend
        if self.bias is None:
            self.bias = variable(backend, np.zeros(2))
            self.num_bias_made += 1

        def loss() -> tuple[Any, Any]:
            error = backend.subtract(backend.linear(x, backend.read(self.weight), backend.read(self.bias)), y)
            increment(backend, self.steps)
            return backend.mean(backend.square(error), (0, 1), False), None

        value, _, gradients = backend.value_and_grad(loss, [self.weight, self.bias])
        for storage, gradient in zip((self.weight, self.bias), gradients, strict=True):
            backend.assign(storage, backend.subtract(backend.read(storage), backend.multiply(gradient, RATE)))
        return {"loss": value, "steps": backend.read(self.steps)}


class NumpyRegression:
    """The same model in float64 with gradients written by hand."""

    def __init__(self) -> None:
        self.weight, self.bias, self.steps = self.initial(), np.zeros(2), 0

    @staticmethod
    def initial() -> np.ndarray:
        """The weight before the first step: (3, 2)."""
        return np.arange(6.0).reshape(3, 2) / 5 - 0.4

    def step(self, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
        """One update; returns what `Regression.step` returns."""
        error = x.astype(np.float64) @ self.weight + self.bias - y
        self.weight = self.weight - RATE * x.T @ error * 2 / error.size
        self.bias = self.bias - RATE * error.sum(0) * 2 / error.size
        self.steps += 1
        return {"loss": np.mean(error**2), "steps": self.steps}


def batch(size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (size, 3) and targets (size, 2), float32."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(size, 3)).astype(np.float32), rng.normal(size=(size, 2)).astype(np.float32)


def expect_regression(backend: Backend, model: Regression, twin: NumpyRegression) -> None:
    """Raises unless both models have the same weights and number of steps.

    Raises:
        Mismatch: They differ.
    """
    expect_variable(backend, model.weight, twin.weight)
    expect_variable(backend, model.bias, twin.bias)
    expect_variable(backend, model.steps, np.array(twin.steps), "int32")
