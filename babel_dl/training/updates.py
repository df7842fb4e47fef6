"""What `Trainer.minimize` does: gradients over a scope, accumulation, one step of an optimizer. Who learns is found out once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from babel_dl import ops
from babel_dl.core.gradients import trainable_variables, value_and_grad
from babel_dl.core.module import Module
from babel_dl.core.variable import Variable, is_dry_run
from babel_dl.errors import ArgumentError, ShapeError
from babel_dl.ops.tensor import Tensor, TensorLike
from babel_dl.training.optimizers.base import Optimizer
from babel_dl.training.scopes import Scope, find_optimizer, find_scope, optimizer_names

if TYPE_CHECKING:
    from babel_dl.training.trainer import Trainer


class Update(NamedTuple):
    """Who learns, and how.

    Attributes:
        holders: What the scope meant; kept so that their ids stay theirs.
        variables: The trainable variables of the holders, each once.
        optimizer: What moves them.
        sums: Where gradients add up until the optimizer moves; one for each variable, empty without accumulation.
    """

    holders: list[Module | Variable]
    variables: list[Variable]
    optimizer: Optimizer
    sums: list[Variable]


class Updates:
    """The updates of one trainer's steps, each resolved at its first use.

    Args:
        trainer: Whose parts they work on.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._known: dict[Hashable, Update] = {}

    def forget(self) -> None:
        """Resolves anew from here on: something was frozen, thawed or set moving."""
        self._known.clear()

    def minimize(self, fn: Callable[[], Any], over: Scope | None, using: Optimizer | str | None, has_aux: bool) -> Any:
        """See `Trainer.minimize`."""
        if is_dry_run():  # the modules come to be in here, so the scope is known afterwards
            answer = fn()
            _check_loss(answer[0] if has_aux else answer)
            self._find(over, using)
            return answer
        update = self._find(over, using)
        scale = self._trainer.loss_scale
        answer, gradients = (value_and_grad if scale is None else scale.value_and_grad)(fn, update.variables, has_aux)
        self._apply(update, gradients)
        return answer

    def _apply(self, update: Update, gradients: list[Tensor]) -> None:
        count = self._trainer.accumulate
        if count == 1:
            self._move(update, gradients)
            return
        totals = [total + gradient for total, gradient in zip(update.sums, gradients, strict=True)]
        if self._trainer.phases.is_due(count, count - 1):
            self._move(update, [total / count for total in totals])
            totals = [ops.zeros_like(total) for total in totals]
        for kept, total in zip(update.sums, totals, strict=True):
            kept.assign(total)

    def _move(self, update: Update, gradients: list[Tensor]) -> None:
        scale = self._trainer.loss_scale
        if scale is None:
            update.optimizer.apply(gradients, update.variables)
        else:
            scale.apply(update.optimizer, gradients, update.variables)

    def _find(self, over: Scope | None, using: Optimizer | str | None) -> Update:
        key = (_identity(over), _identity(using))
        known = self._known.get(key)
        if known is None:
            known = self._resolve(over, using)
            if not is_dry_run():  # in a dry run a module that is called later may not be built yet
                self._known[key] = known
        return known

    def _resolve(self, over: Scope | None, using: Optimizer | str | None) -> Update:
        trainer = self._trainer
        if over is None and isinstance(using, str):
            over = using
        if using is None and isinstance(over, str):
            using = over
        optimizer = find_optimizer(trainer.optimizers, using) if isinstance(using, str) else using
        optimizer = _only(trainer.optimizers) if optimizer is None else optimizer
        if not isinstance(optimizer, Optimizer):
            hint = f" Make one: {optimizer.__name__}(...)." if isinstance(optimizer, type) else ""
            raise ArgumentError(f"minimize needs an optimizer or its name in `using`, and got {optimizer!r}.{hint}")
        holders = find_scope(trainer, over)
        named = optimizer_names(holders)
        optimizer.prepare(named)
        # In a dry run nothing learns, so nothing has to: a frozen model can be built and evaluated.
        variables = list(dict.fromkeys(named.values())) if is_dry_run() else trainable_variables(holders)
        return Update(holders, variables, optimizer, self._sums(optimizer, variables) if trainer.accumulate > 1 else [])

    def _sums(self, optimizer: Optimizer, variables: list[Variable]) -> list[Variable]:
        """The sums of these variables for this optimizer; the trainer holds them, so that checkpoints keep what is under way."""
        owner = next((name for name, known in self._trainer.optimizers.items() if known is optimizer), "optimizer")
        sums, kept = [], self._trainer.accumulated
        for variable in variables:
            name = f"{owner}/{optimizer.name_of(variable)}"
            if name not in kept:
                zeros = np.zeros(variable.shape, np.float32)
                kept[name] = Variable(zeros, False, f"/accumulated/{name}", variable.dtype, variable.backend)
            sums.append(kept[name])
        return sums


def _check_loss(loss: Any) -> None:
    if not isinstance(loss, TensorLike):
        came = f"it returned {loss!r}. Return what the loss computed."
        raise ArgumentError(f"minimize needs a function that returns a scalar tensor, and {came}")
    if loss.shape != ():
        raise ShapeError(f"minimize needs a function that returns a scalar, and it returned {loss.shape}. Take its mean() or sum().")


def _identity(part: Scope | Optimizer | None) -> Hashable:
    if part is None or isinstance(part, str):
        return part
    return tuple([id(inner) for inner in part]) if isinstance(part, (list, tuple)) else id(part)


def _only(optimizers: dict[str, Optimizer]) -> Optimizer:
    if len(optimizers) == 1:
        return next(iter(optimizers.values()))
    found = f"{len(optimizers)} optimizers ({', '.join(optimizers)})" if optimizers else "no optimizer"
    raise ArgumentError(f'minimize does not know which optimizer to use: the trainer has {found}. Name one: using="...".')
