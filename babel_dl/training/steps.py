"""A trainer's step as one compiled function from a host batch to scalars that stay on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from babel_dl.backend import Backend
from babel_dl.core.logged import collect_logged
from babel_dl.core.prediction import evaluation_mode
from babel_dl.core.variable import dry_run
from babel_dl.errors import ArgumentError, OutOfMemoryError
from babel_dl.ops import tree
from babel_dl.ops.dispatch import narrow, wrap_natives
from babel_dl.ops.tensor import TensorLike
from babel_dl.training.first_run import checked_first_run, warn_of_idle_optimizers
from babel_dl.training.pace import Pace
from babel_dl.training.phases import Phase

if TYPE_CHECKING:
    from babel_dl.training.optimizers.base import Optimizer
    from babel_dl.training.trainer import Trainer

TOTAL_LOSS = "loss/total"


class CompiledStep:
    """One step of a trainer, from a batch of numpy arrays to native scalars by name: what the step logged and returned.

    Args:
        trainer: Whose step it is.
        step: `train_step` or `evaluate_step`: takes a batch of tensors; returns a scalar (the total loss), a dict of scalars, or None.
        in_training: Whether the step is counted, so that what is done only every so often is due or not.

    Attributes:
        function: The step.
        backend: Where it runs.
        batch: What it ran on last.
    """

    def __init__(self, trainer: Trainer, step: Callable[[Any], Any], in_training: bool) -> None:
        backend = trainer.backend

        def run(batch: Any, phase: Phase) -> dict[str, Any]:
            trainer._updates.begin(in_training)
            try:
                with backend.without_gradients():  # what is computed outside of minimize is a constant there, on every backend
                    return run_step(step, wrap_natives(batch, backend))
            finally:
                trainer._updates.begin(True)

        self._trainer, self.function, self.backend = trainer, step, backend
        self._in_training = in_training
        mode = trainer.train_mode if in_training else trainer.compile_mode
        self._compiled = backend.compile(run, mode)
        self._usual, self._rare = trainer.usual_batch, self._compiled
        if mode != trainer.compile_mode:  # a graph that was chosen for its length of use is for the batches that come often
            self._rare = backend.compile(run, trainer.compile_mode)
        self._led: Sequence[Optimizer] = ()

        def run_slice(arguments: tuple[Any, tuple[dict[str, Any], ...]], phase: Phase) -> dict[str, Any]:
            batch, rates = arguments
            for optimizer, values in zip(self._led, rates, strict=True):
                optimizer.follow_inside(wrap_natives(values, backend))
            return run(batch, phase)

        self._steps = backend.compile_steps(run_slice, trainer.compile_mode) if in_training else None
        self.pace = Pace(trainer.steps_per_call)
        self._is_first = trainer.compile_mode != "off"
        self.batch: Any = ()

    @property
    def can_loop(self) -> bool:
        """Whether `run_several` is worth trying."""
        return self._steps is not None

    @property
    def is_new(self) -> bool:
        """Whether it never ran. What it does only every so often is known after its first step."""
        return self._is_first

    def run_several(self, stacked: tuple[Any, Any], start: int, stop: int, led: Sequence[Optimizer]) -> dict[str, Any] | None:
        """Training steps in one call.

        Args:
            stacked: A tree of host arrays (places, batch, ...), and for each of `led` its planned hyperparameters, arrays (places,).
            start: The place of the first step.
            stop: The place behind the last one.
            led: The optimizers that follow a schedule.

        Returns:
            What the steps reported by name, natives with an axis of steps first. None, and nothing is done, where one by one is faster.

        Raises:
            As for one step.
        """
        if self._steps is None:
            return None
        trainer = self._trainer
        self._led, self.batch = led, tree.map_leaves(lambda leaf: leaf[stop - 1], stacked[0])
        number = trainer.progress.step
        trainer.phases.enter(number)
        phase, was_first = trainer.phases.at(number), self._is_first
        with naming_memory(self), self._looked_at():
            values = self._steps(stacked, start, stop, phase)
        if values is None:
            self._steps, self._is_first = None, was_first
        return values

    def __call__(self, batch: Any) -> dict[str, Any]:
        """Runs the step; its first run is looked at closely.

        Raises:
            OutOfMemoryError: The device has not enough memory for it.
            StateError: The first run used a variable that the trainer does not hold.
            SideEffectError: The first run changed Python state.
        """
        trainer, number = self._trainer, None
        if self._in_training:
            number = trainer.progress.step
        self.batch = batch
        trainer.phases.enter(number)
        phase = () if number is None else trainer.phases.at(number)
        compiled = self._compiled if self._rare is self._compiled or num_samples(batch) == self._usual else self._rare
        try:
            if not self._is_first:
                return compiled(narrow(batch), phase)
            with self._looked_at():
                return compiled(narrow(batch), phase)
        except Exception as error:
            if self.backend.is_out_of_memory(error):
                raise out_of_memory(self.function, batch, self.backend, error) from error
            raise

    @contextmanager
    def _looked_at(self) -> Iterator[None]:
        """Looks closely at what runs in it, if it is the first run."""
        if not self._is_first:
            yield
            return
        self._is_first = False
        with checked_first_run(self._trainer, self.function):
            yield
        if self._in_training:
            warn_of_idle_optimizers(self._trainer, self.function)


@contextmanager
def naming_memory(step: Callable[[Any], Any]) -> Iterator[None]:
    """For blocks that read what a step returned: a backend that computes while Python goes on says only then that memory ran out.

    Args:
        step: A `CompiledStep`.

    Raises:
        OutOfMemoryError: The device had not enough memory for the last batch of the step.
    """
    try:
        yield
    except Exception as error:
        if not isinstance(step, CompiledStep) or isinstance(error, OutOfMemoryError) or not step.backend.is_out_of_memory(error):
            raise
        raise out_of_memory(step.function, step.batch, step.backend, error) from error


def build_by_step(trainer: Trainer, batch: Any, backend: Backend) -> None:
    """Runs the training step on shapes, or on one sample, so that every module it calls is built.

    Args:
        trainer: Whose modules are built.
        batch: Numpy arrays; the first sample is used.
        backend: Where.

    Raises:
        OutOfMemoryError: One sample alone is too much.
    """
    run, leaves = _one_sample(trainer, batch)
    trainer.phases.enter(None)
    try:
        with dry_run():
            backend.trace_shapes(partial(run, trainer.train_step), *leaves)
            for number in trainer.phases.combinations():  # what is built in the other branch of `if self.every(n)`
                trainer.phases.enter(number)
                backend.trace_shapes(partial(run, trainer.train_step), *leaves)
        trainer.phases.enter(None)
        if trainer.can_evaluate:  # what fails here is told by the evaluation
            with suppress(Exception), dry_run(), evaluation_mode(*trainer.modules.values()):
                backend.trace_shapes(partial(run, trainer.evaluate_step), *leaves)
    except Exception as error:
        if backend.is_out_of_memory(error):
            raise out_of_memory(trainer.train_step, tree.map_leaves(lambda leaf: leaf[:1], batch), backend, error) from error
        raise


def _one_sample(trainer: Trainer, batch: Any) -> tuple[Callable[..., None], list[Any]]:
    """A function that runs a step on the leaves of a batch, and the leaves of its first sample."""

    def run(step: Callable[[Any], Any], *natives: Any) -> None:
        handles = iter(natives)
        trainer._updates.begin(True)
        run_step(step, wrap_natives(tree.map_leaves(lambda leaf: next(handles), batch), trainer.backend))

    return run, [leaf[:1] if isinstance(leaf, np.ndarray) else leaf for leaf in tree.leaves(narrow(batch))]


def advised_mode(trainer: Trainer, batch: Any, scale: int, num_steps: int) -> str:
    """The mode of `compile` that pays for so many training steps, where the trainer leaves it to the backend.

    Args:
        trainer: Prepared.
        batch: Numpy arrays; the first sample is used.
        scale: Samples in a batch.
        num_steps: How many steps the whole run has; 0 if nobody knows.
    """
    if trainer.compile_mode != "auto" or not num_steps:
        return trainer.compile_mode
    run, leaves = _one_sample(trainer, batch)
    trainer.phases.enter(None)
    with dry_run():
        return trainer.backend.advise_mode(partial(run, trainer.train_step), leaves, scale, num_steps)


def num_samples(batch: Any) -> int:
    """How many samples a batch of arrays has."""
    while isinstance(batch, tuple):
        batch = batch[0]
    return len(batch)


def out_of_memory(step: Callable[[Any], Any], batch: Any, backend: Backend, error: BaseException) -> OutOfMemoryError:
    """The error for a step that needs more memory than there is: how large the batch was, and what to change."""
    arrays = [leaf for leaf in tree.leaves(batch) if isinstance(leaf, np.ndarray)]
    count, size = max((len(array) for array in arrays), default=0), sum(array.nbytes for array in arrays)
    if count > 1:
        advice = (
            f"Halve the batch: to_dataloader(batch_size={count // 2}). Trainer(accumulate=2) then learns as from {count} samples.\n"
            f'  Or compute in half the memory: Trainer(precision="bfloat16").'
        )
    else:
        advice = "One sample alone is too much: make the samples or the model smaller, or use a device with more memory."
    return OutOfMemoryError(
        f"{getattr(step, '__qualname__', 'A step')} ran out of memory on {backend.name} with a batch of {count} samples ({size:,} bytes of "
        f"data).\n  {advice}\n  The framework says: {str(error).strip().splitlines()[0][:200]}"
    )


def missing_evaluation(trainer: Trainer) -> str:
    """What to say where dev data are to be evaluated, and nobody wrote how."""
    return (
        f"{type(trainer).__name__} needs a method evaluate_step(self, batch): the numbers of a batch of dev data, without minimize.\n"
        f'  For example: return {{"loss/total": self.loss(batch)}}. Or leave the dev data out: fit(train).'
    )


def run_step(step: Callable[[Any], Any], batch: Any) -> dict[str, Any]:
    """One step on tensors: native scalars by name.

    Raises:
        ArgumentError: The step returned something else than a scalar tensor, a dict of such by name, or None.
    """
    with collect_logged() as logged:
        result = step(batch)
    if isinstance(result, TensorLike):
        result = {TOTAL_LOSS: result}
    if result is not None and not isinstance(result, dict):
        raise ArgumentError(f"A step returns a scalar tensor, a dict of scalars or None, and it returned {type(result).__name__}.")
    values = {**logged, **(result or {})}
    for name, value in values.items():
        if not isinstance(name, str):
            raise ArgumentError(f"A step reports scalars by name, and {name!r} is no text. Use {str(name)!r}.")
        if not isinstance(value, TensorLike):
            raise ArgumentError(f"A step reports scalar tensors, and {name!r} is {value!r}. Return what the loss computed.")
        if value.shape not in ((), (1,)):
            raise ArgumentError(f"A step reports scalars, and {name!r} has shape {value.shape}. Take its mean() first.")
    return {name: value.native for name, value in values.items()}
