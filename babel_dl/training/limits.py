"""When a training ends: after so many epochs, at a step, or when its time is up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from babel_dl.errors import ArgumentError


@dataclass(frozen=True)
class Limits:
    """The limits of a call of `fit`; the first that is reached ends it.

    Attributes:
        epochs: Epochs, counted from the trainer's first; None for no such limit.
        steps: Steps, counted from the trainer's first; None for no such limit.
        seconds: How long the call may train; None for no such limit.
    """

    epochs: int | None = None
    steps: int | None = None
    seconds: float | None = None

    @classmethod
    def of(cls, epochs: Any, steps: Any, max_time: Any) -> Limits:
        """The limits that a user gave; one epoch if there is none.

        Raises:
            ArgumentError: One of them is no number of at least 1 (for `max_time`: above 0).
        """
        for name, count in (("epochs", epochs), ("steps", steps)):
            if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 1):
                raise ArgumentError(f"fit needs {name} of at least 1, and got {count!r}.")
        seconds = max_time.total_seconds() if isinstance(max_time, timedelta) else max_time
        is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
        if seconds is not None and (not is_number or not seconds > 0):
            raise ArgumentError(f"fit needs max_time in seconds above 0 or as a timedelta, and got {max_time!r}.")
        if epochs is None and steps is None and seconds is None:
            epochs = 1
        return cls(epochs, steps, None if seconds is None else float(seconds))

    def __str__(self) -> str:
        given = {"epochs": self.epochs, "steps": self.steps, "seconds": self.seconds}
        return " and ".join(f"{count:g} {name}" for name, count in given.items() if count is not None)
