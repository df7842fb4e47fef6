"""Where a training stands: a few whole numbers that lead back to the same place."""

from __future__ import annotations

from dataclasses import asdict, dataclass


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

    def to_dict(self) -> dict[str, int]:
        """The numbers that a checkpoint keeps."""
        return {name: value for name, value in asdict(self).items() if name != "stop_reason"}
