"""What the tests of averages share: a model, and the formula in numpy."""

from typing import Any

import numpy as np

from babel_dl.core import Module
from babel_dl.model.layers import BatchNormalization, Dropout, FullyConnected
from babel_dl.training import WeightAverage

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


class Layers(Module):
    """A model with weights in several shapes, running statistics and counters."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.dropout = BatchNormalization(), Dropout(0.5)
        self.first, self.second = FullyConnected(5), FullyConnected(2)

    def call(self, x: Any) -> Any:
        """Logits."""
        return self.second(self.dropout(self.first(self.norm(x))))


def moved(model: Module, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Gives all variables of a model other values, and says which."""
    values = {path: rng.uniform(0.1, 2.0, v.shape).astype(np.float32) for path, v in model.named_variables.items() if v.dtype == "float32"}
    for path, value in values.items():
        model.named_variables[path].assign(value)
    return {path.lstrip("/"): value for path, value in values.items()}


def reference(history: list[dict[str, np.ndarray]], decays: list[float]) -> dict[str, np.ndarray]:
    """The averages after these weights, by the formula a = decay * a + (1 - decay) * w in float64."""
    averages = {path: value.astype(np.float64) for path, value in history[0].items()}
    for weights, decay in zip(history[1:], decays, strict=True):
        averages = {path: decay * averages[path] + (1 - decay) * value for path, value in weights.items()}
    return averages


def values_of(average: WeightAverage) -> dict[str, np.ndarray]:
    """The averages, by path."""
    return {path: variable.numpy() for path, variable in average.averages.items()}


def assert_averages(average: WeightAverage, expected: dict[str, np.ndarray]) -> None:
    """Compares with the formula."""
    found = values_of(average)
    assert found and found.keys() <= expected.keys()
    for path, value in found.items():
        np.testing.assert_allclose(value, expected[path], rtol=1e-5, atol=1e-6)


def updated(model: Module, decay: float = 0.9, **settings: Any) -> tuple[WeightAverage, dict[str, np.ndarray]]:
    """An average after three updates, and the model's values of now."""
    average, rng = WeightAverage(model, decay, **settings), np.random.default_rng(1)
    for _ in range(3):
        moved(model, rng)
        average.update()
    return average, model.state_dict()


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    """Compares bit by bit."""
    assert found.keys() == expected.keys()
    for path, value in expected.items():
        assert found[path].tobytes() == value.tobytes(), path
