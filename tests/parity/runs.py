"""Trainings that the tests compare: their loss at each step, and a checkpoint on the way."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from babel_dl import use_backend, use_seed
from babel_dl.core import Module
from babel_dl.data import Dataset
from babel_dl.training import SupervisedTrainer
from babel_dl.training.callbacks import Callback, LearningRateUpdateCallback
from babel_dl.training.checkpoint import Checkpoint, read_checkpoint
from babel_dl.training.optimizers import SGD, Adam, Optimizer
from tests.parity.template import DropoutModel, FashionMnistLoss, FashionMnistModel, SmoothModel, make_config

NUM_STEPS = 100
CHECKPOINT_STEP = 60


@dataclass(frozen=True)
class Setup:
    """What to train, and how.

    Args:
        model: The network's class.
        optimizer: Its class.
        seed: Of initial weights, sample order and dropout.
    """

    model: Any
    optimizer: type[Optimizer]
    seed: int

    def make_model(self, sample: Dataset) -> Module:
        """The network with its first weights, on the backend in force."""
        with use_seed(self.seed):
            return self.model(make_config()).initialize(sample)

    def make_trainer(self, sample: Dataset, callbacks: Sequence[Callback] = ()) -> SupervisedTrainer:
        """A trainer on the backend in force, with the tutorial's schedule."""
        schedule = make_config().train_learning_rate_shedule
        with use_seed(self.seed):
            return SupervisedTrainer(
                model=self.make_model(sample),
                loss=FashionMnistLoss(),
                optimizer=self.optimizer(schedule.initial_lr),
                callbacks=[*callbacks, LearningRateUpdateCallback(schedule)],
                log_every=1,
            )


TEMPLATE = Setup(FashionMnistModel, SGD, seed=0)
"""The tutorial: SGD with momentum 0.95 after Nesterov."""
SMOOTH = Setup(SmoothModel, SGD, seed=0)
DROPOUT = Setup(DropoutModel, Adam, seed=0)


class Recorder(Callback):
    """Keeps the loss of each step, and stops the training after one of them.

    Args:
        last_step: After which step to stop.
        save_step: After which step to save a checkpoint.
        path: Where to.
    """

    def __init__(self, last_step: int, save_step: int | None = None, path: Path | None = None) -> None:
        self.last_step, self.save_step, self.path = last_step, save_step, path
        self.losses: list[float] = []
        self._total = 0.0

    def on_train_start(self, trainer: Any) -> None:
        """The sums of an epoch begin at zero, or where a checkpoint left them."""
        self._total = trainer.metrics.state_dict()["means"].get("loss/total", {"total": 0.0})["total"]

    def on_metrics(self, trainer: Any, metrics: dict[str, float]) -> None:
        """Told after every step, with the sums over the epoch so far; the samples of a step are those of a full batch."""
        total = trainer.metrics.state_dict()["means"]["loss/total"]["total"]
        self.losses.append((total - self._total) / make_config().train_batch_size)
        self._total = total

    def on_step_end(self, trainer: Any) -> None:
        """Saves, and stops."""
        if trainer.step == self.save_step:
            trainer.save(self.path)
        if trainer.step == self.last_step:
            trainer.stop("enough for the test")


@dataclass(frozen=True)
class Run:
    """What came of a training.

    Args:
        losses: Of each step.
        path: The checkpoint, made at `CHECKPOINT_STEP`.
    """

    losses: np.ndarray
    path: Path

    @property
    def checkpoint(self) -> Checkpoint:
        """Its content."""
        return read_checkpoint(self.path)


def run_training(setup: Setup, backend_name: str, data: Dataset, path: Path) -> Run:
    """The first 100 steps on a backend."""
    with use_backend(backend_name):
        recorder = Recorder(NUM_STEPS, CHECKPOINT_STEP, path)
        setup.make_trainer(data, [recorder]).fit(data.to_dataloader(seed=setup.seed))
        return Run(np.array(recorder.losses), path)


def first_batches(setup: Setup, data: Dataset) -> list[Any]:
    """The batches of these steps."""
    batches = data.to_dataloader(seed=setup.seed).batches(0, 0)
    return [batch for _, batch in zip(range(NUM_STEPS), batches, strict=False)]


def largest_difference(losses: np.ndarray, expected: np.ndarray) -> float:
    """The largest relative difference of two curves of the same length.

    Raises:
        ValueError: The lengths differ.
    """
    if losses.shape != expected.shape:
        raise ValueError(f"Two curves of the same length are compared, and these have {losses.shape} and {expected.shape}.")
    return float(np.max(np.abs(losses / expected - 1)))
