"""Watches one number for improvement."""

from __future__ import annotations

import math

from babel_dl.errors import ArgumentError, CallbackError, did_you_mean


class Monitor:
    """The best value of a metric so far.

    Args:
        name: Which metric.
        mode: "min" if lower is better, "max" if higher is.
        min_delta: How much better counts as better; at least 0.

    Raises:
        ArgumentError: The mode is unknown, or `min_delta` is negative.
    """

    def __init__(self, name: str, mode: str, min_delta: float = 0.0) -> None:
        if mode not in ("min", "max"):
            raise ArgumentError(f'A metric is watched with mode "min" or "max", and got {mode!r}.')
        if not min_delta >= 0:
            raise ArgumentError(f"min_delta is at least 0, and {min_delta} came.")
        self.name, self.mode, self.min_delta = name, mode, min_delta
        self.best = math.inf if mode == "min" else -math.inf

    def improves(self, metrics: dict[str, float]) -> bool:
        """Whether the metric is better than the best so far; then it is the best.

        Raises:
            CallbackError: There is no such metric; the nearest one is offered.
        """
        if self.name not in metrics:
            raise CallbackError(f"There is no metric {self.name!r} to watch.{did_you_mean(self.name, metrics)}")
        value = metrics[self.name]
        is_better = value < self.best - self.min_delta if self.mode == "min" else value > self.best + self.min_delta
        if is_better:
            self.best = value
        return is_better

    def state_dict(self) -> dict[str, float | None]:
        """The best value so far; None before the first."""
        return {"best": self.best if math.isfinite(self.best) else None}

    def load_state_dict(self, state: dict[str, float | None]) -> None:
        """Takes over what `state_dict` returned."""
        best = state["best"]
        if best is not None:
            self.best = best
