"""Adam and its variant with decoupled weight decay."""

from __future__ import annotations

import math

from babel_dl import ops
from babel_dl.core.registry import register_optimizer
from babel_dl.core.variable import Variable
from babel_dl.ops.tensor import Tensor
from babel_dl.training.optimizers.base import Optimizer
from babel_dl.training.optimizers.learning_rates.schedule import LearningRateSchedule


class _AdamRule(Optimizer):
    """The rule of Adam; `decoupled` says where the weight decay goes."""

    slots = ("first_moment", "second_moment")
    counts_steps = True
    decoupled: bool

    def __init__(
        self,
        initial_lr: float | LearningRateSchedule = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(initial_lr, clip_norm, clip_value)
        self.beta1 = self.checked("beta1", beta1, high=1.0, open_high=True)
        self.beta2 = self.checked("beta2", beta2, high=1.0, open_high=True)
        self.eps = self.checked("eps", eps, open_low=True)
        self.weight_decay = self.checked("weight_decay", weight_decay)

    @property
    def momentum_name(self) -> str | None:
        """The hyperparameter that schedules with a momentum cycle."""
        return "beta1"

    def update(self, gradients: list[Tensor], variables: list[Variable]) -> None:
        """One step of the rule, by the backend's kernel where it has one."""
        first, second = self.state_of("first_moment", variables), self.state_of("second_moment", variables)
        rate, step, beta1 = self.moving("learning_rate"), self.count_of(variables), self.moving("beta1")
        kernel = variables[0].backend.kernels.get("adam")
        if kernel is not None and isinstance(beta1, float):
            kernel(
                [variable.storage for variable in variables],
                [gradient.native for gradient in gradients],
                [moment.storage for moment in first],
                [moment.storage for moment in second],
                step.native,
                rate.native,  # type: ignore[union-attr]
                beta1,
                self.beta2,
                self.eps,
                self.weight_decay,
                self.decoupled,
            )
            return
        correction1 = 1.0 - beta1**step if isinstance(beta1, Variable) else _correction(beta1, step)
        correction2 = _correction(self.beta2, step)
        for variable, gradient, m, v in zip(variables, gradients, first, second, strict=True):
            value = variable.value
            if self.weight_decay and self.decoupled:
                value = value * (1.0 - rate * self.weight_decay)
            elif self.weight_decay:
                gradient = gradient + self.weight_decay * value
            new_m = m + (1.0 - beta1) * (gradient - m)
            new_v = self.beta2 * v + (1.0 - self.beta2) * ops.square(gradient)
            m.assign(new_m)
            v.assign(new_v)
            variable.assign(value - rate * (new_m / correction1) / (ops.sqrt(new_v / correction2) + self.eps))


def _correction(beta: float, step: Variable) -> Tensor | float:
    """1 - beta**step. By expm1, because beta**step is near 1 at first and its rounding would be all that is left."""
    return -ops.expm1(step * math.log(beta)) if beta > 0 else 1.0


@register_optimizer("adam")
class Adam(_AdamRule):
    """Steps of a size that adapts to each element.

        g = gradient + weight_decay * w
        m = beta1 * m + (1 - beta1) * g;      v = beta2 * v + (1 - beta2) * g**2
        w = w - lr * (m / (1 - beta1**step)) / (sqrt(v / (1 - beta2**step)) + eps)

    Args:
        initial_lr: Learning rate, at least 0; or a schedule.
        beta1: Share of the mean gradient that is kept; from 0 to below 1.
        beta2: Share of the mean square that is kept; from 0 to below 1.
        eps: Added after the bias-corrected square root; above 0.
        weight_decay: Pull towards zero, added to the gradient; at least 0.
        clip_norm: Limit for the joint norm of all gradients.
        clip_value: Limit for each element.

    Raises:
        ArgumentError: A number is out of its range.

    Source: Kingma and Ba 2015, algorithm 1; torch.optim.Adam.
    """

    decoupled = False


@register_optimizer("adamw")
class AdamW(_AdamRule):
    """Adam with weight decay that is not scaled by the gradients' sizes: w = w * (1 - lr * weight_decay) before the step.

    Args:
        initial_lr: Learning rate, at least 0; or a schedule.
        beta1: Share of the mean gradient that is kept; from 0 to below 1.
        beta2: Share of the mean square that is kept; from 0 to below 1.
        eps: Added after the bias-corrected square root; above 0.
        weight_decay: Pull towards zero; at least 0.
        clip_norm: Limit for the joint norm of all gradients.
        clip_value: Limit for each element.

    Raises:
        ArgumentError: A number is out of its range.

    Source: Loshchilov and Hutter 2019, algorithm 2; torch.optim.AdamW.
    """

    decoupled = True

    def __init__(
        self,
        initial_lr: float | LearningRateSchedule = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(initial_lr, beta1, beta2, eps, weight_decay, clip_norm, clip_value)
