"""Lowers the learning rate when training does not get better."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from babel_dl.core import logging
from babel_dl.core.registry import register_callback
from babel_dl.errors import ArgumentError, CallbackError
from babel_dl.training.callbacks.base import Callback
from babel_dl.training.callbacks.learning_rate_callback import LearningRateUpdateCallback
from babel_dl.training.callbacks.monitor import Monitor
from babel_dl.training.steps import TOTAL_LOSS

if TYPE_CHECKING:
    from babel_dl.training.optimizers.base import Optimizer
    from babel_dl.training.trainer import Trainer


@register_callback("plateau", "reduce_lr_on_plateau")
class ReduceLROnPlateau(Callback):
    """Multiplies the learning rate by a factor when a metric has not become better for some epochs.

        after each epoch:   epochs_without = 0 if the metric is better than the best so far, else epochs_without + 1
                            if epochs_without >= patience:  lr = max(lr * factor, min_lr);  epochs_without = 0
        during a cooldown epochs_without stays 0

    Put it in front of a `CheckpointCallback`: then `best` knows what this epoch changed.

    Args:
        monitor: Which metric.
        factor: What the rate is multiplied by; above 0 and below 1.
        patience: For how many epochs without a better value the rate stays; at least 1.
        min_lr: The rate goes no lower; at least 0.
        cooldown: How many epochs after a reduction are not counted; at least 0.
        min_delta: How much better counts as better; at least 0.
        mode: "min" if lower is better, "max" if higher is.
        optimizer: The name of the optimizer whose rate is lowered; None for all of the trainer.

    Raises:
        ArgumentError: A number is out of its range, or the mode is unknown.
        CallbackError: There is no metric of this name, or a schedule moves the rate as well.

    Source: torch.optim.lr_scheduler.ReduceLROnPlateau with threshold_mode="abs", whose patience of n is n + 1 here;
    keras.callbacks.ReduceLROnPlateau.
    """

    def __init__(
        self,
        monitor: str = TOTAL_LOSS,
        factor: float = 0.1,
        patience: int = 10,
        min_lr: float = 0.0,
        cooldown: int = 0,
        min_delta: float = 0.0,
        mode: str = "min",
        optimizer: str | None = None,
    ) -> None:
        if not 0.0 < factor < 1.0:
            raise ArgumentError(f"ReduceLROnPlateau needs a factor above 0 and below 1, and got {factor!r}.")
        if patience < 1 or cooldown < 0 or min_lr < 0.0:
            numbers = f"patience={patience!r}, cooldown={cooldown!r}, min_lr={min_lr!r}"
            raise ArgumentError(f"ReduceLROnPlateau needs patience of at least 1, cooldown and min_lr of at least 0, and got {numbers}.")
        self.factor, self.patience, self.min_lr, self.cooldown = factor, patience, min_lr, cooldown
        self.monitor = Monitor(monitor, mode, min_delta)
        self.optimizer = optimizer
        self.epochs_without = 0
        self.cooldown_left = 0

    def _optimizers(self, trainer: Trainer) -> dict[str, Optimizer]:
        return trainer.optimizers if self.optimizer is None else {self.optimizer: trainer.named_optimizer(self.optimizer)}

    def on_prepare(self, trainer: Trainer) -> None:
        """Refuses an optimizer that a schedule moves: the next step would undo what this callback does."""
        moved = [name for name, optimizer in self._optimizers(trainer).items() if optimizer.schedule is not None]
        if moved or any(isinstance(callback, LearningRateUpdateCallback) for callback in trainer.callbacks.callbacks):
            who = f"the optimizer {moved[0]!r} follows" if moved else "a LearningRateUpdateCallback follows"
            raise CallbackError(f"ReduceLROnPlateau would lower a learning rate that a schedule sets anew: {who} one. Take one away.")

    def on_epoch_end(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """Counts the epochs without a better value, and lowers the rate."""
        is_better = self.monitor.improves(metrics)
        is_cooling = self.cooldown_left > 0
        self.cooldown_left = max(self.cooldown_left - 1, 0)
        self.epochs_without = 0 if is_better or is_cooling else self.epochs_without + 1
        if self.epochs_without < self.patience:
            return
        for name, optimizer in self._optimizers(trainer).items():
            before, lowered = optimizer.learning_rate, max(optimizer.learning_rate * self.factor, self.min_lr)
            if lowered < before:
                optimizer.learning_rate = lowered
                stays = f"{self.monitor.name} has not become better than {self.monitor.best:.4g} for {self.epochs_without} epochs"
                logging.info(f"Learning rate of {name}: {before:.3g} -> {lowered:.3g}, because {stays}.")
        self.epochs_without, self.cooldown_left = 0, self.cooldown

    def state_dict(self) -> dict[str, Any]:
        """The best value and the counts; the rate itself is kept with the optimizer."""
        return {**self.monitor.state_dict(), "epochs_without": self.epochs_without, "cooldown_left": self.cooldown_left}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over the best value and the counts."""
        self.monitor.load_state_dict(state)
        self.epochs_without, self.cooldown_left = state["epochs_without"], state["cooldown_left"]
