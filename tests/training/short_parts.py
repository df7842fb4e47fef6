"""Parts with names, for the tests of the short form."""

from typing import Any, NamedTuple

import numpy as np

import babel_dl
from babel_dl import ops
from babel_dl.core import Module
from babel_dl.model.layers import FullyConnected
from babel_dl.training import Trainer
from babel_dl.training.losses import Loss
from babel_dl.training.metrics import Metric

NUM_CLASSES = 3


def columns(num_samples: int = 24, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points of four numbers; the label is which of the first three is the largest."""
    x = np.random.default_rng(seed).normal(size=(num_samples, 4)).astype(np.float32)
    return x, x[:, :NUM_CLASSES].argmax(axis=1).astype(np.int32)


@babel_dl.register_module("short_scores")
class Scores(Module):
    """A score for each class."""

    def __init__(self, num_classes: int, width: int = 5) -> None:
        super().__init__()
        self.layers = [FullyConnected(width, activation="relu"), FullyConnected(num_classes)]

    def call(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x


@babel_dl.register_module("short_line")
class Line(Module):
    """One number."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = FullyConnected(1)

    def call(self, x: Any) -> Any:
        return self.dense(x)


@babel_dl.register_module("short_autoencoder")
class AutoEncoder(Module):
    """Answers by several named outputs."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encoder, self.decoder = FullyConnected(width), FullyConnected(4)

    def call(self, x: Any) -> dict[str, Any]:
        code = self.encoder(x)
        return {"code": code, "picture": self.decoder(code)}


@babel_dl.register_loss("short_autoencoder")
@babel_dl.register_loss("short_autoencoder_foo")
class Reconstruction(Loss):
    """Named parts with a total; sees the inputs."""

    def call(self, y_pred: dict[str, Any], y_true: Any, inputs: Any) -> dict[str, Any]:
        mse = ops.square(y_pred["picture"] - inputs).mean()
        size = ops.square(y_pred["code"]).mean()
        return {"mse": mse, "size": size, "loss": mse + 0.001 * size}


@babel_dl.register_metric("short_largest")
class Largest(Metric):
    """The largest score of each sample."""

    def call(self, y_pred: Any, y_true: Any) -> Any:
        return y_pred.max(axis=-1)


class Heads(NamedTuple):
    """What `TwoHeads` answers."""

    digit: Any
    size: Any


@babel_dl.register_module("short_heads")
class TwoHeads(Module):
    """Scores of classes, and a number."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = FullyConnected(NUM_CLASSES), FullyConnected(1)

    def call(self, x: Any) -> Heads:
        return Heads(self.first(x), self.second(x))


@babel_dl.register_module("short_rivals")
class Rivals(Trainer):
    """Steps of its own, two optimizers by name."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.generator, self.discriminator = FullyConnected(width), FullyConnected(1)

    def _distance(self, x: Any) -> Any:
        return ops.square(self.discriminator(self.generator(x))).mean()

    def train_step(self, batch: Any) -> dict[str, Any]:
        x = batch[0].x
        return {
            "loss/g": self.minimize(lambda: self._distance(x), over="generator"),
            "loss/d": self.minimize(lambda: 1.0 + self._distance(x), over="discriminator"),
        }

    def evaluate_step(self, batch: Any) -> dict[str, Any]:
        return {"loss/total": self._distance(batch[0].x)}
