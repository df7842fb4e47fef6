"""Training in float16: gradients are made large enough for its range, and steps in which they became too large are left out.

    loss * scale  ->  gradients  ->  gradients / scale
    all finite:      the optimizer moves;  after `growth_interval` such steps in a row scale = min(scale * 2, 2**24)
    one is not:      variables, optimizer state and its count of steps stay as they were;  scale = max(scale / 2, 1)

All of it happens on the device. Scales are powers of two, so multiplying and dividing by them rounds nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.core import gradients as differentiation
from babel_dl.core.gradients import Sources, trainable_variables
from babel_dl.core.logged import log_value, logged_value
from babel_dl.core.module import Module
from babel_dl.core.precision import FLOAT32
from babel_dl.core.variable import Variable
from babel_dl.errors import ArgumentError
from babel_dl.ops.tensor import Tensor, TensorLike
from babel_dl.training.optimizers.base import Optimizer

LOGGED_SCALE = "precision/loss_scale"
"""The name under which the scale is logged."""

LOGGED_SKIPPED = "precision/skipped"
"""The name under which it is logged whether a step was left out."""

LARGEST_SCALE = 2.0**24
"""Beyond it a scaled loss could leave float32, and no gradient of a float16 network is smaller than 2**-24."""


class DynamicLossScale(Module):
    """The scale and its rule. Kept in an attribute of a trainer it is in the checkpoints, and goes on where it stood.

    In every step it logs "precision/loss_scale", and "precision/skipped": 1 for a step that was left out, so its mean over an epoch is
    their share. When even a gradient that was not scaled is not finite, no scale helps: the logged scale is NaN then, which stops the
    trainer.

    Args:
        initial_scale: Where it starts; a power of two from 1 to 2**24.
        growth_interval: After how many good steps in a row it doubles; at least 1.
        backend: Where to keep it; None for the backend in force.

    Attributes:
        scale: What losses are multiplied by, float32.
        good_steps: Steps since it changed, int32.
        skipped_steps: Steps that were left out so far, int32.

    Raises:
        ArgumentError: An argument is out of its range.

    Example:
        >>> from babel_dl.training.optimizers import SGD
        >>> w, loss_scale = Variable(3.0), DynamicLossScale()
        >>> value = scaled_update(lambda: w * w, w, SGD(0.5, momentum=0.0), loss_scale)
        >>> float(value), float(w), float(loss_scale.scale)
        (9.0, 0.0, 32768.0)

    Source: Micikevicius et al. 2018, section 3.2; torch.amp.GradScaler.
    """

    _precision = FLOAT32

    def __init__(self, initial_scale: float = 2.0**15, growth_interval: int = 2000, backend: Backend | None = None) -> None:
        super().__init__()
        is_number = isinstance(initial_scale, (int, float)) and not isinstance(initial_scale, bool)
        if not is_number or not 1 <= initial_scale <= LARGEST_SCALE or not math.log2(initial_scale).is_integer():
            raise ArgumentError(f"DynamicLossScale needs an initial_scale of 1, 2, 4 ... or 2**24, and got {initial_scale!r}.")
        if not isinstance(growth_interval, int) or isinstance(growth_interval, bool) or growth_interval < 1:
            raise ArgumentError(f"DynamicLossScale needs a growth_interval of at least 1, and got {growth_interval!r}.")
        self.growth_interval = growth_interval
        self.scale = Variable(np.float32(initial_scale), False, "/scale", backend=backend)
        self.good_steps = Variable(np.int32(0), False, "/good_steps", backend=backend)
        self.skipped_steps = Variable(np.int32(0), False, "/skipped_steps", backend=backend)

    def value_and_grad(self, fn: Callable[..., Any], over: Sources, has_aux: bool = False) -> tuple[Any, list[Tensor]]:
        """As `babel_dl.core.value_and_grad`, with the scale on the way: value and gradients come back without it.

        Args:
            fn: Returns the loss, a scalar; with `has_aux` a pair of it and any nest of tensors.
            over: What to differentiate with respect to.
            has_aux: Whether `fn` returns by-products as well.

        Returns:
            What `fn` returned, and the gradients; one that left the range of float16 is infinite or NaN.

        Raises:
            GradientError: As `value_and_grad`.
            ShapeError: The loss is not a scalar.
        """
        scale = self.scale.value

        def scaled(*tensors: Any) -> tuple[Any, Any]:
            answer = fn(*tensors)
            value = answer[0] if has_aux else answer
            return value * scale if isinstance(value, TensorLike) else value, answer

        (_, answer), gradients = differentiation.value_and_grad(scaled, over, has_aux=True)
        return answer, [gradient / scale for gradient in gradients]

    def apply(self, optimizer: Optimizer, gradients: Sequence[Tensor], variables: Sequence[Variable]) -> None:
        """One step of the optimizer if all gradients are finite, else none; and the scale moves by its rule.

        Args:
            optimizer: What changes the variables. That it may do so in place is no matter: what it changed is put back.
            gradients: Of `value_and_grad`, or sums or means of several.
            variables: One for each gradient.
        """
        is_good = ops.all(ops.stack([ops.all(ops.isfinite(gradient)) for gradient in gradients]))
        changed = [*variables, *state_of(optimizer, variables)]
        before = [variable.stored.copy() for variable in changed]
        optimizer.apply(gradients, variables)
        for variable, old in zip(changed, before, strict=True):
            variable.assign(ops.where(is_good, variable.stored, old))
        self._move(is_good)

    def _move(self, is_good: Tensor) -> None:
        scale, good_steps = self.scale.value, self.good_steps + 1
        is_due = good_steps >= self.growth_interval
        grown = ops.where(is_due, ops.minimum(scale * 2.0, LARGEST_SCALE), scale)
        is_hopeless = ops.logical_and(ops.logical_not(is_good), scale <= 1.0)
        shown, skipped = ops.where(is_hopeless, math.nan, scale), 1.0 - is_good.astype("float32")
        before, skipped_before = logged_value(LOGGED_SCALE), logged_value(LOGGED_SKIPPED)
        if before is not None and skipped_before is not None:  # another optimizer moved in this step
            shown, skipped = ops.where(ops.isfinite(before), shown, math.nan), ops.maximum(skipped, skipped_before)
        log_value(LOGGED_SCALE, shown)
        log_value(LOGGED_SKIPPED, skipped)
        self.scale.assign(ops.where(is_good, grown, ops.maximum(scale * 0.5, 1.0)))
        self.good_steps.assign(ops.where(ops.logical_and(is_good, ops.logical_not(is_due)), good_steps, 0))
        self.skipped_steps.assign(self.skipped_steps + 1 - is_good.astype("int32"))


def scaled_update(fn: Callable[[], Tensor], variables: Any, optimizer: Optimizer, scale: DynamicLossScale) -> Tensor:
    """Computes a loss and its gradients through a scale, and makes one step of the optimizer if they are finite.

    Args:
        fn: Takes nothing, returns the loss, a scalar.
        variables: A module (its trainable variables), a variable, or a list of these.
        optimizer: What moves them.
        scale: The scale; it moves, too.

    Returns:
        The loss before the step, without the scale.

    Raises:
        GradientError: Nothing can learn, or the loss does not depend on one of the variables.
        ShapeError: The loss is not a scalar.
    """
    chosen = trainable_variables(variables)
    value, gradients = scale.value_and_grad(fn, chosen)
    scale.apply(optimizer, gradients, chosen)
    return value


def state_of(optimizer: Optimizer, variables: Sequence[Variable]) -> list[Variable]:
    """What an optimizer changes besides the variables when it moves them: its state for each of them, and its counts of steps.

    Args:
        optimizer: Makes state for those variables that it does not know.
        variables: What it moves.
    """
    known, named = list(variables), dict[str, Variable]()
    for variable in known:
        name, count = variable.path, 0
        while name in named:  # two models of one class
            count += 1
            name = f"/{count}{variable.path}"
        named[name] = variable
    optimizer.prepare(named)
    found = [state for slot in optimizer.slots for state in optimizer.state_of(slot, known)]
    if optimizer.counts_steps:
        found += {id(count): count for count in (optimizer.count_of([variable]) for variable in known)}.values()
    return found
