"""The data, the loss, the line of each epoch, and the two evaluations."""

from typing import Any

import numpy as np

import babel_dl
from babel_dl import SPLIT_TRAIN, Tensor
from babel_dl.core import ITensor, evaluation_mode, logging
from babel_dl.data import ArrayDataset
from babel_dl.training import SupervisedTrainer
from babel_dl.training.callbacks import Callback, ProgressBar
from babel_dl.training.losses import Loss, SparseCrossEntropyLossFromLogits
from babel_dl.training.optimizers import Adam
from examples.mnist_lab.model import Input, LabCnn, Output
from examples.shared.digits import load_digits

BATCH_SIZE = 100
LEARNING_RATE = 0.001


class Cost(Loss):
    """Cross entropy."""

    def __init__(self) -> None:
        super().__init__()
        self.cross_entropy = SparseCrossEntropyLossFromLogits()

    def call(self, y_pred: Output, y_true: Output) -> ITensor:
        """The mean over a batch."""
        return self.cross_entropy(y_pred.digit, y_true.digit).mean()


class CostLine(Callback):
    """Writes the mean cost of each epoch, in the lab's words.

    Attributes:
        costs: By epoch.
    """

    def __init__(self) -> None:
        self.costs: list[float] = []

    def on_fit_start(self, trainer: Any) -> None:
        """Before the first step."""
        logging.info("Learning started")

    def on_train_end(self, trainer: Any, metrics: dict[str, float]) -> None:
        """After the training part of each epoch."""
        self.costs.append(metrics["loss/total"])
        logging.info(f"Epoch: {trainer.epoch + 1} / {trainer.progress.num_epochs}, cost: {self.costs[-1]:.6f}")

    def on_fit_end(self, trainer: Any) -> None:
        """After the last step."""
        logging.info("Learning Finished")


def make_dataset(data: str, split: str) -> ArrayDataset:
    """The images of a split with their classes; "full" or "mini"."""
    images, labels = load_digits(data, split)
    return ArrayDataset(Input(image=images[..., None]), Output(digit=labels))


def train(data: str, epochs: int) -> tuple[LabCnn, list[float]]:
    """Trains a fresh network.

    Args:
        data: "full" or "mini".
        epochs: How many.

    Returns:
        The network, and the mean cost of each epoch.
    """
    loader = make_dataset(data, SPLIT_TRAIN).to_dataloader(BATCH_SIZE, drop_last=True)
    lines = CostLine()
    model = LabCnn()
    SupervisedTrainer(model, Cost(), Adam(LEARNING_RATE), callbacks=[ProgressBar(), lines]).fit(loader, epochs=epochs)
    return model, lines.costs


def logits_of(model: LabCnn, images: np.ndarray, as_in_the_lab: bool = False) -> np.ndarray:
    """The network's answers to many images, (samples, 10), in evaluation mode.

    The lab trains on images from 0 to 1, for `ToTensor` divides them by 255, and then tests on `mnist_test.data.float()`, from 0 to 255.

    Args:
        model: The trained network.
        images: (samples, 28, 28), from 0 to 255.
        as_in_the_lab: Whether to leave them from 0 to 255, and the network in training mode.
    """

    @babel_dl.compile
    def answer(batch: Tensor) -> Tensor:
        output = model.network(batch.astype("float32")) if as_in_the_lab else model(batch)
        return output.digit

    batches = np.array_split(images[..., None], max(1, len(images) // 500))  # the lab takes all 10,000 at once: a gigabyte of activations
    if as_in_the_lab:
        return np.concatenate([answer(batch).numpy() for batch in batches])
    with evaluation_mode(model):
        return np.concatenate([answer(batch).numpy() for batch in batches])
