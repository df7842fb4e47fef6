"""The optimizers of a trainer with steps of its own: in the places of those that it has, or under the names that its steps ask for."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from babel_dl.errors import ArgumentError
from babel_dl.training.holding import NOTES
from babel_dl.training.optimizers.base import Optimizer
from babel_dl.training.scopes import find_optimizer
from babel_dl.training.short_form.optimization import Chosen, Extent, choose_optimizer
from babel_dl.training.trainer import Trainer

_GIVEN = "optimizers/"
"""What stands before the name of an optimizer that a trainer was given by name."""


def equip(trainer: Trainer, extent: Extent, optimizer: Any, optimizers: Mapping[str, Any] | None, schedule: Any) -> dict[str, Chosen]:
    """Gives a trainer with steps of its own the optimizers that are meant for it.

    Where the trainer has made optimizers of its own, each that is given takes the place of one of these. Where it has none, its steps ask
    for them by name.

    Args:
        trainer: Who gets them.
        extent: How long the run is.
        optimizer: For a trainer of one optimizer; None for what it has.
        optimizers: By name, each as in `choose_optimizer`.
        schedule: How the rate of `optimizer` moves.

    Returns:
        What was chosen of all optimizers that the trainer then has, by name.

    Raises:
        ArgumentError: The trainer has other optimizers than those that are named, one is given for several, or one cannot be made.
    """
    is_one = optimizer is not None or schedule is not None
    if optimizers is not None and not isinstance(optimizers, Mapping):
        raise ArgumentError(f'fit takes optimizers by name, {{"generator": "adam", ...}}, and got {optimizers!r}.')
    if optimizers and is_one:
        raise ArgumentError("fit got optimizers by name, and optimizer or schedule beside them. Write the schedule into each of them.")
    own = trainer.optimizers
    if not own:
        wanted = dict(optimizers or ({"optimizer": optimizer} if is_one else {}))
        chosen = {name: choose_optimizer(one, schedule, extent, name) for name, one in wanted.items()}
        trainer.optimizers = {name: one.optimizer for name, one in chosen.items()}
        return chosen
    who = type(trainer).__name__
    if is_one and len(own) > 1:
        given = "optimizer" if optimizer is not None else "schedule"
        raise ArgumentError(_say_which(who, given, own))
    places = {_place(who, own, name): one for name, one in (optimizers or {}).items()}
    if is_one:
        (place,) = own
        places = {place: own[place] if optimizer is None else optimizer}
    chosen = {place: choose_optimizer(places.get(place, one), schedule, extent, place) for place, one in own.items()}
    for place, one in chosen.items():
        if one.optimizer is not own[place]:
            _put(trainer, own[place], one.optimizer)
    return {_short(place): one for place, one in chosen.items()}


def _place(who: str, own: Mapping[str, Optimizer], name: str) -> str:
    """Where the trainer has the optimizer of this name.

    Raises:
        ArgumentError: It has none of this name, or several.
    """
    if name in own or any(path.rpartition("/")[2] == name for path in own):
        found = find_optimizer(own, name)
        return next(path for path, one in own.items() if one is found)
    names = _names(own)
    wrong = str(name).lower()
    close = difflib.get_close_matches(wrong, names, n=1, cutoff=0.6) or [one for one in names if wrong in one.lower()]
    hint = f" Did you mean {close[0]!r}?" if close else ""
    form = f'optimizers={{"{(close or names)[0]}": ...}}'
    raise ArgumentError(f"{who} has no optimizer {name!r}.{hint} Its optimizers: {', '.join(names)}. Write: {form}")


def _say_which(who: str, given: str, own: Mapping[str, Optimizer]) -> str:
    names = _names(own)
    form = f'optimizers={{"{names[0]}": {{"optimizer": "adam", "schedule": "cosine"}}, ...}}'
    return f"fit got {given} for {who}, which has {len(own)} optimizers of its own: {', '.join(names)}.\n  Write: {form}"


def _names(own: Mapping[str, Optimizer]) -> list[str]:
    return sorted(map(_short, own))


def _short(place: str) -> str:
    return place.removeprefix(_GIVEN)


def _put(trainer: Trainer, old: Optimizer, new: Optimizer) -> None:
    """Puts an optimizer in the place of another one, in the attribute, list, tuple or dict that holds it."""
    for name, value in list(vars(trainer).items()):
        swapped = value if name in NOTES else _swapped(value, old, new)
        if swapped is not value:
            setattr(trainer, name, swapped)


def _swapped(value: Any, old: Optimizer, new: Optimizer) -> Any:
    """The value with the new one in it: lists and dicts themselves, so that others who hold them see it; of a tuple a new one."""
    if value is old:
        return new
    if isinstance(value, dict):
        value.update({key: _swapped(item, old, new) for key, item in value.items()})
    elif isinstance(value, list):
        value[:] = [_swapped(item, old, new) for item in value]
    elif isinstance(value, tuple):
        items = [_swapped(item, old, new) for item in value]
        if any(item is not before for item, before in zip(items, value, strict=True)):
            return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    return value
