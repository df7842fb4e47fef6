"""Moves the learning rate while training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from babel_dl.errors import ArgumentError, CallbackError
from babel_dl.training.callbacks.base import Callback
from babel_dl.training.optimizers.learning_rates import LearningRateSchedule

if TYPE_CHECKING:
    from babel_dl.training.optimizers.base import Optimizer
    from babel_dl.training.trainer import Trainer


class LearningRateUpdateCallback(Callback):
    """Lets an optimizer follow a schedule: the learning rate from step to step, and the momentum where the schedule moves it.

    The schedule is a function of `trainer.step`: it does not advance on dev data, and a resumed run finds its place by itself.

    Args:
        schedule: The learning rate as a function of the training step.
        optimizer: The optimizer to move, or its name in the trainer (`"generator_optimizer"`); None for the only one.

    Raises:
        ArgumentError: The schedule is none, such as a plain number.
        CallbackError: The trainer has no such optimizer, or several and none is named, or the optimizer has a schedule of its own.
    """

    def __init__(self, schedule: LearningRateSchedule, optimizer: str | Optimizer | None = None) -> None:
        if not isinstance(schedule, LearningRateSchedule):
            hint = f"For a fixed rate: Const({schedule!r})."
            raise ArgumentError(f"LearningRateUpdateCallback needs a schedule, and got {schedule!r}. {hint}")
        self.schedule = schedule
        self.name = optimizer
        self._moves_momentum = schedule.momentum(0) is not None

    def _optimizer(self, trainer: Trainer) -> Optimizer:
        optimizers = trainer.optimizers
        if self.name is None and len(optimizers) == 1:
            return next(iter(optimizers.values()))
        for name, optimizer in optimizers.items():
            if self.name is optimizer or self.name == name:
                return optimizer
        raise CallbackError(
            f"LearningRateUpdateCallback does not know which optimizer to move: {self.name!r} was named, and the trainer has "
            f"{', '.join(optimizers) or 'none'}.\n  Name one: LearningRateUpdateCallback(schedule, optimizer=...)"
        )

    def on_prepare(self, trainer: Trainer) -> None:
        """Gives the optimizer its leader, and lets its momentum move, if the schedule moves it."""
        optimizer = self._optimizer(trainer)
        if optimizer.schedule is not None:
            raise CallbackError(
                f"{type(optimizer).__name__} follows the schedule it was made with, {optimizer.schedule!r}, and a "
                f"LearningRateUpdateCallback would move it, too.\n  Take one of the two away."
            )
        if self._moves_momentum and optimizer.momentum_name is not None:
            optimizer.let_move(optimizer.momentum_name)
        optimizer.leader = self.schedule
