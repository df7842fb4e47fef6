"""The callback: what is told of a training's events, in the order of `HOOKS`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from babel_dl.errors import CallbackError, did_you_mean

if TYPE_CHECKING:
    from babel_dl.training.trainer import Trainer

HOOKS = (
    "on_prepare", "on_fit_start", "on_epoch_start", "on_train_start", "on_step_start", "on_step_end", "on_metrics", "on_train_end",
    "on_dev_start", "on_dev_step_end", "on_dev_end", "on_epoch_end", "on_fit_end", "on_fit_interrupted", "on_fit_failed",
)  # fmt: skip
"""Every event, in the order of the loop; see `babel_dl.training.loop`."""

STOP, REPORT = "stop", "report"


class Callback:
    """Overwrite the methods you need; those you leave alone cost nothing. One instance serves one trainer.

    Attributes:
        on_failure: "stop" if an error in this callback ends the run (a checkpoint), "report" if it is logged once (a logger).
        told_every: After how many training steps `on_step_end` must be called, counted from the trainer's first; 1 for each, 0 for
            whenever it suits. Between these a backend may run short steps in one call. It may be called more often.

    Raises:
        CallbackError: A subclass has a method `on_...` that is no event (the nearest one is offered), or an unknown `on_failure`.
    """

    on_failure: ClassVar[str] = STOP
    told_every: int = 1

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, member in vars(cls).items():
            if name.startswith("on_") and callable(member) and name not in HOOKS:
                raise CallbackError(f"{cls.__name__}.{name} would never be called: there is no such event.{did_you_mean(name, HOOKS)}")
        if cls.on_failure not in (STOP, REPORT):
            raise CallbackError(f'{cls.__name__}.on_failure is "{STOP}" or "{REPORT}", and not {cls.on_failure!r}.')

    def on_prepare(self, trainer: Trainer) -> None:
        """Modules are about to be built; no checkpoint is loaded yet. May come several times."""

    def on_fit_start(self, trainer: Trainer) -> None:
        """The modules are built, a checkpoint is loaded if one was asked for; no step was made."""

    def on_epoch_start(self, trainer: Trainer) -> None:
        """An epoch begins, or goes on in its middle after a resume."""

    def on_train_start(self, trainer: Trainer) -> None:
        """The training part of an epoch begins."""

    def on_step_start(self, trainer: Trainer) -> None:
        """A training step comes; `trainer.step` steps were made so far."""

    def on_step_end(self, trainer: Trainer) -> None:
        """A training step was made, and counted in `trainer.step`. Its numbers are still on the device."""

    def on_metrics(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """Every `log_every` steps: means over the epoch so far, weighted by samples."""

    def on_train_end(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """The training part of an epoch is over; means over all of its samples."""

    def on_dev_start(self, trainer: Trainer) -> None:
        """Evaluation on the dev data begins."""

    def on_dev_step_end(self, trainer: Trainer) -> None:
        """A batch of the dev data was evaluated."""

    def on_dev_end(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """Evaluation is over; means over all of its samples."""

    def on_epoch_end(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """An epoch is over. The metrics are those of the dev data, or of training where there is none."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """Training ended by itself or was stopped by a callback."""

    def on_fit_interrupted(self, trainer: Trainer) -> None:
        """Ctrl-C. The step in work was finished first; the interrupt goes on when all callbacks are told."""

    def on_fit_failed(self, trainer: Trainer, error: BaseException) -> None:
        """An error ends the run; it goes on when all callbacks are told."""

    def release(self, trainer: Trainer) -> None:
        """Takes back what the callback had put in force for an evaluation that did not come to its end. Called before any callback is told
        of the interrupt or the error, so that none of them sees, or saves, what was in force.
        """

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of this callback: JSON values."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over what `state_dict` returned."""
