"""The contestant: babel_dl with its default settings, the step written once for all backends."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from babel_dl import ops
from babel_dl.core import Module
from babel_dl.data import ArrayDataset
from babel_dl.model.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Flatten,
    FullyConnected,
    MaxPooling2D,
    Reshape,
    Resize,
    Sequential,
    UpsampleConv2D,
)
from babel_dl.training import Trainer
from babel_dl.training.losses import BinaryCrossEntropyLossFromLogits
from babel_dl.training.optimizers import Adam
from benchmarks.custom_step import task
from benchmarks.protocol import Setup
from benchmarks.training.ours import Rounds, enter


class Outputs(NamedTuple):
    """Nothing is to be predicted; a dataset has two sides."""

    index: Any


def networks(model: str) -> tuple[Module, Module]:
    """The generator and the discriminator."""
    if model == "gan":
        generator = Sequential(FullyConnected(128), Activation("relu"), FullyConnected(784), Activation("tanh"), Reshape((28, 28, 1)))
        return generator, Sequential(Flatten(), FullyConnected(128), Activation("relu"), FullyConnected(1))
    blocks: list[Module] = [Reshape((4, 4, 8)), Conv2D(128, 1), Activation("relu"), BatchNormalization()]
    for _, _, filters in task.GENERATOR[1:-1]:
        blocks += [UpsampleConv2D(filters, 3, factor=2), Activation("relu"), BatchNormalization()]
    generator = Sequential(*blocks, UpsampleConv2D(1, 3, factor=2), Resize(28))
    blocks = []
    for _, _, filters in task.DISCRIMINATOR[:-1]:
        blocks += [Conv2D(filters, 3), Activation("relu"), BatchNormalization(), MaxPooling2D()]
    return generator, Sequential(*blocks, Conv2D(128, 3))


class GAN(Trainer):
    """The step."""

    def __init__(self, model: str, draws: bool) -> None:
        rules = {name: Adam(task.LEARNING_RATE, task.BETA1, task.BETA2, task.EPS) for name in ("generator", "discriminator")}
        super().__init__(callbacks=[], optimizers=rules)
        self.generator, self.discriminator = networks(model)
        self.bce = BinaryCrossEntropyLossFromLogits()
        self.num_noise, self.draws = task.NOISE[model], draws

    def score(self, image: Any, is_real: float) -> Any:
        """How far the discriminator is from saying so."""
        logits = self.discriminator(image)
        return self.bce(logits, is_real * ops.ones_like(logits)).mean()

    def train_step(self, batch: Any) -> dict[str, Any]:
        """The generator's turn, then the discriminator's."""
        real = batch[0].image.astype("float32") / 127.5 - 1.0
        z = self.random.normal((len(real), self.num_noise)) if self.draws else batch[0].noise

        def painted() -> Any:
            fake = self.generator(z)
            return self.score(fake, 1.0), fake

        g, fake = self.minimize(painted, over="generator", has_aux=True)
        fake = ops.stop_gradient(fake)
        d = self.minimize(lambda: 0.5 * (self.score(fake, 0.0) + self.score(real, 1.0)), over="discriminator")
        return {"g": g, "d": d}

    def evaluate_step(self, batch: Any) -> dict[str, Any]:
        """Nothing is evaluated."""
        return {"d": ops.zeros(())}


def load(net: Module, values: dict[str, np.ndarray]) -> None:
    """Gives a network the task's first weights, layer by layer in their order."""
    names = {"weight": "weight", "bias": "bias"}, {"weight": "scale", "bias": "offset"}
    place = -1
    for layer in net.modules.values():
        if layer is net or not hasattr(layer, "weight"):
            continue
        is_norm = isinstance(layer, BatchNormalization)
        place += not is_norm
        for ours, theirs in names[is_norm].items():
            getattr(layer, ours).assign(values[f"{place}/{theirs}"])


def contestant(setup: Setup) -> Contestant:
    """Trains with the default settings; it draws its noise, unless it is given."""
    enter(setup._replace(option=""))
    return Contestant(setup.workload, setup.option != "given")


class Contestant(task.Rounds):
    """Trains rounds.

    Args:
        model: What.
        draws: Whether the step draws its noise.
    """

    def __init__(self, model: str, draws: bool) -> None:
        images, count = task.arrays(), task.STEPS[model] * task.BATCH_SIZE
        noise = np.resize(task.given_noise(model, len(images)), (count, task.NOISE[model]))
        inputs = task.Batch(np.resize(images, (count, 28, 28, 1)), noise)
        self.data = ArrayDataset(inputs, Outputs(np.arange(count, dtype=np.int32)))
        self.model, self.trainer = model, GAN(model, draws)
        self.run = Rounds(self.trainer, self.data.to_dataloader(task.BATCH_SIZE, drop_last=True))
        first = task.weights(model)
        load(self.trainer.generator, first["generator"])
        load(self.trainer.discriminator, first["discriminator"])

    def losses(self) -> np.ndarray:
        """Both losses of each step of round 0, (steps, 2), by the compiled step alone."""
        trainer, rows = self.trainer, []
        for batch in self.data.to_dataloader(task.BATCH_SIZE, shuffle=False).batches(0):
            values = trainer.compiled_train_step(batch)
            trainer.progress.step += 1
            rows.append([values["g"], values["d"]])
        return np.array([[float(trainer.backend.to_numpy(value)) for value in row] for row in rows])

    def round(self, number: int) -> float:
        """One round in the trainer's own loop; the mean loss of the discriminator."""
        return self.run(number)["d"]
