"""Finds by name what a step works on: the variables that learn, and the optimizer that moves them."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from babel_dl.core.module import Module
from babel_dl.core.variable import Variable
from babel_dl.errors import ArgumentError, did_you_mean
from babel_dl.training.optimizers.base import Optimizer

if TYPE_CHECKING:
    from babel_dl.training.trainer import Trainer

Scope = Module | Variable | Sequence["Module | Variable"] | str
"""A module, a variable, a list of these, an attribute path (`generator`, `critics/0`), or a pattern over variable paths."""


def find_optimizer(optimizers: Mapping[str, Optimizer], name: str) -> Optimizer:
    """The optimizer of this name; the last part of the name will do where it is the only one that ends so.

    Raises:
        ArgumentError: There is none, or there are several.
    """
    if name in optimizers:
        return optimizers[name]
    fitting = [path for path in optimizers if path.rpartition("/")[2] == name]
    if len(fitting) == 1:
        return optimizers[fitting[0]]
    if fitting:
        raise ArgumentError(f"Several optimizers are called {name!r}: {', '.join(fitting)}. Write the whole name.")
    known = {path.removeprefix("optimizers/") for path in optimizers}
    using = f"\n  Or name one: using={min(known)!r}. Known: {', '.join(sorted(known))}." if known else ""
    raise ArgumentError(
        f"The trainer has no optimizer {name!r}.{did_you_mean(name, known)}\n"
        f"  Give it one: super().__init__(optimizers={{{name!r}: Adam(1e-3)}}), or keep it in an attribute of this name.{using}"
    )


def find_scope(trainer: Trainer, over: Scope | None) -> list[Module | Variable]:
    """The modules and variables that a scope means.

    Args:
        trainer: Whose attributes a text is looked up in.
        over: See `Scope`; None for all that the trainer holds.

    Raises:
        ArgumentError: A text matches nothing, or the scope is something else.
    """
    if over is None:
        return [*trainer.modules.values(), *trainer.variables.values()]
    if isinstance(over, str):
        return _named(trainer, over.strip("/"))
    holders = [over] if isinstance(over, (Module, Variable)) else over
    if not isinstance(holders, (list, tuple)) or not all(isinstance(holder, (Module, Variable)) for holder in holders):
        raise ArgumentError(f"minimize learns over modules and variables, a list of them, or a path such as 'generator'; it got {over!r}.")
    return list(holders)


def _named(trainer: Trainer, path: str) -> list[Module | Variable]:
    known: dict[str, Module | Variable] = {**trainer.variables}
    for name, module in trainer.modules.items():
        below: dict[str, Module | Variable] = {**module.modules, **module.named_variables}
        known.update({name + inner: part for inner, part in below.items()})
    if path in known:
        return [known[path]]
    inside = [known[name] for name in (*trainer.modules, *trainer.variables) if name.startswith(f"{path}/")]
    if inside:
        return inside
    given = getattr(trainer, path, None) if path.isidentifier() else None
    if isinstance(given, (Module, Variable, list, tuple)) and given:
        return find_scope(trainer, given)
    fitting = [part for name, part in known.items() if isinstance(part, Variable) and fnmatch.fnmatchcase(name, path)]
    if not fitting:
        raise ArgumentError(_nothing_fits(path, known))
    return list(fitting)


def _nothing_fits(path: str, known: Mapping[str, Any]) -> str:
    variables = [name for name, part in known.items() if isinstance(part, Variable)]
    if any(sign in path for sign in "*?["):
        shown = ", ".join(variables[:12]) + (", ..." if len(variables) > 12 else "")
        return f"No variable's path fits {path!r}. Paths: {shown or 'none, the modules are not built'}."
    return f"The trainer holds nothing at {path!r}, an attribute path or a pattern such as 'generator/*/weight'.{did_you_mean(path, known)}"


def optimizer_names(scope: Sequence[Module | Variable]) -> dict[str, Variable]:
    """The trainable variables of a scope by the names under which an optimizer keeps their state."""
    named: dict[str, Variable] = {}
    for index, holder in enumerate(scope):
        below = holder.named_variables if isinstance(holder, Module) else {holder.path: holder}
        for path, variable in below.items():
            if variable.trainable:
                named[path if named.get(path, variable) is variable else f"/{index}{path}"] = variable
    return named
