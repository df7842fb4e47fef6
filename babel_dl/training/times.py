"""Where the time of an epoch goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Times:
    """The training part of an epoch, in seconds.

    Attributes:
        data: Waiting for batches.
        callbacks: Telling callbacks of steps.
        total: All of it, from its first step to its last number read.
    """

    data: float = 0.0
    callbacks: float = 0.0
    total: float = 0.0
    _began: float = 0.0

    def begin(self) -> Times:
        """Starts the clock anew."""
        self.data = self.callbacks = self.total = 0.0
        self._began = time.perf_counter()
        return self

    @contextmanager
    def of_callbacks(self) -> Iterator[None]:
        """What runs in it is the callbacks'."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.callbacks += time.perf_counter() - began

    def end(self) -> None:
        """Stops the clock."""
        self.total = time.perf_counter() - self._began

    @property
    def steps(self) -> float:
        """Computing, and reading its numbers."""
        return max(0.0, self.total - self.data - self.callbacks)

    def __str__(self) -> str:
        """`1.23 s - steps 95 % - data 4 % - callbacks 1 %`."""
        parts = (("steps", self.steps), ("data", self.data), ("callbacks", self.callbacks))
        shares = "".join(f" - {name} {100 * seconds / max(self.total, 1e-9):.0f} %" for name, seconds in parts)
        return f"{self.total:.2f} s{shares}"
