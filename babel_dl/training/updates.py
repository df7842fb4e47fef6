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
    """

    holders: list[Module | Variable]
    variables: list[Variable]
    optimizer: Optimizer


class Updates:
    """The updates of one trainer's steps, each resolved at its first use.

    Args:
        trainer: Whose parts they work on.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._known: dict[Hashable, Update] = {}
        self._calls: dict[str, int] = {}
        self._may_learn = True

    def begin(self, may_learn: bool) -> None:
        """A step begins.

        Args:
            may_learn: False for an evaluation step.
        """
        self._calls.clear()
        self._may_learn = may_learn

    def forget(self) -> None:
        """Resolves anew from here on: something was frozen, thawed or set moving."""
        self._known.clear()

    def minimize(self, fn: Callable[[], Any], over: Scope | None, using: Optimizer | str | None, has_aux: bool) -> Any:
        """See `Trainer.minimize`."""
        if not callable(fn):
            name = "..." if over is None else repr(over) if isinstance(over, str) else "..."
            raise ArgumentError(
                f"minimize needs a function that computes the loss, and got {type(fn).__name__}. "
                f"Write: self.minimize(lambda: self.loss(batch), over={name})"
            )
        if is_dry_run():  # the modules come to be in here, so the scope is known afterwards
            answer = fn()
            _check_loss(_first_of_pair(answer) if has_aux else answer)
            update = self._find(over, using)
            self._sums(update)
            return answer
        if not self._may_learn:
            raise ArgumentError(
                f"{type(self._trainer).__name__}.evaluate_step calls minimize, so it would learn from the data that it evaluates.\n"
                f"  Compute the loss in a method of its own, and call that in train_step and evaluate_step."
            )
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
        sums = self._sums(update)
        totals = [total + gradient for total, gradient in zip(sums, gradients, strict=True)]
        if self._trainer.phases.is_due(count, count - 1):
            self._move(update, [total / count for total in totals])
            totals = [ops.zeros_like(total) for total in totals]
        for kept, total in zip(sums, totals, strict=True):
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
        holders = find_scope(trainer, over)
        optimizer = self._optimizer(using, over)
        if not isinstance(optimizer, Optimizer):
            hint = f" Make one: {optimizer.__name__}(...)." if isinstance(optimizer, type) else ""
            raise ArgumentError(f"minimize needs an optimizer or its name in `using`, and got {optimizer!r}.{hint}")
        named = optimizer_names(holders)
        optimizer.prepare(named)
        # In a dry run nothing learns, so nothing has to: a frozen model can be built and evaluated.
        variables = list(dict.fromkeys(named.values())) if is_dry_run() else trainable_variables(holders)
        return Update(holders, variables, optimizer)

    def _optimizer(self, using: Optimizer | str | None, over: Scope | None) -> Any:
        """The one that `using` means; without it the one of the scope's name or of its beginning, and for no name the only one."""
        known = self._trainer.optimizers
        if using is not None:
            return find_optimizer(known, using) if isinstance(using, str) else using
        if not isinstance(over, str):
            return _only(known)
        names = {name.rpartition("/")[2] for name in known} | set(known)
        path = over.strip("/")
        while path and path not in names:
            path = path.rpartition("/")[0]
        return find_optimizer(known, path or over)

    def _sums(self, update: Update) -> list[Variable]:
        """Where gradients add up until the optimizer moves, one for each variable and each call of `minimize` in a step.

        The trainer holds them, so that checkpoints keep what is under way. There are none without accumulation.
        """
        if self._trainer.accumulate == 1:
            return []
        optimizer, variables = update.optimizer, update.variables
        owner = next((name for name, known in self._trainer.optimizers.items() if known is optimizer), "optimizer")
        sums, kept = [], self._trainer.accumulated
        for variable in variables:
            name = f"{owner}/{optimizer.name_of(variable)}"
            count = self._calls[name] = self._calls.get(name, 0) + 1
            if count > 1:  # a variable that moves more than once in a step
                name = f"{name}/{count}"
            if name not in kept:
                zeros = np.zeros(variable.shape, np.float32)
                kept[name] = Variable(zeros, False, f"/accumulated/{name}", variable.dtype, variable.backend)
            sums.append(kept[name])
        return sums


def _first_of_pair(answer: Any) -> Any:
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise ArgumentError(
            f"With has_aux=True minimize needs a function that returns a pair, the loss and what else is wanted, and it returned "
            f"{_title(answer)}. Return the pair, or leave has_aux away."
        )
    return answer[0]


def _title(value: Any) -> str:
    if isinstance(value, TensorLike):
        return "a tensor"
    return f"a {type(value).__name__}" if isinstance(value, (tuple, list, dict)) else repr(value)


def _check_loss(loss: Any) -> None:
    if not isinstance(loss, TensorLike):
        if isinstance(loss, (tuple, list, dict)):
            hint = "Return the scalar that is to become small; for values beside it return (loss, values), and say has_aux=True."
        else:
            hint = "Return what the loss computed."
        came = f"it returned {_title(loss)}. {hint}"
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
    if not optimizers:
        raise ArgumentError(
            "minimize needs an optimizer, and the trainer has none. Give it one by name: "
            "super().__init__(optimizers={\"model\": Adam(1e-3)}), or keep one in an attribute."
        )
    names = [name.removeprefix("optimizers/") for name in optimizers]
    raise ArgumentError(
        f"minimize does not know which optimizer to use: the trainer has {len(names)} ({', '.join(names)}). Name one: using={names[0]!r}."
    )
