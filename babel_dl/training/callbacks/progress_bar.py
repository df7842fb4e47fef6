"""A bar in the terminal while an epoch trains."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from babel_dl.core import logging
from babel_dl.core.registry import register_callback
from babel_dl.training.callbacks.base import REPORT, Callback
from babel_dl.training.callbacks.log_callback import format_metrics

if TYPE_CHECKING:
    from babel_dl.training.trainer import Trainer


@register_callback("progress_bar")
class ProgressBar(Callback):
    """Shows how far the training part of an epoch is, with the means so far. Log lines appear above it.

    Where standard output is no terminal, it shows nothing.
    """

    on_failure = REPORT
    told_every = 0

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._console_before: Callable[[str], None] | None = None

    def on_train_start(self, trainer: Trainer) -> None:
        """Shows the bar."""
        if not sys.stdout.isatty():
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("Epoch {task.fields[epoch]}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}"), transient=True,
        )  # fmt: skip
        epoch = trainer.progress.label(trainer.epoch + 1)
        done = trainer.progress.position
        self._task = self._bar.add_task("", total=trainer.progress.steps_per_epoch, completed=done, epoch=epoch, metrics="")
        self._bar.start()
        console = self._bar.console
        self._console_before = logging.set_console(lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True))

    def on_step_end(self, trainer: Trainer) -> None:
        """Moves the bar."""
        if self._bar is not None:
            self._bar.update(self._task, completed=trainer.progress.position)

    def on_metrics(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """Shows the means so far."""
        if self._bar is not None:
            self._bar.update(self._task, metrics=format_metrics(metrics).removeprefix(" - "))

    def _hide(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            logging.set_console(self._console_before)
            self._bar = None

    def on_train_end(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """Takes the bar away, before the line of the epoch is logged."""
        self._hide()

    def on_fit_interrupted(self, trainer: Trainer) -> None:
        """Takes the bar away."""
        self._hide()

    def on_fit_failed(self, trainer: Trainer, error: BaseException) -> None:
        """Takes the bar away."""
        self._hide()
