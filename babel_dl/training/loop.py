"""The one loop that all trainers and backends share.

    on_prepare; build what is not built; load the checkpoint to resume from, if there is one
    on_fit_start
    while no limit (epochs, steps, time) is reached and nobody asked to stop:
        on_epoch_start
        on_train_start
        for each batch left in the epoch, until somebody asks to stop:
            learning rates follow their schedules;  on_step_start;  train_step(batch);  step += 1;  on_step_end
            every log_every steps: read the numbers from the device, refuse NaN, on_metrics(means so far)
        read the numbers, refuse NaN, on_train_end(means over the epoch)
        if there is dev data:
            on_dev_start;  for each batch: evaluate_step(batch), on_dev_step_end;  refuse NaN, on_dev_end(means)
        if it was stopped before its last batch: leave the loop; the epoch is not over, and another fit goes on from here
        epoch += 1
        on_epoch_end(means)
    on_fit_end    or, after Ctrl-C, on_fit_interrupted    or, after an error, on_fit_failed

Ctrl-C is served between steps, so that no step is ever half done; a second one ends the process at once. Evaluation leaves all variables
as they were, running statistics and random counters included: with and without dev data training gives the same numbers.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from babel_dl.core import logging
from babel_dl.core.native.randomness import unchanged_native_random_state
from babel_dl.core.prediction import evaluation_mode
from babel_dl.training.diagnosis import explain_evaluation
from babel_dl.training.metrics.streaming import StreamingMeans
from babel_dl.training.steps import naming_memory, num_samples
from babel_dl.training.turns import turns

if TYPE_CHECKING:
    from babel_dl.training.trainer import Trainer


class Interrupt:
    """Turns Ctrl-C into a flag, so that the loop decides when to serve it. Only the main thread receives signals."""

    def __init__(self) -> None:
        self.is_raised = False

    @contextmanager
    def served_between_steps(self) -> Iterator[Interrupt]:
        """While it is open, the first Ctrl-C raises the flag and the second one raises KeyboardInterrupt."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = signal.getsignal(signal.SIGINT)
        if before is not signal.default_int_handler:
            yield self
            return

        def handle(number: int, frame: Any) -> None:
            if self.is_raised:
                raise KeyboardInterrupt
            self.is_raised = True

        signal.signal(signal.SIGINT, handle)
        try:
            yield self
        finally:
            signal.signal(signal.SIGINT, before)

    def serve(self) -> None:
        """Raises KeyboardInterrupt if the flag is up."""
        if self.is_raised:
            raise KeyboardInterrupt


def run_fit(trainer: Trainer, train_data: Any, dev_data: Any | None) -> dict[str, float]:
    """Trains from where the trainer stands until `progress.is_over`, as the module's pseudocode says; returns the last means."""
    tell, progress, interrupt = trainer.callbacks.tell, trainer.progress, Interrupt()
    metrics: dict[str, float] = {}
    with interrupt.served_between_steps():
        try:
            tell("on_fit_start", trainer)
            while not progress.is_over:
                tell("on_epoch_start", trainer)
                trainer.compile_steps()
                with naming_memory(trainer.compiled_train_step):
                    metrics = train_epoch(trainer, train_data, interrupt)
                if dev_data is not None:
                    metrics = evaluate(trainer, dev_data, interrupt.serve)
                if progress.position < len(train_data):
                    break  # stopped in its middle: the epoch is not over, and another fit goes on from here
                progress.epoch, progress.position = progress.epoch + 1, 0
                trainer.metrics.reset()
                tell("on_epoch_end", trainer, metrics)
                interrupt.serve()
            tell("on_fit_end", trainer)
            tell_of_waiting(trainer)
        except KeyboardInterrupt:
            tell("on_fit_interrupted", trainer)
            raise
        except BaseException as error:
            tell("on_fit_failed", trainer, error)
            raise
    interrupt.serve()
    return metrics


def tell_of_waiting(trainer: Trainer) -> None:
    """Says so where gradients were accumulated at the end that no optimizer has used yet."""
    waiting = trainer.step % trainer.accumulate
    if waiting:
        logging.info(
            f"The gradients of the last {waiting} of {trainer.accumulate} steps wait: accumulate={trainer.accumulate} does not divide the "
            f"{trainer.step} steps so far. Another fit, or one that resumes, goes on with them."
        )


def train_epoch(trainer: Trainer, data: Any, interrupt: Interrupt) -> dict[str, float]:
    """The training part of one epoch, from `progress.position` on; returns the means over the whole epoch."""
    callbacks, progress, metrics, log_every = trainer.callbacks, trainer.progress, trainer.metrics, trainer.log_every
    is_heard, times = callbacks.hears("on_step_end"), trainer.epoch_times.begin()
    callbacks.tell("on_train_start", trainer)
    for module in trainer.modules.values():
        module.train()
    with closing(turns(trainer, data)) as calls:
        for count in calls:
            progress.count_steps(count)
            if is_heard:
                with times.of_callbacks():
                    callbacks.tell("on_step_end", trainer)
            if progress.position % log_every == 0:
                trainer.read_metrics()
                if callbacks.hears("on_metrics"):
                    with times.of_callbacks():
                        callbacks.tell("on_metrics", trainer, metrics.means())
            if interrupt.is_raised or progress.stop_reason:
                interrupt.serve()
                break
    trainer.read_metrics()
    times.end()
    means = metrics.means()
    callbacks.tell("on_train_end", trainer, means)
    return means


def evaluate(trainer: Trainer, data: Any, serve: Callable[[], None] = lambda: None) -> dict[str, float]:
    """The means over all samples of `data`, in evaluation mode and without gradients.

    Raises:
        NonFiniteError: A number is NaN or infinite.
    """
    callbacks, metrics, backend = trainer.callbacks, StreamingMeans(), trainer.backend
    heard = callbacks.hears("on_dev_step_end")
    try:
        callbacks.tell("on_dev_start", trainer)
        with evaluation_mode(*trainer.modules.values()), backend.without_gradients(), unchanged_state(trainer):
            for batch in data.batches(0, 0):
                metrics.add(trainer.compiled_evaluate_step(batch), num_samples(batch), backend)
                if heard:
                    callbacks.tell("on_dev_step_end", trainer)
                serve()
        with naming_memory(trainer.compiled_evaluate_step):
            bad = metrics.flush()
        if bad is not None:
            raise explain_evaluation(trainer, data, *bad)
        means = metrics.means()
        callbacks.tell("on_dev_end", trainer, means)
    finally:
        callbacks.release(trainer)  # what a callback put in force for the evaluation goes, however it ended
    return means


@contextmanager
def unchanged_state(trainer: Trainer) -> Iterator[None]:
    """Gives what is no parameter (running statistics, random counters) the values back that it had, where the block changed them."""
    variables = [*trainer.variables.values(), *(v for module in trainer.modules.values() for v in module.variables)]
    kept = [(v, v.numpy()) for v in variables if not v.is_parameter]
    try:
        with unchanged_native_random_state(trainer.modules.values()):
            yield
    finally:
        for variable, value in kept:
            if not np.array_equal(variable.numpy(), value):
                variable.assign(value)
