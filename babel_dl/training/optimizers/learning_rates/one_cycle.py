"""One cycle of the learning rate, up and down, while the momentum goes down and up."""

import math
from dataclasses import dataclass, field
from typing import Literal

from babel_dl.errors import ArgumentError, did_you_mean
from babel_dl.training.optimizers.learning_rates.checks import RATE_RULE, checked_step, is_rate, take_count, take_number
from babel_dl.training.optimizers.learning_rates.schedule import LearningRateSchedule, register


@register
@dataclass(frozen=True)
class OneCycle(LearningRateSchedule):
    """Raises the rate from low to `max_lr` and takes it down to almost nothing; the momentum does the opposite.

        initial_lr = max_lr / div_factor,  final_lr = initial_lr / final_div_factor
        two phases:    initial_lr -> max_lr at step pct_start * num_steps - 1 -> final_lr at step num_steps - 1
        three phases:  initial_lr -> max_lr at step pct_start * num_steps - 1 -> initial_lr at step 2 * pct_start * num_steps - 2
                       -> final_lr at step num_steps - 1
        momentum:      max_momentum where the rate is low, base_momentum at max_lr
        anneal "cos":  value(p) = end + (start - end) * (1 + cos(pi * p)) / 2,   "linear": value(p) = start + (end - start) * p,
                       with p the part of the phase that is done

    Args:
        max_lr: The highest learning rate; at least 0.
        num_steps: Training steps of the cycle, i.e. epochs times steps per epoch; at least 1. Later steps hold the last value.
        pct_start: The part of the cycle in which the rate rises; from 0 to 1, with three phases at most 0.5.
        div_factor: max_lr / initial_lr; above 0.
        final_div_factor: initial_lr / final_lr; above 0.
        base_momentum: The lowest momentum; from 0 to below 1.
        max_momentum: The highest momentum; from `base_momentum` to below 1.
        cycle_momentum: Whether to cycle the momentum; otherwise the optimizer's own stays.
        three_phase: Whether the rate falls back to `initial_lr` before the final fall.
        anneal: The curve between the corners, "cos" or "linear".

    Attributes:
        initial_lr: The learning rate at step 0.

    Raises:
        ArgumentError: A setting is outside of its range.

    Example:
        >>> schedule = OneCycle(max_lr=0.5, num_steps=1170)
        >>> schedule.initial_lr, schedule(350), schedule.momentum(350)
        (0.02, 0.5, 0.85)

    Source: Smith and Topin 2018; torch.optim.lr_scheduler.OneCycleLR with total_steps = num_steps.
    """

    max_lr: float
    num_steps: int
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    base_momentum: float = 0.85
    max_momentum: float = 0.95
    cycle_momentum: bool = True
    three_phase: bool = False
    anneal: Literal["cos", "linear"] = "cos"
    initial_lr: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        take_number(self, "max_lr", is_rate, RATE_RULE)
        take_count(self, "num_steps")
        most = 0.5 if self.three_phase else 1.0
        take_number(self, "pct_start", lambda part: 0.0 <= part <= most, f"a part of the cycle from 0 to {most}")
        take_number(self, "div_factor", lambda factor: factor > 0.0, "a finite factor above 0")
        take_number(self, "final_div_factor", lambda factor: factor > 0.0, "a finite factor above 0")
        take_number(self, "base_momentum", lambda value: 0.0 <= value < 1.0, "a momentum from 0 to below 1")
        take_number(self, "max_momentum", lambda value: self.base_momentum <= value < 1.0, "from base_momentum to below 1")
        if self.anneal not in ("cos", "linear"):
            hint = did_you_mean(str(self.anneal), ("cos", "linear"))
            raise ArgumentError(f"OneCycle got anneal={self.anneal!r}. It must be 'cos' or 'linear'.{hint}")
        object.__setattr__(self, "initial_lr", self.max_lr / self.div_factor)

    def __call__(self, step: int) -> float:
        """The learning rate of one training step; see `LearningRateSchedule`."""
        final_lr = self.initial_lr / self.final_div_factor
        middle = (self.initial_lr,) if self.three_phase else ()
        return self._between(checked_step(self, step), (self.initial_lr, self.max_lr, *middle, final_lr))

    def momentum(self, step: int) -> float | None:
        """The momentum of one training step, or None where `cycle_momentum` is off."""
        step = checked_step(self, step)
        if not self.cycle_momentum:
            return None
        middle = (self.max_momentum,) if self.three_phase else ()
        return self._between(step, (self.max_momentum, self.base_momentum, *middle, self.max_momentum))

    def _between(self, step: int, corners: tuple[float, ...]) -> float:
        """The value at a step of the curve through the corners, one corner at the end of each phase."""
        step = min(step, self.num_steps - 1)
        rise = self.pct_start * self.num_steps
        ends = (rise - 1.0, *((2.0 * rise - 2.0,) if self.three_phase else ()), self.num_steps - 1.0)
        begin = 0.0
        for phase, end in enumerate(ends):
            if step <= end or phase == len(ends) - 1:
                # A phase without any length is done: PyTorch divides by zero here, e.g. where the rise takes a single step.
                progress = (step - begin) / (end - begin) if end != begin else 1.0
                return self._anneal(corners[phase], corners[phase + 1], progress)
            begin = end
        return corners[-1]

    def _anneal(self, start: float, end: float, progress: float) -> float:
        if self.anneal == "linear":
            return (end - start) * progress + start
        return end + (start - end) / 2.0 * (1.0 + math.cos(math.pi * progress))
