"""Where a training stands: a few whole numbers that lead back to the same place."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from babel_dl.errors import DataError


@dataclass
class Progress:
    """The position of a trainer.

    Attributes:
        step: Training steps made, over all epochs. One call of `train_step` is one step, whatever number of optimizers it runs.
        epoch: Epochs finished, which is the number of the current one counted from 0.
        position: Training batches of the current epoch that are done.
        num_epochs: The epoch at which the run ends.
        steps_per_epoch: Training batches in an epoch; 0 before the first.
        stop_reason: Why a callback asked to stop; empty if none did.
    """

    step: int = 0
    epoch: int = 0
    position: int = 0
    num_epochs: int = 0
    steps_per_epoch: int = 0
    stop_reason: str = ""

    def enter(self, num_epochs: int, steps_per_epoch: int) -> None:
        """Begins a run, or goes on with one.

        Args:
            num_epochs: At which epoch to end.
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
        self.num_epochs, self.steps_per_epoch, self.stop_reason = num_epochs, steps_per_epoch, ""

    def to_dict(self) -> dict[str, int]:
        """The numbers that a checkpoint keeps."""
        return {name: value for name, value in asdict(self).items() if name != "stop_reason"}
