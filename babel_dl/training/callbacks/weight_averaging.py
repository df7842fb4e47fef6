"""Averages weights while training, and evaluates with the averages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from babel_dl.core.registry import register_callback
from babel_dl.errors import ArgumentError, CallbackError, did_you_mean
from babel_dl.training.averaging import WeightAverage, check_averaging
from babel_dl.training.callbacks.base import Callback

if TYPE_CHECKING:
    from babel_dl.training.trainer import Trainer


@register_callback("weight_averaging", "ema")
class WeightAveragingCallback(Callback):
    """Keeps exponential moving averages of weights; see `WeightAverage` for the rule.

        after each training step:   a = decay * a + (1 - decay) * w, by one compiled function; nothing is read from the device
        while dev data is evaluated, in `fit` and in `evaluate`:   the averages are in force

    Metrics of the dev data are those of the averages, so `best` of a `CheckpointCallback` is the step whose *averages* were best. Each
    checkpoint holds both: the weights, with which training goes on, and the averages, in `trainer.weight_averages`. After `fit` the modules
    have their own weights. To use the averages:

        with averaging.in_force():
            trainer.predict(data)           # or model.predict, model.state_dict, evaluate, ...

    Args:
        decay: Share of the average that an update keeps; from 0 to below 1.
        modules: The names of the trainer's modules to average, such as `["generator"]`; None for all that have weights.
        evaluate: Whether dev data is evaluated with the averages.
        warm_up: Whether the decay grows from small values: min(decay, (1 + n) / (10 + n)).
        every: Average after every so many training steps; at least 1.
        average_statistics: Whether running statistics are averaged like weights.

    Raises:
        ArgumentError: `decay` or `every` is out of its range, or `modules` is no list of names.
        CallbackError: The trainer has no module of a name, or another callback averages it already.

    Example:
        >>> averaging = WeightAveragingCallback(0.99, warm_up=True)
    """

    def __init__(
        self,
        decay: float = 0.999,
        modules: Sequence[str] | None = None,
        evaluate: bool = True,
        warm_up: bool = False,
        every: int = 1,
        average_statistics: bool = False,
    ) -> None:
        check_averaging(type(self).__name__, decay, every)
        if modules is not None and (isinstance(modules, str) or not all(isinstance(name, str) for name in modules)):
            raise ArgumentError(f"WeightAveragingCallback needs a list of a trainer's attributes, such as ['model'], and got {modules!r}.")
        self.decay = decay
        self.modules = None if modules is None else tuple(modules)
        self.evaluate = evaluate
        self.warm_up = warm_up
        self.every = self.told_every = every
        self.average_statistics = average_statistics
        self.averages: dict[str, WeightAverage] = {}
        self._step: int | None = None
        self._update: Callable[[], None] | None = None
        self._open = ExitStack()

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """While it is open the modules have the averages for their weights; afterwards their own again, bit by bit, also after an error."""
        with ExitStack() as stack:
            for average in self.averages.values():
                stack.enter_context(average.in_force())
            yield

    def on_prepare(self, trainer: Trainer) -> None:
        """Puts averages into the trainer, so that checkpoints hold them."""
        self._open.close()
        if self.averages:
            return
        held = {name: module for name, module in trainer.modules.items() if not isinstance(module, WeightAverage)}
        for name in held if self.modules is None else self.modules:
            if name not in held:
                hint = did_you_mean(name, held)
                raise CallbackError(f"WeightAveragingCallback is to average {name!r}, and the trainer has no such module.{hint}")
            self.averages[name] = WeightAverage(held[name], self.decay, self.warm_up, average_statistics=self.average_statistics)
        known: dict[str, WeightAverage] = getattr(trainer, "weight_averages", {})
        if twice := sorted(known.keys() & self.averages.keys()):
            raise CallbackError(f"Two callbacks average the weights of {', '.join(twice)}. Take one away, or give each its own `modules`.")
        trainer.weight_averages = {**known, **self.averages}  # type: ignore[attr-defined]

    def on_fit_start(self, trainer: Trainer) -> None:
        """Compiles the update, and makes one that a checkpoint missed which was written before this callback was told of the step."""
        begun = [average for average in self.averages.values() if average.named_variables]
        if not begun:
            raise CallbackError("WeightAveragingCallback finds no weights: no module of the trainer has any that can learn.")

        def update() -> None:
            for average in begun:
                average.update()

        self._update = trainer.backend.compile(update, trainer.compile_mode)
        if self._step is not None and self._step < trainer.step:
            self.on_step_end(trainer)
        self._step = trainer.step

    def on_step_end(self, trainer: Trainer) -> None:
        """Updates the averages, if it is time."""
        self._step = trainer.step
        if self._update is not None and trainer.step % self.every == 0:
            self._update()

    def on_dev_start(self, trainer: Trainer) -> None:
        """Puts the averages in force."""
        if self.evaluate:
            self._open.enter_context(self.in_force())

    def on_dev_end(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """Gives the modules their weights back."""
        self._open.close()

    def release(self, trainer: Trainer) -> None:
        """The same, when the evaluation did not come to its end."""
        self._open.close()

    def state_dict(self) -> dict[str, Any]:
        """The last step that was averaged; the averages themselves are the trainer's."""
        return {"step": self._step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes it over."""
        self._step = state["step"]
