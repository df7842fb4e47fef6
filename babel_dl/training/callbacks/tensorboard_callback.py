"""The numbers of a run for TensorBoard."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from babel_dl.core.registry import register_callback
from babel_dl.errors import MissingPackageError
from babel_dl.training.callbacks.base import REPORT, Callback
from babel_dl.training.run_folder import run_folder

if TYPE_CHECKING:
    from babel_dl.training.trainer import Trainer


@register_callback("tensorboard")
class TensorboardCallback(Callback):
    """Writes metrics and learning rates as TensorBoard events, in `train` and `dev` below a folder, by training step.

    It writes with tensorboardX: TensorBoard's own writer imports a whole framework.

    Args:
        folder: Where the events lie; None for `tensorboard` in the folder of the run.

    Raises:
        MissingPackageError: tensorboardX is not installed; the message has the pip line.
    """

    on_failure = REPORT

    def __init__(self, folder: str | Path | None = None) -> None:
        if importlib.util.find_spec("tensorboardX") is None:
            raise MissingPackageError('TensorboardCallback writes with tensorboardX. Run: pip install "babel_dl[tensorboard]"')
        self.folder = None if folder is None else Path(folder)
        self._writers: dict[str, Any] = {}

    def on_fit_start(self, trainer: Trainer) -> None:
        """Opens the files; TensorBoard drops the events of steps that are made again, i.e. those behind the one that was reached."""
        from tensorboardX import SummaryWriter

        folder = self.folder or run_folder() / "tensorboard"
        again = trainer.step + 1 if trainer.step else None
        self._writers = {split: SummaryWriter(str(folder / split), purge_step=again) for split in ("train", "dev")}

    def on_metrics(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """Writes the means of the epoch so far, and the learning rates."""
        rates = {f"learning_rate/{name}": optimizer.learning_rate for name, optimizer in trainer.optimizers.items()}
        self._write("train", trainer.step, {**metrics, **rates})

    def on_train_end(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """Writes the means over the training part."""
        self.on_metrics(trainer, metrics)

    def on_dev_end(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """Writes the means over the dev data."""
        self._write("dev", trainer.step, metrics)

    def _write(self, split: str, step: int, metrics: dict[str, float]) -> None:
        if split in self._writers:
            for name, value in metrics.items():
                self._writers[split].add_scalar(name, value, step)
            self._writers[split].flush()

    def _close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def on_fit_end(self, trainer: Trainer) -> None:
        """Closes the files."""
        self._close()

    def on_fit_interrupted(self, trainer: Trainer) -> None:
        """Closes the files."""
        self._close()

    def on_fit_failed(self, trainer: Trainer, error: BaseException) -> None:
        """Closes the files."""
        self._close()
