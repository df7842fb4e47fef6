"""The lines of a training."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from babel_dl.core import logging
from babel_dl.core.registry import register_callback
from babel_dl.core.variable import Variable
from babel_dl.training.callbacks.base import REPORT, Callback

if TYPE_CHECKING:
    from babel_dl.training.trainer import Trainer


@register_callback("log")
class LogCallback(Callback):
    """Logs the variables at the start, a line for each training part, a line with the time to go for each epoch.

        STAT Training 1/10 - metrics/ca=0.697 - loss/total=1.499 - LR 0.000905
        INFO Time: 8.41 s - steps 96 % - data 4 % - callbacks 0 %
        STAT Epoch 1/10 (ETA 0:50:31) - metrics/ca=0.717 - loss/total=1.464
    """

    on_failure = REPORT

    def __init__(self) -> None:
        self._started = 0.0
        self._first_epoch = 0

    def on_fit_start(self, trainer: Trainer) -> None:
        """Logs the variables with their paths and shapes."""
        self._started, self._first_epoch = time.monotonic(), trainer.epoch
        logging.info("Started fit.")
        variables = {}
        for name, module in trainer.modules.items():
            prefix = "" if len(trainer.modules) == 1 or name == "model" else f"/{name}"
            variables.update({prefix + path: variable for path, variable in module.named_variables.items()})
        self._list("Trainable", {path: v for path, v in variables.items() if v.trainable})
        self._list("Untrainable", {path: v for path, v in variables.items() if not v.trainable})
        if trainer.step:
            position, num_batches = trainer.progress.position, trainer.progress.steps_per_epoch
            place = f"batch {position + 1}" if position < num_batches else "behind its last batch"
            logging.info(f"Going on at step {trainer.step}: epoch {trainer.epoch + 1}, {place}.")

    @staticmethod
    def _list(kind: str, variables: dict[str, Variable]) -> None:
        logging.info(f"{kind} Variables:")
        for path, variable in variables.items():
            logging.info(f"  {path}: {variable.shape}")

    def on_train_end(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """Logs the means over the training part and the learning rate, and where its time went."""
        rates = [optimizer.learning_rate for optimizer in trainer.optimizers.values()]
        shown = f" - LR {', '.join(f'{rate:.6f}' for rate in rates)}" if rates else ""
        logging.status(f"Training {trainer.progress.label(trainer.epoch + 1)}{format_metrics(metrics)}{shown}")
        logging.info(f"Time: {trainer.epoch_times}")

    def on_epoch_end(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """Logs the means over the dev data and the time to go."""
        progress, now = trainer.progress, time.monotonic()
        left = (now - self._started) / max(trainer.epoch - self._first_epoch, 1) * max(progress.num_epochs - trainer.epoch, 0)
        if progress.deadline:
            left = min(left, progress.deadline - now) if progress.num_epochs else progress.deadline - now
        eta = timedelta(seconds=round(max(left, 0.0)))
        logging.status(f"Epoch {progress.label(trainer.epoch)} (ETA {eta}){format_metrics(metrics)}")

    def on_fit_end(self, trainer: Trainer) -> None:
        """Logs why training ended early, if it did."""
        if trainer.progress.stop_reason:
            logging.info(f"Stopped after epoch {trainer.epoch}: {trainer.progress.stop_reason}")

    def on_fit_interrupted(self, trainer: Trainer) -> None:
        """Logs where it was interrupted."""
        logging.warn(f"Interrupted at step {trainer.step}, in epoch {trainer.epoch + 1}.")

    def on_fit_failed(self, trainer: Trainer, error: BaseException) -> None:
        """Logs the error, so that the log file has it too."""
        logging.error(f"{type(error).__name__}: {error}")


def format_metrics(metrics: dict[str, float]) -> str:
    """` - name=0.123` for each metric."""
    return "".join(f" - {name}={value:.3f}" for name, value in metrics.items())
