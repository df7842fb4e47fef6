"""The contestant: babel_dl with its default settings, in the trainer's own loop."""

from __future__ import annotations

from typing import Any, NamedTuple

import babel_dl
from babel_dl.core import Module, logging
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
from babel_dl.training.loop import Interrupt, train_epoch
from babel_dl.training.losses import Loss, SparseCrossEntropyLossFromLogits
from babel_dl.training.metrics import SparseCategoricalAccuracy
from babel_dl.training.optimizers import SGD, Adam
from babel_dl.training.optimizers.learning_rates import Exponential
from benchmarks.protocol import Contestant, Setup
from benchmarks.training import task


class Inputs(NamedTuple):
    """What goes in."""

    image: Any


class Outputs(NamedTuple):
    """What comes out."""

    class_id: Any


def layers(model: str) -> list[Module]:
    """The layers of a network."""
    blocks: list[Module] = []
    for filters in task.CONV[1:] if model == "conv" else ():
        blocks += [Conv2D(filters, 3), Activation("relu"), MaxPooling2D()]
    for filters in task.CNN[1:4] if model == "cnn" else ():
        blocks += [BatchNormalization(), Conv2D(filters, 3), Activation("relu"), MaxPooling2D()]
    if model == "cnn":
        blocks += [BatchNormalization(), Conv2D(18, 3), Activation("relu"), GlobalAveragePooling2D(), BatchNormalization()]
    width = {"mlp": 64, "cnn": 18, "conv": 256}[model]
    return [*blocks, Flatten(), FullyConnected(width), Activation("relu"), FullyConnected(10)]


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


class Rounds:
    """Runs epochs of a trainer in its own loop.

    Args:
        trainer: It is prepared on a batch of the data.
        loader: The data.
    """

    def __init__(self, trainer: Any, loader: Any) -> None:
        self.trainer, self.loader = trainer, loader
        trainer.prepare(next(iter(loader.batches(0))))

    def __call__(self, epoch: int) -> dict[str, float]:
        """The means of an epoch."""
        trainer = self.trainer
        trainer.progress.epoch, trainer.progress.position = epoch, 0
        trainer.metrics.reset()
        return train_epoch(trainer, self.loader, Interrupt())


def enter(setup: Setup) -> dict[str, Any]:
    """Chooses the backend, quietly; returns the arguments of a trainer: none, or the mode of compiling that the setup asks for."""
    logging.set_console(lambda line: None)
    babel_dl.set_backend(setup.backend, "cpu")
    return {"compile": setup.option} if setup.option else {}


def contestant(setup: Setup) -> Contestant:
    """Trains with the default settings, and `compile` where the setup asks for a mode."""
    options, model = enter(setup), setup.workload
    images, labels = task.arrays()
    data = ArrayDataset(Inputs(images), Outputs(labels)).to_dataloader(task.SETTINGS[model].batch_size, drop_last=True)
    schedule = Exponential(task.LEARNING_RATE, task.DECAY)
    rule = Adam(schedule) if task.SETTINGS[model].rule == "adam" else SGD(schedule, task.MOMENTUM)
    run = Rounds(SupervisedTrainer(Classifier(model), CrossEntropy(), rule, callbacks=[], **options), data)
    return task.trained(model, lambda epoch: run(epoch)["loss/total"])
