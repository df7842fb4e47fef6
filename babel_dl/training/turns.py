"""Runs the training steps of an epoch: one to a call, or several where the backend can and nobody has to be told in between.

    several to a call:   the loader's batches come in chunks, on the device at once; each call makes some steps of a chunk
    a call ends          where a callback must be told, numbers are read, a limit is reached, or `if self.every(n)` decides otherwise

Which of the two ways is taken depends on the trainer, its data and its backend, never on the clock: the same run takes it again.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from babel_dl.data import DataLoader
from babel_dl.data.chunks import Chunk, capacity_of, chunks
from babel_dl.ops import tree
from babel_dl.ops.dispatch import narrow
from babel_dl.training.pace import AUTO, LEAST_MEAN, MAX_BYTES, MAX_STEPS
from babel_dl.training.steps import CompiledStep, num_samples

if TYPE_CHECKING:
    from babel_dl.training.trainer import Trainer


def turns(trainer: Trainer, data: Any) -> Generator[int, None, None]:
    """Runs the steps that are left in the epoch, and adds their numbers to the trainer's metrics.

    Args:
        trainer: Stands at the first of them; who takes the turns counts the steps in its progress.
        data: A loader.

    Yields:
        How many steps were made, after each call.
    """
    progress, step = trainer.progress, trainer.compiled_train_step
    capacity = _capacity(trainer, data)
    if capacity == 1 or not isinstance(step, CompiledStep):
        yield from _one_by_one(trainer, data.batches(progress.epoch, progress.position))
        return
    for chunk in timed(trainer, chunks(data, progress.epoch, progress.position, capacity)):
        yield from _several(trainer, step, chunk) if chunk.num_batches else _one_by_one(trainer, [chunk.batch])


def _capacity(trainer: Trainer, data: Any) -> int:
    step, wanted = trainer.compiled_train_step, trainer.steps_per_call
    if wanted == 1 or not isinstance(step, CompiledStep) or not step.can_loop or type(data) is not DataLoader:
        return 1
    if trainer.callbacks.hears("on_step_start"):
        return 1
    if wanted != AUTO:
        return capacity_of(data, 1 << 62, int(wanted))
    return capacity_of(data, MAX_BYTES, MAX_STEPS) if _mean_length(trainer) >= LEAST_MEAN else 1


def _mean_length(trainer: Trainer) -> float:
    """How many steps calls can have on average, as callbacks, reading and what is done only every so often end them."""
    averaged = trainer.accumulate / 2 if trainer.accumulate > 1 else MAX_STEPS  # a run that adds up, and the step that moves
    return min(trainer.log_every, *trainer.callbacks.periods, averaged, trainer.phases.mean_run_length)


def _one_by_one(trainer: Trainer, batches: Iterable[Any]) -> Iterator[int]:
    callbacks, progress, metrics = trainer.callbacks, trainer.progress, trainer.metrics
    step, backend, is_heard = trainer.compiled_train_step, trainer.backend, trainer.callbacks.hears("on_step_start")
    led = [optimizer for optimizer in trainer.optimizers.values() if optimizer.leader is not None]
    for batch in timed(trainer, batches):
        for optimizer in led:
            optimizer.follow(progress.step)
        if is_heard:
            callbacks.tell("on_step_start", trainer)
        metrics.add(step(batch), num_samples(batch), backend)
        yield 1


def _several(trainer: Trainer, step: CompiledStep, chunk: Chunk) -> Iterator[int]:
    progress, pace, backend = trainer.progress, step.pace, trainer.backend
    followers = [optimizer for optimizer in trainer.optimizers.values() if optimizer.leader is not None]
    led = [optimizer for optimizer in followers if optimizer.is_in_use]
    capacity, known = len(next(tree.leaves(chunk.batch))), chunk.num_batches
    if progress.last_step:
        known = min(known, progress.last_step - progress.step)
    rates = tuple([optimizer.planned(range(progress.step, progress.step + known), capacity) for optimizer in led])
    stacked, size, done = (narrow(chunk.batch), rates), num_samples(_pick(chunk, 0)), 0
    while done < chunk.num_batches:
        count = min(chunk.num_batches - done, _steps_at_once(trainer, 1 if step.is_new else pace.steps))
        began = time.perf_counter()
        values = step.run_several(stacked, done, done + count, led)
        if values is None:
            yield from _one_by_one(trainer, [_pick(chunk, place) for place in range(done, chunk.num_batches)])
            return
        if not pace.is_settled:
            for native in list(values.values())[:1]:
                backend.to_numpy(native)  # waits for this call, and for nothing else that is under way
            pace.note(count, time.perf_counter() - began)
        for optimizer in followers:
            optimizer.note(progress.step + count - 1)
        trainer.metrics.add(values, size, backend, count)
        done += count
        yield count


def _steps_at_once(trainer: Trainer, most: int) -> int:
    """How many steps may run before somebody has to be told of one, or something else is due."""
    progress = trainer.progress
    most = min(most, trainer.log_every - progress.position % trainer.log_every)
    most = min([most, *[period - progress.step % period for period in trainer.callbacks.periods]])
    if progress.last_step:
        most = min(most, progress.last_step - progress.step)
    return trainer.phases.run_length(progress.step, most)


def _pick(chunk: Chunk, place: int) -> Any:
    return tree.map_leaves(lambda leaf: leaf[place], chunk.batch)


def timed(trainer: Trainer, batches: Iterable[Any]) -> Iterator[Any]:
    """The same batches; how long each was waited for is added up in `trainer.epoch_times`."""
    times, clock, iterator = trainer.epoch_times, time.perf_counter, iter(batches)
    while True:
        began = clock()
        batch = next(iterator, None)
        times.data += clock() - began
        if batch is None:
            return
        yield batch
