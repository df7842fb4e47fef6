"""The checks that all schedules share: numbers and counts in constructors, the training step in calls."""

import math
import operator
from collections.abc import Callable
from numbers import Integral, Real
from typing import SupportsIndex

from babel_dl.errors import ArgumentError


def take_number(owner: object, name: str, is_allowed: Callable[[float], bool], rule: str) -> None:
    """Checks a numeric field of a frozen dataclass and stores it as a Python float, so that all arithmetic is float64.

    Args:
        owner: The schedule, inside its `__post_init__`.
        name: The field.
        is_allowed: Whether a finite number is within the range.
        rule: The range in words, for the message: "It must be {rule}".

    Raises:
        ArgumentError: The field is no number, not finite, or not allowed.
    """
    value = getattr(owner, name)
    number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    if not math.isfinite(number) or not is_allowed(number):
        raise ArgumentError(f"{type(owner).__name__} got {name}={value!r}. It must be {rule}.")
    object.__setattr__(owner, name, number)


def take_count(owner: object, name: str) -> None:
    """Checks a field that counts training steps and stores it as a Python int.

    Args:
        owner: The schedule, inside its `__post_init__`.
        name: The field.

    Raises:
        ArgumentError: The field is no whole number, or below 1.
    """
    value = getattr(owner, name)
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ArgumentError(f"{type(owner).__name__} got {name}={value!r}. It must be a whole number of training steps, at least 1.")
    object.__setattr__(owner, name, int(value))


def checked_step(owner: object, step: SupportsIndex) -> int:
    """The training step as a Python int.

    Args:
        owner: The schedule that was called; named in the message.
        step: The training step; a numpy integer is welcome.

    Returns:
        The step.

    Raises:
        ArgumentError: The step is no whole number, or negative.
    """
    try:
        number = operator.index(step)
    except TypeError as error:
        raise ArgumentError(f"{type(owner).__name__} got step {step!r}. A training step is a whole number, counted from 0.") from error
    if number < 0:
        raise ArgumentError(f"{type(owner).__name__} got step {number}. Training steps are counted from 0.")
    return number


def is_rate(value: float) -> bool:
    """Whether a finite number can be a learning rate: at least 0."""
    return value >= 0.0


RATE_RULE = "a finite learning rate of at least 0"
