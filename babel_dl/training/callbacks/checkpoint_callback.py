"""Checkpoints while training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from babel_dl.core import logging
from babel_dl.core.registry import register_callback
from babel_dl.errors import ArgumentError
from babel_dl.training import state
from babel_dl.training.callbacks.base import Callback
from babel_dl.training.callbacks.monitor import Monitor
from babel_dl.training.checkpoint.store import BEST, LATEST, CheckpointStore
from babel_dl.training.run_folder import run_folder
from babel_dl.training.steps import TOTAL_LOSS

if TYPE_CHECKING:
    from babel_dl.training.trainer import Trainer


@register_callback("checkpoint")
class CheckpointCallback(Callback):
    """Saves `latest` after the training part of each epoch and at Ctrl-C, and `best` after each epoch that is better than all before.

    Each file holds all that is needed to go on: `trainer.fit(..., resume=True)`, on any backend.

    Args:
        folder: Where the files lie; None for `checkpoints` in the folder of the run.
        monitor: Which metric says what is best; None for "loss/total", and for no `best` where a trainer reports no such number.
        mode: "min" if lower is better, "max" if higher is.
        every_steps: Save `latest` also every so many training steps; None for not.

    Raises:
        ArgumentError: The mode is unknown, or `every_steps` is below 1.
        CheckpointError: A file cannot be written; the one before stays. It stops the run.
        CallbackError: There is no metric of this name.
    """

    def __init__(
        self, folder: str | Path | None = None, monitor: str | None = None, mode: str = "min", every_steps: int | None = None
    ) -> None:
        if every_steps is not None and every_steps < 1:
            raise ArgumentError(f"CheckpointCallback needs every_steps of at least 1, and got {every_steps}.")
        self.folder = None if folder is None else Path(folder)
        self.every_steps, self.told_every = every_steps, every_steps or 0
        self.monitor = Monitor(monitor or TOTAL_LOSS, mode)
        self._is_asked_for = monitor is not None
        self._has_told = False

    @property
    def store(self) -> CheckpointStore:
        """The folder's files."""
        if self.folder is None:
            self.folder = run_folder() / "checkpoints"
        return CheckpointStore(self.folder)

    def on_step_end(self, trainer: Trainer) -> None:
        """Saves `latest` every so many steps."""
        if self.every_steps is not None and trainer.step % self.every_steps == 0:
            self._save(trainer, LATEST)

    def on_train_end(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """Saves `latest`."""
        self._save(trainer, LATEST)

    def on_epoch_end(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """Saves `best` if it is."""
        if not self._is_asked_for and self.monitor.name not in metrics:
            self._tell_once(metrics)
        elif self.monitor.improves(metrics):
            self._save(trainer, BEST)

    def on_fit_interrupted(self, trainer: Trainer) -> None:
        """Saves `latest`, so that nothing is lost."""
        self._save(trainer, LATEST)

    def _tell_once(self, metrics: dict[str, float]) -> None:
        if not self._has_told:
            self._has_told = True
            found = ", ".join(metrics) or "no numbers"
            logging.info(f"No checkpoint is called best: there is no {self.monitor.name!r}, only {found}. Name one by monitor=...")

    def _save(self, trainer: Trainer, name: str) -> None:
        trainer.read_metrics()
        tensors, metadata = state.capture(trainer)
        path = self.store.save(name, tensors, metadata, weights=state.weight_names(trainer))
        logging.info(f"Saved Checkpoint: {path.parent.name}/{path.name}")

    def state_dict(self) -> dict[str, Any]:
        """The best value so far."""
        return dict(self.monitor.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over the best value, so that `best` is not replaced by something worse."""
        self.monitor.load_state_dict(state)
