"""A trainer with two parts that learn in turns, for the tests of custom steps."""

from collections import namedtuple
from typing import Any

import numpy as np

from babel_dl import ops
from babel_dl.core import Module
from babel_dl.data import ArrayDataset
from babel_dl.model.layers import Activation, BatchNormalization, FullyConnected, Sequential
from babel_dl.training import Trainer
from babel_dl.training.optimizers import Adam

Inputs, Outputs = namedtuple("Inputs", ["x"]), namedtuple("Outputs", ["y"])


def rows(num_samples: int = 24, seed: int = 0) -> ArrayDataset:
    """Normal numbers in four columns, and their sums."""
    x = np.random.default_rng(seed).normal(size=(num_samples, 4)).astype(np.float32)
    return ArrayDataset(Inputs(x), Outputs(x.sum(axis=1, keepdims=True)), version=f"rows-{num_samples}-{seed}")


def net(*sizes: int) -> Module:
    """Layers of these sizes, the first with batch statistics."""
    return Sequential(FullyConnected(sizes[0]), BatchNormalization(), Activation("tanh"), *(FullyConnected(size) for size in sizes[1:]))


class Duel(Trainer):
    """The critic learns what is real, the generator learns to please it; scopes and optimizers by name."""

    def __init__(self, every: int = 1, **options: Any) -> None:
        rules = options.pop("optimizers", None) or {"generator": Adam(1e-2, beta1=0.5), "critic": Adam(1e-2, beta1=0.5)}
        super().__init__(callbacks=options.pop("callbacks", []), optimizers=rules, **options)
        self.generator, self.critic = net(8, 4), net(8, 1)
        self.period = every

    def fake(self, count: int) -> Any:
        """What the generator makes of noise."""
        return self.generator(self.random.normal((count, 3)))

    def train_step(self, batch: Any) -> dict[str, Any]:
        x, numbers = batch[0].x, {}
        fake = ops.stop_gradient(self.fake(len(x)))
        numbers["loss/critic"] = self.minimize(
            lambda: ops.softplus(-self.critic(x)).mean() + ops.softplus(self.critic(fake)).mean(), over="critic"
        )
        if self.every(self.period):
            numbers["loss/generator"] = self.minimize(lambda: ops.softplus(-self.critic(self.fake(len(x)))).mean(), over="generator")
        return numbers

    def evaluate_step(self, batch: Any) -> dict[str, Any]:
        return {"loss/critic": ops.softplus(-self.critic(batch[0].x)).mean()}
