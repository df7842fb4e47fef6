"""The contestant: babel_dl with its default settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import babel_dl
from babel_dl.core import Module
from babel_dl.data import ArrayDataset
from babel_dl.model.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Flatten,
    FullyConnected,
    GlobalAveragePooling2D,
    MaxPooling2D,
    Sequential,
)
from babel_dl.training import SupervisedTrainer
from babel_dl.training.callbacks import LearningRateUpdateCallback
from babel_dl.training.loop import Interrupt, train_epoch
from babel_dl.training.losses import Loss, SparseCrossEntropyLossFromLogits
from babel_dl.training.metrics import SparseCategoricalAccuracy
from babel_dl.training.optimizers import SGD
from babel_dl.training.optimizers.learning_rates import Exponential
from benchmarks import task


class Inputs(NamedTuple):
    """What goes in."""

    image: Any


class Outputs(NamedTuple):
    """What comes out."""

    class_id: Any


def layers(model: str) -> list[Module]:
    """The layers of the seed's CNN, or of the MLP 784-64-10."""
    if model == "mlp":
        return [Flatten(), FullyConnected(64), Activation("relu"), FullyConnected(10)]
    blocks: list[Module] = []
    for filters in (12, 18, 18):
        blocks += [BatchNormalization(), Conv2D(filters, 3), Activation("relu"), MaxPooling2D()]
    blocks += [BatchNormalization(), Conv2D(18, 3), Activation("relu"), GlobalAveragePooling2D(), BatchNormalization()]
    return [*blocks, Flatten(), FullyConnected(18), Activation("relu"), FullyConnected(10)]


class Classifier(Module):
    """Layers on images that arrive as uint8."""

    def __init__(self, model: str) -> None:
        super().__init__()
        self.is_scaled = model == "mlp"
        self.net = Sequential(layers(model))

    def call(self, image: Any) -> Outputs:
        """The logits."""
        x = image.astype("float32")
        return Outputs(self.net(x / 255.0 if self.is_scaled else x))


class CrossEntropy(Loss):
    """Cross entropy that logs the accuracy."""

    def __init__(self) -> None:
        super().__init__()
        self.ce, self.accuracy = SparseCrossEntropyLossFromLogits(), SparseCategoricalAccuracy()

    def call(self, y_pred: Outputs, y_true: Outputs) -> Any:
        """The mean over the batch."""
        self.log("accuracy", self.accuracy(y_pred.class_id, y_true.class_id).mean())
        return self.ce(y_pred.class_id, y_true.class_id).mean()


def make_round(backend: str, model: str) -> Callable[[int], float]:
    """A function that trains one epoch and returns its mean loss."""
    babel_dl.set_backend(backend, "cpu")
    images, labels = task.arrays()
    data = ArrayDataset(Inputs(images), Outputs(labels)).to_dataloader(task.BATCH_SIZE, drop_last=True)
    schedule = LearningRateUpdateCallback(Exponential(task.LEARNING_RATE, task.DECAY))
    optimizer = SGD(task.LEARNING_RATE, task.MOMENTUM)
    trainer = SupervisedTrainer(Classifier(model), CrossEntropy(), optimizer, callbacks=[schedule])
    trainer.prepare(next(iter(data.batches(0))))

    def run(epoch: int) -> float:
        trainer.progress.epoch, trainer.progress.position = epoch, 0
        trainer.metrics.reset()
        return train_epoch(trainer, data, Interrupt())["loss/total"]

    return run
