"""Ends a training that does not get better."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from babel_dl.core.registry import register_callback
from babel_dl.errors import ArgumentError
from babel_dl.training.callbacks.base import Callback
from babel_dl.training.callbacks.monitor import Monitor
from babel_dl.training.steps import TOTAL_LOSS

if TYPE_CHECKING:
    from babel_dl.training.trainer import Trainer


@register_callback("early_stopping")
class EarlyStopping(Callback):
    """Stops when a metric has not become better for some epochs.

    Args:
        monitor: Which metric.
        patience: For how many epochs without a better value training goes on; at least 1.
        min_delta: How much better counts as better.
        mode: "min" if lower is better, "max" if higher is.

    Raises:
        ArgumentError: A number is out of its range, or the mode is unknown.
        CallbackError: There is no metric of this name.
    """

    def __init__(self, monitor: str = TOTAL_LOSS, patience: int = 3, min_delta: float = 0.0, mode: str = "min") -> None:
        if patience < 1:
            raise ArgumentError(f"EarlyStopping needs a patience of at least 1 epoch, and got {patience}.")
        self.patience = patience
        self.monitor = Monitor(monitor, mode, min_delta)
        self.epochs_without = 0

    def on_epoch_end(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """Counts the epochs without a better value."""
        self.epochs_without = 0 if self.monitor.improves(metrics) else self.epochs_without + 1
        if self.epochs_without >= self.patience:
            best = f"{self.monitor.name} has not become better than {self.monitor.best:.4g}"
            trainer.stop(f"{best} for {self.epochs_without} epochs.")

    def state_dict(self) -> dict[str, Any]:
        """The best value and the count."""
        return {**self.monitor.state_dict(), "epochs_without": self.epochs_without}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over the best value and the count."""
        self.monitor.load_state_dict(state)
        self.epochs_without = state["epochs_without"]
