"""What a step does only every so often, decided on the host: each combination is a compiled step of its own, without a branch in it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from babel_dl.errors import ArgumentError

Phase = tuple[bool, ...]


class Phases:
    """Remembers which periods a step asks for, and says for each step which of them are due.

        due = step % period == offset % period        step = 0, 1, 2, ...
    """

    def __init__(self) -> None:
        self._periods: list[tuple[int, int]] = []
        self._step: int | None = None

    def at(self, step: int) -> Phase:
        """For each period that came up so far, whether it is due at this step: a constant of the compiled step.

        A period that comes up later makes the tuple longer, so what was compiled without it is not used again.
        """
        return tuple([step % period == offset for period, offset in self._periods]) if self._periods else ()

    def run_length(self, step: int, most: int) -> int:
        """How many steps from this one on, at most, have the same phase.

        Args:
            step: The first of them.
            most: How many to look at; at least 1.
        """
        if not self._periods:
            return most
        phase = self.at(step)
        return next((count for count in range(1, most) if self.at(step + count) != phase), most)

    @property
    def mean_run_length(self) -> float:
        """How many steps in a row have the same phase, on average; infinite where nothing is done only every so often."""
        if not self._periods:
            return math.inf
        cycle = min(math.lcm(*[period for period, _ in self._periods]), 1000)
        return cycle / max(1, sum(self.at(step) != self.at(step + 1) for step in range(cycle)))

    def combinations(self) -> Iterator[int]:
        """A step for each combination of what is due and what is not, but for the one in which everything is.

        Periods that come up while the caller tries a step are taken in.
        """
        seen, step = {self.at(0)} if all(self.at(0)) else set(), 0
        while step < min(math.lcm(*[period for period, _ in self._periods]), 1000):
            phase = self.at(step)
            if phase not in seen and not all(phase):
                seen.add(phase)
                yield step
            step += 1

    def enter(self, step: int | None) -> None:
        """Says which step is run from here on; None outside of training, where everything is due."""
        self._step = step

    def is_due(self, period: int, offset: int) -> bool:
        """Whether a period is due in the step that is run now.

        Raises:
            ArgumentError: The period is below 1.
        """
        if not isinstance(period, int) or period < 1:
            raise ArgumentError(f"every(n) needs a whole number of steps of at least 1, and got {period!r}.")
        entry = (period, offset % period)
        if entry not in self._periods:
            self._periods.append(entry)
        return self._step is None or self._step % period == entry[1]
