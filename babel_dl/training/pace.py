"""How many steps a call makes: as many as keep it long beside its own cost, and short beside a person's patience."""

from __future__ import annotations

from babel_dl.errors import ArgumentError

AUTO = "auto"
MAX_STEPS = 64
MAX_BYTES = 4 << 20
"""Of the batches of one call. More would only leave the processor's cache."""

LEAST_MEAN = 4
"""A call of several steps costs some 0.1 ms more than one of a step alone; shorter ones do not repay that."""

MAX_TIMED = 16
"""Calls; each of these is waited for."""

WANTED_SECONDS = 0.05
"""A call of this length hides its own cost (0.1 to 1 ms), and Ctrl-C, callbacks and limits still come in time."""


class Pace:
    """Finds out how many steps a call may make. Their number changes no bit of what they compute, so it may depend on the clock.

    The first call compiles and tells nothing; the next ones are timed, and make four times as many steps each until one is long enough
    twice. After some calls it is left at what it is: where all of them end early, there is nothing to find out.

    Args:
        steps_per_call: "auto", or a fixed number.

    Attributes:
        steps: How many the next call may make.
        is_settled: Whether nothing is timed any more.
    """

    def __init__(self, steps_per_call: int | str) -> None:
        self.is_settled = steps_per_call != AUTO
        self.steps = int(steps_per_call) if self.is_settled else 1
        self._calls_left = MAX_TIMED
        self._long: list[float] = []

    def note(self, steps: int, seconds: float) -> None:
        """A call was timed.

        Args:
            steps: How many it made.
            seconds: How long it took.
        """
        self._calls_left -= 1
        if self._calls_left == 0:
            self.is_settled = True
        if self._calls_left == MAX_TIMED - 1 or steps < self.steps:  # it compiled; or something else ended it early
            return
        if seconds >= WANTED_SECONDS / 4:
            self._long.append(seconds)
            if len(self._long) == 2:  # one alone may have been held up by something else
                self._settle(int(self.steps * WANTED_SECONDS / min(self._long)))
        elif self.steps * 4 >= MAX_STEPS:
            self._settle(MAX_STEPS)
        else:
            self.steps *= 4
            self._long.clear()

    def _settle(self, steps: int) -> None:
        self.steps, self.is_settled = max(1, min(MAX_STEPS, steps)), True


def check_steps_per_call(who: str, value: int | str) -> int | str:
    """The value, if it is "auto" or a whole number of at least 1.

    Args:
        who: Whose setting it is.
        value: Of a user.

    Raises:
        ArgumentError: It is neither.
    """
    if value == AUTO or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise ArgumentError(f'{who} needs steps_per_call="auto" or a whole number of at least 1, and got {value!r}.')
