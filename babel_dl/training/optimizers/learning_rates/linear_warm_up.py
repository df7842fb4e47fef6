"""A linear start in front of any other schedule."""

from dataclasses import dataclass, field

from babel_dl.core.registry import register_schedule
from babel_dl.errors import ArgumentError
from babel_dl.training.optimizers.learning_rates.checks import checked_step, take_count, take_number
from babel_dl.training.optimizers.learning_rates.schedule import LearningRateSchedule, register


@register_schedule("warmup")
@register
@dataclass(frozen=True)
class LinearWarmUp(LearningRateSchedule):
    """Raises the rate in a straight line to where another schedule begins, then hands over to it.

        lr(step) = schedule(0) * (start_factor + (1 - start_factor) * step / num_steps)      for step < num_steps
        lr(step) = schedule(step - num_steps)                                               afterwards

    The other schedule starts at its own step 0 when the warm-up is over: a `Cosine` that shall end with the run gets the steps left then.

    Args:
        schedule: The schedule to begin with a warm-up.
        num_steps: Training steps of the warm-up; at least 1.
        start_factor: The part of the full rate at step 0; from 0 to 1.

    Attributes:
        initial_lr: That of `schedule`, i.e. the full rate.

    Raises:
        ArgumentError: A setting is outside of its range, or `schedule` is none.

    Example:
        >>> from babel_dl.training.optimizers.learning_rates import Cosine
        >>> schedule = LinearWarmUp(Cosine(initial_lr=0.8, num_steps=100), num_steps=4)
        >>> schedule(0), schedule(1), schedule(4), schedule(104)
        (0.0, 0.2, 0.8, 0.0)

    Source: Goyal et al. 2017, section 2.2; torch.optim.lr_scheduler.SequentialLR of a LinearLR and the other schedule.
    """

    schedule: LearningRateSchedule
    num_steps: int
    start_factor: float = 0.0
    initial_lr: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.schedule, LearningRateSchedule):
            raise ArgumentError(f"LinearWarmUp got schedule={self.schedule!r}. It must be a schedule; for a plain rate write Const(rate).")
        take_count(self, "num_steps")
        take_number(self, "start_factor", lambda factor: 0.0 <= factor <= 1.0, "a factor from 0 to 1")
        object.__setattr__(self, "initial_lr", self.schedule.initial_lr)

    def __call__(self, step: int) -> float:
        """The learning rate of one training step; see `LearningRateSchedule`."""
        step = checked_step(self, step)
        if step >= self.num_steps:
            return self.schedule(step - self.num_steps)
        return self.schedule(0) * (self.start_factor + (1.0 - self.start_factor) * step / self.num_steps)

    def momentum(self, step: int) -> float | None:
        """The momentum of the other schedule; during the warm-up, that of its first step."""
        return self.schedule.momentum(max(checked_step(self, step) - self.num_steps, 0))
