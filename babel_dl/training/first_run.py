"""Looks closely at the first run of a step, and never again: what it would lose under compilation, or in a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from babel_dl.core import logging
from babel_dl.core.compilation import strangers
from babel_dl.core.variable import watch_variables
from babel_dl.errors import StateError
from babel_dl.training.side_effects import watched
from babel_dl.training.state import named_variables

if TYPE_CHECKING:
    from babel_dl.training.trainer import Trainer


@contextmanager
def checked_first_run(trainer: Trainer, step: Callable[[Any], Any]) -> Iterator[None]:
    """Refuses a step that uses what its trainer does not hold, or that changes Python state.

    Raises:
        StateError: A variable is used that the trainer does not hold, so that no checkpoint would keep it; it is named.
        SideEffectError: Something happened that a compiled step would do only once; the line is named.
    """
    below = [(f"{name}{path}", part) for name, root in trainer.modules.items() for path, part in root.modules.items()]
    built = {f"{type(part).__name__} {path}": part for path, part in below if part.is_built}
    with watch_variables() as used, watched(step, {"self": trainer, **built}):
        yield
    found = strangers(used, {id(variable) for variable in named_variables(trainer).values()})
    if found:
        raise StateError(
            f"{step.__qualname__} uses the variable {found}, which {type(trainer).__name__} does not hold: no checkpoint would keep it, "
            f"and train() and eval() would not reach it.\n"
            f"  Keep its module or optimizer in an attribute of the trainer: self.name = module"
        )


def warn_of_idle_optimizers(trainer: Trainer, step: Callable[[Any], Any]) -> None:
    """Says so where a trainer has optimizers and its step let none of them move anything: what a step returns is only reported."""
    optimizers = trainer.optimizers
    if optimizers and not any(optimizer.is_in_use for optimizer in optimizers.values()):
        name = next(iter(optimizers)).removeprefix("optimizers/")
        logging.warn(
            f"{step.__qualname__} lets no optimizer move anything: what a step returns is reported, and not minimized. "
            f"Write: return self.minimize(lambda: self.loss(batch), over={name!r})"
        )
