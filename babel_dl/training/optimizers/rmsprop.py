"""RMSprop."""

from __future__ import annotations

from babel_dl import ops
from babel_dl.core.registry import register_optimizer
from babel_dl.core.variable import Variable
from babel_dl.ops.tensor import Tensor
from babel_dl.training.optimizers.base import Optimizer
from babel_dl.training.optimizers.learning_rates.schedule import LearningRateSchedule


@register_optimizer("rmsprop")
class RMSprop(Optimizer):
    """Divides the gradient by the root of its running mean square.

        g = gradient + weight_decay * w
        v = alpha * v + (1 - alpha) * g**2;       a = alpha * a + (1 - alpha) * g
        d = g / (sqrt(v - a**2  if centered else  v) + eps)
        m = momentum * m + d;                     w = w - lr * (m  if momentum else  d)

    Args:
        initial_lr: Learning rate, at least 0; or a schedule.
        alpha: Share of the mean square that is kept; from 0 to below 1.
        eps: Added after the square root; above 0.
        momentum: Share of the last direction that is kept; from 0 to below 1.
        centered: Whether to divide by the standard deviation instead.
        weight_decay: Pull towards zero, added to the gradient; at least 0.
        clip_norm: Limit for the joint norm of all gradients.
        clip_value: Limit for each element.

    Raises:
        ArgumentError: A number is out of its range.

    Source: Hinton 2012, lecture 6e; centered by Graves 2013, eq. 38; torch.optim.RMSprop.
    """

    def __init__(
        self,
        initial_lr: float | LearningRateSchedule = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        momentum: float = 0.0,
        centered: bool = False,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(initial_lr, clip_norm, clip_value)
        self.alpha = self.checked("alpha", alpha, high=1.0, open_high=True)
        self.eps = self.checked("eps", eps, open_low=True)
        self.momentum = self.checked("momentum", momentum, high=1.0, open_high=True)
        self.centered = centered
        self.weight_decay = self.checked("weight_decay", weight_decay)
        wanted = {"square": True, "mean": centered, "momentum": self.momentum > 0}
        self.slots = tuple(slot for slot, is_needed in wanted.items() if is_needed)

    @property
    def momentum_name(self) -> str | None:
        """The hyperparameter that schedules with a momentum cycle."""
        return "momentum" if self.momentum else None

    def update(self, gradients: list[Tensor], variables: list[Variable]) -> None:
        """One step of the rule."""
        rate, momentum = self.moving("learning_rate"), self.moving("momentum")
        slots = {slot: self.state_of(slot, variables) for slot in self.slots}
        for index, (variable, gradient) in enumerate(zip(variables, gradients, strict=True)):
            if self.weight_decay:
                gradient = gradient + self.weight_decay * variable
            spread = self._blend(slots["square"][index], ops.square(gradient))
            if self.centered:
                variance = spread - ops.square(self._blend(slots["mean"][index], gradient))
                spread = ops.maximum(variance, 0.0)  # of equal gradients it is 0, and rounds to either side: a root would give NaN
            direction = gradient / (ops.sqrt(spread) + self.eps)
            if self.momentum:
                kept = slots["momentum"][index]
                direction = momentum * kept + direction
                kept.assign(direction)
            variable.assign(variable - rate * direction)

    def _blend(self, kept: Variable, fresh: Tensor) -> Tensor:
        blended = self.alpha * kept + (1.0 - self.alpha) * fresh
        kept.assign(blended)
        return blended
