"""Small data, models and trainers for the tests of training."""

from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np

from babel_dl.core import Module
from babel_dl.data import ArrayDataset
from babel_dl.model.layers import Activation, BatchNormalization, Dropout, FullyConnected
from babel_dl.training import SupervisedTrainer
from babel_dl.training.callbacks import HOOKS, Callback
from babel_dl.training.losses import Loss, SparseCrossEntropyLossFromLogits
from babel_dl.training.metrics import SparseCategoricalAccuracy
from babel_dl.training.optimizers import SGD

ROOT = Path(__file__).parents[2]
NUM_CLASSES = 3
Inputs = namedtuple("Inputs", ["x"])
Outputs = namedtuple("Outputs", ["label"])


def points(num_samples: int = 20, seed: int = 0) -> ArrayDataset:
    """Points in a plane of four numbers; the label is which of the first three is the largest."""
    x = np.random.default_rng(seed).normal(size=(num_samples, 4)).astype(np.float32)
    return ArrayDataset(Inputs(x), Outputs(x[:, :NUM_CLASSES].argmax(axis=1).astype(np.int32)), version=f"points-{num_samples}-{seed}")


class Linear(Module):
    """Logits by one matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = FullyConnected(NUM_CLASSES)

    def call(self, x: Any) -> Outputs:
        return Outputs(self.dense(x))


class Noisy(Module):
    """A model that has all kinds of variables: parameters, running statistics, a random counter."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [FullyConnected(5), BatchNormalization(), Activation("relu"), Dropout(0.3), FullyConnected(NUM_CLASSES)]

    def call(self, x: Any) -> Outputs:
        for layer in self.layers:
            x = layer(x)
        return Outputs(x)


class CrossEntropy(Loss):
    """Cross entropy that logs the accuracy."""

    def __init__(self) -> None:
        super().__init__()
        self.ce = SparseCrossEntropyLossFromLogits()
        self.ca = SparseCategoricalAccuracy()

    def call(self, y_pred: Outputs, y_true: Outputs) -> Any:
        self.log("metrics/ca", self.ca(y_pred.label, y_true.label).mean())
        return self.ce(y_pred.label, y_true.label).mean()


def make_trainer(model: Module | None = None, callbacks: Any = (), **options: Any) -> SupervisedTrainer:
    """A trainer without callbacks, unless some are given."""
    optimizer = options.pop("optimizer", None) or SGD(0.05, momentum=0.9)
    return SupervisedTrainer(model or Linear(), options.pop("loss", None) or CrossEntropy(), optimizer, callbacks=callbacks, **options)


def weights_of(trainer: Any) -> dict[str, np.ndarray]:
    """All values of a trainer's modules and optimizers, by name."""
    held = {**trainer.modules, **trainer.optimizers}
    return {f"{name}{path}": variable.numpy().copy() for name, part in held.items() for path, variable in part.named_variables.items()}


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The loss of each sample, by numpy in float64."""
    logits = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]


class Recorder(Callback):
    """Overwrites every hook, and writes down what it is told: the event, and where training stands."""

    def __init__(self) -> None:
        self.events: list[tuple[str, int, int]] = []
        self.arguments: list[tuple[str, Any]] = []

    @property
    def names(self) -> list[str]:
        """The events alone."""
        return [name for name, _, _ in self.events]


def _told(name: str) -> Any:
    def hook(self: Recorder, trainer: Any, *arguments: Any) -> None:
        self.events.append((name, trainer.epoch, trainer.step))
        self.arguments.append((name, *arguments))

    return hook


for _name in HOOKS:
    setattr(Recorder, _name, _told(_name))


class At(Callback):
    """Does something at one event, when training stands at a step (or at each)."""

    def __init__(self, event: str, action: Any, step: int | None = None) -> None:
        self.event, self.action, self.step = event, action, step


def _acting(name: str) -> Any:
    def hook(self: At, trainer: Any, *arguments: Any) -> None:
        if self.event == name and self.step in (None, trainer.step):
            self.action(trainer)

    return hook


for _name in HOOKS:
    setattr(At, _name, _acting(_name))
