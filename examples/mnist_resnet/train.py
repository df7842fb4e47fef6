"""The data, the loss and the training."""

import hashlib
from typing import Any, NamedTuple

import numpy as np

from babel_dl import SPLIT_TEST, SPLIT_TRAIN
from babel_dl.core import ITensor, Module, logging
from babel_dl.data import ArrayDataset
from babel_dl.training import SupervisedTrainer
from babel_dl.training.callbacks import Callback, ProgressBar
from babel_dl.training.losses import Loss, SparseCrossEntropyLossFromLogits
from babel_dl.training.metrics import SparseCategoricalAccuracy
from babel_dl.training.optimizers import SGD
from babel_dl.training.optimizers.learning_rates import OneCycle
from examples.mnist_resnet.model import Input, Output, ResNet
from examples.shared.digits import load_digits

BATCH_SIZE = 512
MAX_LR = 0.5
ACCURACY = "metrics/accuracy"


class DigitLoss(Loss):
    """Cross entropy; logs the accuracy beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.cross_entropy = SparseCrossEntropyLossFromLogits()
        self.is_right = SparseCategoricalAccuracy()

    def call(self, y_pred: Output, y_true: Output) -> ITensor:
        """The mean cross entropy of a batch."""
        self.log(ACCURACY, self.is_right(y_pred.digit, y_true.digit).mean())
        return self.cross_entropy(y_pred.digit, y_true.digit).mean()


class EpochLines(Callback):
    """Writes the accuracies of each epoch, in the post's words.

    Attributes:
        train: Accuracy on the training images by epoch, measured while it learnt.
        dev: Accuracy on the test images after each epoch.
    """

    def __init__(self) -> None:
        self.train: list[float] = []
        self.dev: list[float] = []

    def on_train_end(self, trainer: Any, metrics: dict[str, float]) -> None:
        """After the training part of an epoch."""
        self.train.append(metrics[ACCURACY])
        logging.info(f"Epoch {trainer.epoch + 1}")
        logging.info(f"Epoch training accuracy {metrics[ACCURACY]:.5f}")

    def on_dev_end(self, trainer: Any, metrics: dict[str, float]) -> None:
        """After the evaluation."""
        self.dev.append(metrics[ACCURACY])
        logging.info(f"Epoch valid accuracy    {metrics[ACCURACY]:.5f}")


class Training(NamedTuple):
    """What came of a training.

    Args:
        model: The trained network.
        logits: Its answers to the test images, (samples, 10).
        schedule: Of learning rate and momentum.
        train: Accuracy on the training images by epoch, measured while it learnt.
        dev: Accuracy on the test images after each epoch.
        digest: Of the final weights; the same digest means the same bits.
    """

    model: ResNet
    logits: np.ndarray
    schedule: OneCycle
    train: list[float]
    dev: list[float]
    digest: str


def make_dataset(data: str, split: str) -> ArrayDataset:
    """The images of a split with their classes; "full" or "mini"."""
    images, labels = load_digits(data, split)
    return ArrayDataset(Input(image=images[..., None]), Output(digit=labels))


def train(data: str, epochs: int) -> Training:
    """Trains a fresh network; the seed in force decides over first weights and sample order.

    Args:
        data: "full" or "mini".
        epochs: How many; the schedule spans them all.
    """
    dev_data = make_dataset(data, SPLIT_TEST)
    train_loader = make_dataset(data, SPLIT_TRAIN).to_dataloader(BATCH_SIZE, drop_last=True)
    dev_loader = dev_data.to_dataloader(BATCH_SIZE, shuffle=False)  # all images: the last batch is smaller, and counts
    schedule = OneCycle(max_lr=MAX_LR, num_steps=epochs * len(train_loader))  # takes the momentum from 0.95 down to 0.85 and back
    lines = EpochLines()
    model = ResNet()
    trainer = SupervisedTrainer(
        model=model,
        loss=DigitLoss(),
        optimizer=SGD(schedule, momentum=0.9, nesterov=False),
        callbacks=[ProgressBar(), lines],
    )
    trainer.fit(train_loader, dev_loader, epochs)
    logits = np.stack([answer.digit for answer in trainer.predict(dev_data)])
    return Training(model, logits, schedule, lines.train, lines.dev, digest_of(model))


def digest_of(model: Module) -> str:
    """SHA-256 over the names and bytes of all variables, running statistics included."""
    digest = hashlib.sha256()
    for path, value in sorted(model.state_dict().items()):
        digest.update(path.encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()
