"""Stochastic gradient descent."""

from __future__ import annotations

from babel_dl import ops
from babel_dl.core.registry import register_optimizer
from babel_dl.core.variable import Variable
from babel_dl.errors import ArgumentError
from babel_dl.ops.tensor import Tensor
from babel_dl.training.optimizers.base import Optimizer
from babel_dl.training.optimizers.learning_rates.schedule import LearningRateSchedule


@register_optimizer("sgd")
class SGD(Optimizer):
    """Stochastic gradient descent with momentum.

        g = gradient + weight_decay * w
        m = momentum * m + (1 - dampening) * g        (m = g at the first step)
        w = w - lr * (g + momentum * m  if nesterov else  m)

    Args:
        initial_lr: Learning rate, at least 0; or a schedule.
        momentum: Share of the last direction that is kept; from 0 to below 1. The default is the tutorials'.
        dampening: Share of the gradient that is left out of the direction; from 0 to 1.
        nesterov: Whether to look one step ahead; needs momentum above 0 and no dampening. None: where that is so.
        weight_decay: Pull towards zero, added to the gradient; at least 0.
        clip_norm: Limit for the joint norm of all gradients.
        clip_value: Limit for each element.

    Raises:
        ArgumentError: A number is out of its range, or nesterov does not fit.

    Source: Sutskever et al. 2013; torch.optim.SGD.
    """

    def __init__(
        self,
        initial_lr: float | LearningRateSchedule,
        momentum: float = 0.95,
        dampening: float = 0.0,
        nesterov: bool | None = None,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(initial_lr, clip_norm, clip_value)
        self.momentum = self.checked("momentum", momentum, high=1.0, open_high=True)
        self.dampening = self.checked("dampening", dampening, high=1.0)
        self.nesterov = (self.momentum > 0 and self.dampening == 0) if nesterov is None else nesterov
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise ArgumentError(f"SGD with nesterov needs momentum above 0 and no dampening, and got {momentum} and {dampening}.")
        self.weight_decay = self.checked("weight_decay", weight_decay)
        self.slots = ("momentum",) if self.momentum else ()
        self.counts_steps = self.dampening > 0

    @property
    def momentum_name(self) -> str | None:
        """The hyperparameter that schedules with a momentum cycle."""
        return "momentum" if self.momentum else None

    def update(self, gradients: list[Tensor], variables: list[Variable]) -> None:
        """One step of the rule, by the backend's kernel where it has one."""
        momenta = self.state_of("momentum", variables) if self.momentum else None
        rate, momentum = self.moving("learning_rate"), self.moving("momentum")
        kernel = variables[0].backend.kernels.get("sgd")
        if kernel is not None and self.dampening == 0:
            kernel(
                [variable.storage for variable in variables],
                [gradient.native for gradient in gradients],
                None if momenta is None else [m.storage for m in momenta],
                rate.native,  # type: ignore[union-attr]
                momentum.native if isinstance(momentum, Variable) else momentum,
                self.nesterov,
                self.weight_decay,
            )
            return
        for index, (variable, gradient) in enumerate(zip(variables, gradients, strict=True)):
            direction = gradient + self.weight_decay * variable if self.weight_decay else gradient
            if momenta is not None:
                is_first = self.count_of(variables) == 1.0 if self.dampening else None
                direction = self._with_momentum(direction, momenta[index], momentum, is_first)
            variable.assign(variable - rate * direction)

    def _with_momentum(self, gradient: Tensor, kept: Variable, momentum: Variable | float, is_first: Tensor | None) -> Tensor:
        fresh = gradient if self.dampening == 0 else (1 - self.dampening) * gradient
        new = momentum * kept + fresh
        if is_first is not None:
            new = ops.where(is_first, gradient, new)
        kept.assign(new)
        return gradient + momentum * new if self.nesterov else new
