"""An optimizer and its schedule from what a user names. What depends on the length of the run is filled in."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from babel_dl.core.registry import CALLBACKS, OPTIMIZERS, SCHEDULES
from babel_dl.errors import ArgumentError
from babel_dl.training.callbacks import Callback, ReduceLROnPlateau
from babel_dl.training.optimizers.base import Optimizer
from babel_dl.training.optimizers.learning_rates import Const, LearningRateSchedule
from babel_dl.training.optimizers.spelling import check_names
from babel_dl.training.short_form.resolving import NAME, Made, construct, make, parameters_of, plain, take_apart

DEFAULT_OPTIMIZER = "adam"
DEFAULT_RATE = 0.01
"""The learning rate of an optimizer that has no default for it, such as SGD."""

WARM_UP_SHARE = 10
"""A warm-up takes one step of this many, unless its length is given."""

_RATES = ("initial_lr", "lr", "learning_rate")
"""The words for a learning rate, that of this package first."""

_NO_END = "\n  It follows from epochs or steps, and fit got neither. Give one of them, or the number itself."


@dataclass(frozen=True)
class Extent:
    """How long a run is.

    Attributes:
        steps: Training steps in all; None if only its time is limited.
        steps_per_epoch: Training steps in an epoch.
    """

    steps: int | None
    steps_per_epoch: int


@dataclass(frozen=True)
class Chosen:
    """An optimizer as it will run.

    Attributes:
        optimizer: With its schedule.
        callbacks: What lowers its rate instead of a schedule.
        settings: What was chosen, as plain data.
    """

    optimizer: Optimizer
    callbacks: tuple[Callback, ...]
    settings: dict[str, Any]


def choose_optimizer(spec: Any, schedule: Any, extent: Extent, name: str | None = None) -> Chosen:
    """The optimizer that is meant, with its schedule.

    Args:
        spec: A name, a class, an object, or a dict such as `{"optimizer": "adam", "lr": 2e-4, "schedule": "warmup"}`; None for Adam.
        schedule: A name, a class, an object or a dict; None for what `spec` says, or else a rate that stays.
        extent: How long the run is.
        name: What the trainer calls the optimizer, where it has several; None where it has one.

    Raises:
        ArgumentError: A name or an argument is unknown, a number is out of its range, there are two schedules, or what was made is no
            optimizer.
    """
    maker, title, options = take_apart(OPTIMIZERS, DEFAULT_OPTIMIZER if spec is None else spec)
    who = f"The optimizer {title!r}"
    schedules = [one for one in (schedule, options.pop("schedule", None)) if one is not None]
    rate_name, rate = _take_rate(maker, options, who, schedules)
    if len(schedules) > 1:
        raise ArgumentError(f"{who} got {len(schedules)} schedules: {', '.join(map(repr, schedules))}. Leave all but one away.")
    moved = _mover(schedules[0], rate, extent, name) if schedules else None
    if isinstance(maker, Optimizer):
        if options or (moved is not None and isinstance(moved.part, LearningRateSchedule) and moved.part is not maker.schedule):
            form = f"{{'optimizer': {type(maker).__name__}, 'lr': ..., 'schedule': ...}}"
            raise ArgumentError(f"{who} is made already, and cannot take more. Make it with its schedule, or let fit make it: {form}")
        optimizer, numbers = maker, {}
    else:
        if not callable(maker):
            raise ArgumentError(_no_optimizer(who, maker))
        if isinstance(maker, type) and issubclass(maker, Optimizer):
            check_names(maker, options)
        first = moved.part if moved is not None and isinstance(moved.part, LearningRateSchedule) else rate
        made = construct(maker, options, who, title, {rate_name: first})
        optimizer, numbers = made.part, {**made.settings, rate_name: plain(rate)}
    if not isinstance(optimizer, Optimizer):
        raise ArgumentError(_no_optimizer(who, optimizer))
    callbacks = (moved.part,) if moved is not None and isinstance(moved.part, Callback) else ()
    return Chosen(optimizer, callbacks, {NAME: title, **(numbers or _numbers(optimizer)), "schedule": _described(moved)})


def choose_schedule(spec: Any, rate: float, extent: Extent) -> Made:
    """The schedule that is meant. What it needs is filled in by the names of its parameters:

        initial_lr, max_lr    the optimizer's rate               num_steps         the steps of the run; of a warm-up a tenth of them
        k                     0.1 / steps per epoch              schedule          what comes behind a warm-up: the rate that stays
        drop                  0.1                                steps_per_drop    a third of the run

    Args:
        spec: A name, a class, an object or a dict.
        rate: The learning rate of the optimizer.
        extent: How long the run is.

    Raises:
        ArgumentError: A name or an argument is unknown, missing or out of its range, or what was made is no schedule.
    """
    maker, title, options = take_apart(SCHEDULES, spec)
    if not callable(maker) or isinstance(maker, LearningRateSchedule):
        made = make(SCHEDULES, spec)
    else:
        fill = {"initial_lr": rate, "max_lr": rate, "k": 0.1 / extent.steps_per_epoch, "drop": 0.1}
        if extent.steps is not None:
            fill.update(num_steps=extent.steps, steps_per_drop=max(1, -(-extent.steps // 3)))
        if {"schedule", "num_steps"} <= set(_defaults(maker)):
            fill, options = _with_warm_up(fill, options, rate, extent)
        advice = _NO_END if extent.steps is None else ""
        made = construct(maker, options, f"The schedule {title!r}", title, fill, advice)
    if not isinstance(made.part, LearningRateSchedule):
        hint = "For a rate that stays: Const(0.1)."
        raise ArgumentError(f"The schedule {title!r} is {made.part!r}, and must be a LearningRateSchedule. {hint}")
    return made


def _take_rate(maker: Any, options: dict[str, Any], who: str, schedules: list[Any]) -> tuple[str, float]:
    """What the maker calls its learning rate, and the rate, taken out of the options under any of its names. A schedule in its place joins
    the others.

    Raises:
        ArgumentError: It is given twice.
    """
    if isinstance(maker, Optimizer):
        schedules += [] if maker.schedule is None else [maker.schedule]
        return _RATES[0], maker.initial_lr
    words, taken = [word for word in _RATES if word in options], _defaults(maker)
    if len(words) > 1:
        raise ArgumentError(f"{who} got its learning rate twice: as {' and '.join(words)}. Leave one away.")
    name = next((word for word in _RATES if word in taken), _RATES[0])
    default = taken.get(name, DEFAULT_RATE)
    rate = options.pop(words[0]) if words else DEFAULT_RATE if default is inspect.Parameter.empty else default
    if isinstance(rate, LearningRateSchedule):
        schedules.append(rate)
        return name, rate.initial_lr
    return name, rate


def _mover(spec: Any, rate: float, extent: Extent, name: str | None) -> Made:
    """What moves the rate: a schedule, or a callback that lowers it on a plateau."""
    inner = spec.get(NAME, spec.get(SCHEDULES.kind)) if isinstance(spec, Mapping) else spec
    if isinstance(inner, str) and inner not in SCHEDULES and inner in CALLBACKS and CALLBACKS.find(inner) is ReduceLROnPlateau:
        options = {key: value for key, value in spec.items() if key not in (NAME, SCHEDULES.kind)} if isinstance(spec, Mapping) else {}
        return make(CALLBACKS, {**options, NAME: inner}, {"optimizer": name})
    return choose_schedule(spec, rate, extent)


def _with_warm_up(
    fill: dict[str, Any], options: dict[str, Any], rate: float, extent: Extent
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What to fill into a schedule that begins another one, and its options with the other one made."""
    steps = options.get("num_steps", None if extent.steps is None else max(1, extent.steps // WARM_UP_SHARE))
    left = None if extent.steps is None or not isinstance(steps, int) else max(1, extent.steps - steps)
    inner = choose_schedule(options.get("schedule", Const(rate)), rate, Extent(left, extent.steps_per_epoch)).part
    fill = {**fill, **({} if steps is None else {"num_steps": steps})}
    return fill, {**options, "schedule": inner}


def _defaults(maker: Any) -> dict[str, Any]:
    """What a class or function takes, with its defaults."""
    return {name: parameter.default for name, parameter in (parameters_of(maker) or {}).items()} if callable(maker) else {}


def _no_optimizer(who: str, found: Any) -> str:
    return f"{who} is {found!r}, and must be an Optimizer of babel_dl. Names: {', '.join(OPTIMIZERS.names())}."


def _numbers(optimizer: Optimizer) -> dict[str, Any]:
    """The constructor's arguments of an optimizer that came finished."""
    return {name: plain(getattr(optimizer, name)) for name in _defaults(type(optimizer)) if hasattr(optimizer, name)}


def _described(moved: Made | None) -> Any:
    if moved is None:
        return None
    return {NAME: moved.title, **(moved.settings or {"values": plain(moved.part)})}
