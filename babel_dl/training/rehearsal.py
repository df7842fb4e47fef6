"""Tries every phase of a training once before it begins, so that a slip in the last of them is not found after a night."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from babel_dl.core import logging
from babel_dl.core.prediction import evaluation_mode
from babel_dl.training import state
from babel_dl.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from babel_dl.training.diagnosis import explain_evaluation, explain_non_finite
from babel_dl.training.metrics.streaming import StreamingMeans

if TYPE_CHECKING:
    from babel_dl.training.trainer import Trainer


def rehearse(trainer: Trainer, train_data: Any, dev_data: Any | None) -> None:
    """One training step, one evaluation step, one checkpoint written and read. Afterwards the trainer is what it was.

    Args:
        trainer: Prepared.
        train_data: Its loader.
        dev_data: The loader to evaluate on; None for the training data.

    Raises:
        DataError: A loader gave no batch.
        NonFiniteError: A number became NaN or infinite.
        CheckpointError: The checkpoint could not be written and read back.
    """
    started = time.monotonic()
    with _as_it_was(trainer):
        step = _train_once(trainer, train_data)
        evaluation = _evaluate_once(trainer, train_data if dev_data is None else dev_data) if trainer.can_evaluate else {}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rehearsal.safetensors"
            write_checkpoint(path, *state.capture(trainer))
            state.restore(trainer, read_checkpoint(path))
            size = path.stat().st_size
    seconds = time.monotonic() - started
    logging.info(
        f"Debug: a training step ({_listed(step)}), an evaluation step ({_listed(evaluation)}) and a checkpoint ({size:,} bytes) went well "
        f"in {seconds:.1f} s. Training begins from the state before."
    )


@contextmanager
def _as_it_was(trainer: Trainer) -> Iterator[None]:
    tensors, metadata = state.capture(trainer)
    progress = trainer.progress
    try:
        yield
    finally:
        state.restore(trainer, Checkpoint(tensors, metadata))
        trainer.progress = progress


def _train_once(trainer: Trainer, data: Any) -> dict[str, float]:
    means, position = StreamingMeans(), trainer.progress.position % len(data)
    for optimizer in trainer.optimizers.values():
        optimizer.follow(trainer.step)
    for module in trainer.modules.values():
        module.train()
    batch = next(iter(data.batches(trainer.epoch, position)))
    means.add(trainer.compiled_train_step(batch), 1, trainer.backend)
    bad = means.flush()
    if bad is not None:
        raise explain_non_finite(trainer, data, bad.name, position, bad.value)
    return means.means()


def _evaluate_once(trainer: Trainer, data: Any) -> dict[str, float]:
    means = StreamingMeans()
    with evaluation_mode(*trainer.modules.values()), trainer.backend.without_gradients():
        means.add(trainer.compiled_evaluate_step(next(iter(data.batches(0, 0)))), 1, trainer.backend)
    bad = means.flush()
    if bad is not None:
        raise explain_evaluation(trainer, data, *bad)
    return means.means()


def _listed(numbers: dict[str, float]) -> str:
    return ", ".join(f"{name}={value:.4g}" for name, value in numbers.items()) or "no numbers"
