"""Finds out, after the fact, why a number became NaN: the loop reads numbers seldom, and looks closely only when something is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from babel_dl.core.diagnosing import diagnosing
from babel_dl.core.prediction import evaluation_mode
from babel_dl.core.variable import dry_run
from babel_dl.errors import BabelError, NonFiniteError
from babel_dl.ops import tree
from babel_dl.ops.creation import asarray
from babel_dl.training.loss_scaling import LOGGED_SCALE

if TYPE_CHECKING:
    from babel_dl.training.trainer import Trainer

_NO_SCALE = (
    "Gradients are not finite even without a scale, so every step would be left out. Compute in bfloat16, whose range is that of float32, "
    'or give the part at fault float32: model.set_precision("float32", "/part").'
)


def explain_non_finite(trainer: Trainer, data: Any, name: str, position: int, value: float) -> BabelError:
    """The error for a number that is NaN or infinite: where it happened, and the cause if the batch shows one.

    Args:
        trainer: Stands in the same epoch, some steps behind the place.
        data: The training loader; batches are a function of epoch and position, so the one at fault is fetched again.
        name: The number's name.
        position: The batch of the epoch at fault, counted from 0.
        value: What it became.
    """
    progress = trainer.progress
    step = progress.step - (progress.position - position)
    where = f"Epoch {progress.epoch + 1}, step {step} (batch {position} of the epoch): {name} became {value}."
    cause = _cause(trainer, next(iter(data.batches(progress.epoch, position))))
    kept = "The checkpoints on disk are older than this step and stay as they are."
    advice = _NO_SCALE if name == LOGGED_SCALE else "A lower learning rate, or clip_norm in the optimizer, often helps."
    return NonFiniteError(f"{where}\n  {cause or advice}\n  {kept}")


def explain_evaluation(trainer: Trainer, data: Any, name: str, position: int, value: float) -> BabelError:
    """The error for a number of an evaluation that is NaN or infinite.

    Args:
        trainer: With the weights that were evaluated.
        data: The loader that was evaluated.
        name: The number's name.
        position: The batch at fault, counted from 0.
        value: What it became.
    """
    where = f"Evaluation after epoch {trainer.epoch}, step {trainer.step} (batch {position}): {name} became {value}."
    cause = _cause(trainer, next(iter(data.batches(0, position))))
    return NonFiniteError(f"{where}\n  {cause or 'Are the weights finite? Evaluation changed nothing.'}")


def _cause(trainer: Trainer, batch: Any) -> str:
    parts = dict(zip(("input", "output"), batch, strict=True)) if type(batch) is tuple and len(batch) == 2 else batch
    for place, array in tree.named_leaves(parts):
        if isinstance(array, np.ndarray) and array.dtype.kind == "f" and not np.isfinite(array).all():
            sample = int(np.argwhere(~np.isfinite(array))[0][0])
            return f"The batch itself is at fault: {place or 'the data'} is not finite in sample {sample} of the batch."
    backend = trainer.backend
    tensors = tree.map_leaves(lambda a: asarray(a, backend=backend) if isinstance(a, np.ndarray) else a, batch)
    try:
        with diagnosing(), dry_run(), evaluation_mode(*trainer.modules.values()), backend.without_gradients():
            trainer.evaluate_step(tensors)
    except BabelError as error:
        return str(error).replace("\n", "\n  ")
    return ""
