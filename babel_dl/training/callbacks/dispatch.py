"""Tells callbacks of events. Which callback hears what is looked up once; an event that nobody overwrote costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from babel_dl.core import logging
from babel_dl.errors import BabelError, CallbackError
from babel_dl.training.callbacks.base import HOOKS, REPORT, Callback

if TYPE_CHECKING:
    from babel_dl.training.trainer import Trainer


class CallbackList:
    """The callbacks of one trainer, in the order in which they are told.

    Args:
        callbacks: The callbacks.

    Raises:
        CallbackError: One of them is a class, or no callback.
    """

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        if isinstance(callbacks, Callback) or not isinstance(callbacks, Iterable):
            raise CallbackError(f"A trainer takes a list of callbacks, and got {callbacks!r}. Write: callbacks=[...].")
        for callback in callbacks:
            if not isinstance(callback, Callback):
                hint = f" Make one: {callback.__name__}()." if isinstance(callback, type) else " Derive it from Callback."
                raise CallbackError(f"A trainer takes callbacks, and got {callback!r}.{hint}")
        self.callbacks = list(callbacks)
        self._plans: dict[str, list[tuple[Callback, Callable[..., None]]]] = {hook: self._plan(hook) for hook in HOOKS}
        self._reported: set[int] = set()

    def _plan(self, hook: str) -> list[tuple[Callback, Callable[..., None]]]:
        return [(c, getattr(c, hook)) for c in self.callbacks if getattr(type(c), hook) is not getattr(Callback, hook)]

    def hears(self, hook: str) -> bool:
        """Whether any callback overwrote this event."""
        return bool(self._plans[hook])

    def tell(self, hook: str, trainer: Trainer, *args: Any) -> None:
        """Calls every callback that overwrote the event.

        Raises:
            CallbackError: A callback failed whose failure stops the run; babel_dl's own errors pass unchanged.
        """
        if hook in ("on_fit_interrupted", "on_fit_failed"):
            self.release(trainer)
        for callback, method in self._plans[hook]:
            try:
                method(trainer, *args)
            except BabelError:
                if not self._is_reported_only(callback):
                    raise
                self._report(callback, hook)
            except Exception as error:
                if not self._is_reported_only(callback):
                    raise CallbackError(
                        f"{type(callback).__name__}.{hook} failed at step {trainer.step}: {type(error).__name__}: {error}\n"
                        f'  Its failure stops the run. Set on_failure = "report" in the class if it should not.'
                    ) from error
                self._report(callback, hook)

    @property
    def periods(self) -> list[int]:
        """After how many steps each of those that hear `on_step_end` must be told, without those that can wait; see `told_every`."""
        return [callback.told_every for callback, _ in self._plans["on_step_end"] if callback.told_every]

    def release(self, trainer: Trainer) -> None:
        """Lets every callback take back what it had put in force; nothing happens where nothing is."""
        for callback in self.callbacks:
            callback.release(trainer)

    @staticmethod
    def _is_reported_only(callback: Callback) -> bool:
        return callback.on_failure == REPORT

    def _report(self, callback: Callback, hook: str) -> None:
        import traceback

        if id(callback) not in self._reported:
            self._reported.add(id(callback))
            last = traceback.format_exc().strip().splitlines()[-1]
            logging.warn(f"{type(callback).__name__}.{hook} failed; training goes on, and later failures of it are not reported: {last}")

    def state_dict(self) -> dict[str, Any]:
        """The state of each callback, by class name and place."""
        return {f"{index}/{type(callback).__name__}": callback.state_dict() for index, callback in enumerate(self.callbacks)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Gives each callback its state back; callbacks that the state does not know start fresh, with a log line."""
        for index, callback in enumerate(self.callbacks):
            name = f"{index}/{type(callback).__name__}"
            if name in state:
                callback.load_state_dict(state[name])
            else:
                logging.info(f"The checkpoint knows no callback {name}; it starts fresh.")
