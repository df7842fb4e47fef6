"""Schedules with one closed formula: constant, exponential, in steps, and half a cosine."""

import math
from dataclasses import dataclass

from babel_dl.training.optimizers.learning_rates.checks import RATE_RULE, checked_step, is_rate, take_count, take_number
from babel_dl.training.optimizers.learning_rates.schedule import LearningRateSchedule, register


@register
@dataclass(frozen=True)
class Const(LearningRateSchedule):
    """The same rate at every step.

        lr(step) = initial_lr

    Args:
        initial_lr: The learning rate; at least 0.

    Raises:
        ArgumentError: A setting is outside of its range.

    Example:
        >>> Const(0.1)(1000)
        0.1
    """

    initial_lr: float

    def __post_init__(self) -> None:
        take_number(self, "initial_lr", is_rate, RATE_RULE)

    def __call__(self, step: int) -> float:
        """The learning rate of one training step; see `LearningRateSchedule`."""
        checked_step(self, step)
        return self.initial_lr


@register
@dataclass(frozen=True)
class Exponential(LearningRateSchedule):
    """A rate that falls by the same factor at every step.

        lr(step) = initial_lr * exp(-k * step)

    Args:
        initial_lr: The learning rate at step 0; at least 0.
        k: The decay per training step; at least 0. `0.1 / steps_per_epoch` leaves 90.5 % after an epoch.

    Raises:
        ArgumentError: A setting is outside of its range.

    Example:
        >>> schedule = Exponential(initial_lr=0.001, k=0.1 / 1875)
        >>> f"{schedule(1875):.6f}"
        '0.000905'

    Source: torch.optim.lr_scheduler.ExponentialLR with gamma = exp(-k), stepped per batch.
    """

    initial_lr: float
    k: float

    def __post_init__(self) -> None:
        take_number(self, "initial_lr", is_rate, RATE_RULE)
        take_number(self, "k", lambda k: k >= 0.0, "a finite decay per training step of at least 0 (the formula brings the minus sign)")

    def __call__(self, step: int) -> float:
        """The learning rate of one training step; see `LearningRateSchedule`."""
        return self.initial_lr * math.exp(-self.k * checked_step(self, step))


@register
@dataclass(frozen=True)
class StepDecay(LearningRateSchedule):
    """A rate that stays, then drops by a factor, again and again.

        lr(step) = initial_lr * drop ** floor(step / steps_per_drop)

    Args:
        initial_lr: The learning rate until the first drop; at least 0.
        drop: The factor of each drop; above 0 and at most 1.
        steps_per_drop: Training steps from drop to drop; at least 1.

    Raises:
        ArgumentError: A setting is outside of its range.

    Example:
        >>> schedule = StepDecay(initial_lr=1.0, drop=0.5, steps_per_drop=10)
        >>> schedule(9), schedule(10), schedule(20)
        (1.0, 0.5, 0.25)

    Source: torch.optim.lr_scheduler.StepLR with gamma = drop, stepped per batch.
    """

    initial_lr: float
    drop: float
    steps_per_drop: int

    def __post_init__(self) -> None:
        take_number(self, "initial_lr", is_rate, RATE_RULE)
        take_number(self, "drop", lambda drop: 0.0 < drop <= 1.0, "a factor above 0 and at most 1")
        take_count(self, "steps_per_drop")

    def __call__(self, step: int) -> float:
        """The learning rate of one training step; see `LearningRateSchedule`."""
        return self.initial_lr * self.drop ** (checked_step(self, step) // self.steps_per_drop)


@register
@dataclass(frozen=True)
class Cosine(LearningRateSchedule):
    """A rate that falls along half a cosine, and then stays.

        lr(step) = final_lr + (initial_lr - final_lr) * (1 + cos(pi * step / num_steps)) / 2      for step <= num_steps
        lr(step) = final_lr                                                                      afterwards

    Args:
        initial_lr: The learning rate at step 0; at least 0.
        num_steps: Training steps until the end of the fall; at least 1.
        final_lr: The learning rate from there on; at least 0.

    Raises:
        ArgumentError: A setting is outside of its range.

    Example:
        >>> schedule = Cosine(initial_lr=1.0, num_steps=100)
        >>> schedule(0), schedule(50), schedule(100), schedule(1000)
        (1.0, 0.5, 0.0, 0.0)

    Source: Loshchilov and Hutter 2017, eq. 5, without restarts; torch.optim.lr_scheduler.CosineAnnealingLR up to its T_max.
    """

    initial_lr: float
    num_steps: int
    final_lr: float = 0.0

    def __post_init__(self) -> None:
        take_number(self, "initial_lr", is_rate, RATE_RULE)
        take_count(self, "num_steps")
        take_number(self, "final_lr", is_rate, RATE_RULE)

    def __call__(self, step: int) -> float:
        """The learning rate of one training step; see `LearningRateSchedule`."""
        progress = min(checked_step(self, step) / self.num_steps, 1.0)
        return self.final_lr + (self.initial_lr - self.final_lr) * (1.0 + math.cos(math.pi * progress)) / 2.0
