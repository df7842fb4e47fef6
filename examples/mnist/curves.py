"""The losses while they are read: a mean for each reading, and not only one for each epoch."""

from typing import Any

from babel_dl.training.callbacks import Callback


class Curves(Callback):
    """Keeps the mean over the steps between two readings, every `log_every` steps; with `log_every=1` the numbers of each step.

    All batches must be of one size, as they are with `drop_last`.

    Attributes:
        steps: At which step each reading was made.
        values: The means by name, one for each reading.
    """

    on_failure = "report"

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.values: dict[str, list[float]] = {}
        self._place, self._sums = 0, dict[str, float]()

    def state_dict(self) -> dict[str, Any]:
        """What checkpoints keep."""
        return {"steps": self.steps, "values": self.values}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on with the curves of a checkpoint; of an epoch that was interrupted the part before it is not read again."""
        self.steps, self.values = list(state["steps"]), {name: list(values) for name, values in state["values"].items()}

    def on_train_start(self, trainer: Any) -> None:
        """An epoch's means begin at 0 again, or where the epoch was interrupted."""
        means = trainer.metrics.means()
        self._place = trainer.progress.position
        self._sums = {name: mean * self._place for name, mean in means.items()}

    def on_metrics(self, trainer: Any, metrics: dict[str, float]) -> None:
        """The mean over the epoch so far comes."""
        self._read(trainer, metrics)

    def on_train_end(self, trainer: Any, metrics: dict[str, float]) -> None:
        """The mean over the epoch comes; it brings something new where the epoch's steps are no multiple of `log_every`."""
        if trainer.progress.position > self._place:
            self._read(trainer, metrics)

    def _read(self, trainer: Any, metrics: dict[str, float]) -> None:
        """Takes the part before the last reading off."""
        place = trainer.progress.position
        for name, mean in metrics.items():
            before, total = self._sums.get(name, 0.0), mean * place
            self.values.setdefault(name, []).append((total - before) / (place - self._place))
            self._sums[name] = total
        self._place = place
        self.steps.append(trainer.step)
