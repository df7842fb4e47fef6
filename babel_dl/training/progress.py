"""Where a training stands: a few whole numbers that lead back to the same place."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

from babel_dl.errors import DataError
from babel_dl.training.limits import Limits


@dataclass
class Progress:
    """The position of a trainer.

    Attributes:
        step: Training steps made, over all epochs. One call of `train_step` is one step, whatever number of optimizers it runs.
        epoch: Epochs finished, which is the number of the current one counted from 0.
        position: Training batches of the current epoch that are done.
        num_epochs: The epoch at which the run ends; 0 if only its time is limited.
        steps_per_epoch: Training batches in an epoch; 0 before the first.
        stop_reason: Why the run ends before that: what a callback said, or the limit that was reached; empty if nothing did.
        last_step: The step at which the run ends; 0 for none.
        deadline: When its time is up, by `time.monotonic()`; 0 for never.
    """

    step: int = 0
    epoch: int = 0
    position: int = 0
    num_epochs: int = 0
    steps_per_epoch: int = 0
    stop_reason: str = ""
    last_step: int = 0
    deadline: float = 0.0

    def enter(self, limits: Limits, steps_per_epoch: int) -> None:
        """Begins a run, or goes on with one.

        Args:
            limits: When to end.
            steps_per_epoch: How many training batches an epoch of its loader has.

        Raises:
            DataError: Training stands in the middle of an epoch of another size, so its place means nothing here.
        """
        if self.position and self.position == self.steps_per_epoch:
            self.position = steps_per_epoch  # the training part is done, however large its batches were
        if self.position and self.position < self.steps_per_epoch != steps_per_epoch:
            raise DataError(
                f"Training stands behind batch {self.position} of an epoch of {self.steps_per_epoch} batches, and this loader has "
                f"{steps_per_epoch} in an epoch.\n"
                f"  Go on with the batch size and the data that it was begun with, or start from a checkpoint at the end of an epoch."
            )
        self.num_epochs, self.steps_per_epoch, self.stop_reason = limits.epochs or 0, steps_per_epoch, ""
        self.last_step = limits.steps or 0
        self.deadline = time.monotonic() + limits.seconds if limits.seconds else 0.0
        if limits.steps and not limits.epochs:
            self.num_epochs = self.epoch + -(-max(0, limits.steps - self.step + self.position) // steps_per_epoch)

    @property
    def is_over(self) -> bool:
        """Whether epochs or steps are used up, or somebody asked to stop."""
        epochs_done = bool(self.num_epochs) and self.epoch >= self.num_epochs
        return epochs_done or bool(self.stop_reason) or 0 < self.last_step <= self.step

    def count_steps(self, count: int = 1) -> None:
        """Training steps were made. Notes when the last one was among them.

        Args:
            count: How many.
        """
        self.step += count
        self.position += count
        if self.step == self.last_step:
            self.stop_reason = self.stop_reason or f"{self.step} steps are done."
        if self.deadline and time.monotonic() >= self.deadline:
            self.stop_reason = self.stop_reason or "The time is up."

    def label(self, epoch: int) -> str:
        """How logs name an epoch, counted from 1: `3/10`, or `3` if only the time is limited."""
        return f"{epoch}/{self.num_epochs}" if self.num_epochs else str(epoch)

    def to_dict(self) -> dict[str, int]:
        """The numbers that a checkpoint keeps."""
        return {name: value for name, value in asdict(self).items() if name not in ("stop_reason", "last_step", "deadline")}
