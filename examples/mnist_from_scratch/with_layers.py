"""Part 2: the same loop with what the library brings: losses, modules, optimizers, datasets and loaders. It trains any model."""

from typing import Any

import numpy as np

import babel_dl
from babel_dl import Tensor
from babel_dl.core import Module, logging
from babel_dl.data import DataLoader
from babel_dl.training.losses import SparseCrossEntropyLossFromLogits
from babel_dl.training.metrics import SparseCategoricalAccuracy
from babel_dl.training.optimizers import Optimizer

cross_entropy = SparseCrossEntropyLossFromLogits()
is_right = SparseCategoricalAccuracy()


class Loop:
    """Trains a model, and measures it.

    Args:
        model: Any module from images (batch, 784) to logits (batch, 10). An instance, not the class: `Linear()`, and not `Linear`.
        optimizer: How it learns; with a fixed learning rate, or with a schedule in its place.

    Attributes:
        num_steps: Steps made so far.
    """

    def __init__(self, model: Module, optimizer: Optimizer) -> None:
        self.model = model
        self.optimizer = optimizer
        self.num_steps = 0
        self.step = babel_dl.compile(self._step)
        self.measure = babel_dl.compile(self._measure)

    def _step(self, batch_x: Tensor, batch_y: Tensor) -> Tensor:
        loss, gradients = babel_dl.value_and_grad(lambda: cross_entropy(self.model(batch_x), batch_y).mean(), self.model)
        self.optimizer.apply(gradients, self.model.trainable_variables)
        return loss

    def _measure(self, batch_x: Tensor, batch_y: Tensor) -> tuple[Tensor, Tensor]:
        batch_z = self.model(batch_x)
        return cross_entropy(batch_z, batch_y).sum(), is_right(batch_z, batch_y).sum()

    def train(self, train_loader: DataLoader, valid_loader: DataLoader, max_epoch: int) -> list[float]:
        """Trains, and measures the validation loss after each epoch.

        Returns:
            The validation losses.
        """
        self._prepare(train_loader)
        losses = []
        logging.info("training...")
        for epoch in range(max_epoch):
            self.model.train()
            for batch_in, batch_out in train_loader:
                self.optimizer.follow(self.num_steps)  # where there is a schedule, it sets the learning rate of this step
                self.step(batch_in.x, batch_out.y)
                self.num_steps += 1
            losses.append(self.test(valid_loader)[0])
            logging.info(f"epoch {epoch}, validation loss={losses[-1]:.4f}")
        logging.info("training done.")
        return losses

    def test(self, loader: DataLoader) -> tuple[float, float]:
        """Loss and accuracy over all images: sums over batches, divided by the number of images.

        The post adds up the mean losses of 40 batches and divides them by the 5,000 images, so that it prints the 125th part of the loss.
        """
        self.model.eval()
        sums = [self.measure(batch_in.x, batch_out.y) for batch_in, batch_out in loader]
        loss, right = (float(sum(parts)) for parts in zip(*sums, strict=True))
        return loss / loader.num_samples, right / loader.num_samples

    def logits(self, x: np.ndarray) -> np.ndarray:
        """The model's answers to many images, (samples, 10)."""
        self.model.eval()
        return np.concatenate([self.model(batch).numpy() for batch in np.array_split(x, max(1, len(x) // 1000))])

    def _prepare(self, loader: Any) -> None:
        """Builds the model and the optimizer's state from the shape of a batch, before the step is compiled."""
        self.model.build_from(next(iter(loader.batches(0, 0)))[0].x)
        self.optimizer.prepare({variable.path: variable for variable in self.model.trainable_variables})
