"""The loss of a model for which nobody named one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from babel_dl.backend.dtypes import is_floating, is_integer
from babel_dl.core.logged import collect_logged
from babel_dl.core.module import Module
from babel_dl.core.registry import LOSSES
from babel_dl.core.variable import dry_run
from babel_dl.errors import ArgumentError
from babel_dl.ops import tree
from babel_dl.ops.dispatch import narrow, wrap
from babel_dl.ops.tensor import TensorLike
from babel_dl.training.handover import Handover
from babel_dl.training.short_form.objective import Pair, fields_of


def default_loss(model: Module, title: str, names: Sequence[str], batch: Any) -> str:
    """The name of the loss that goes with a model: the one registered under the model's name; "cross_entropy", where nothing else fits.

    "cross_entropy" is certain where the dataset's output is one whole number for each sample, and the model answers it by a row of scores.

    Args:
        model: Is built here, if it is not.
        title: How messages call it.
        names: What it is registered as.
        batch: A batch of one sample.

    Raises:
        ArgumentError: No loss is certain; those that are registered are listed.
    """
    named = next((name for name in names if name in LOSSES), None)
    if named is not None:
        return named
    is_classes, seen = _look(model, batch)
    if is_classes:
        return "cross_entropy"
    raise ArgumentError(
        f"fit does not know the loss of the model {title!r}: none is registered under its name, and none is certain.\n"
        f"  {seen}\n"
        f'  Say which: fit(..., loss="mse"). Registered are: {", ".join(LOSSES.names())}.'
    )


def _look(model: Module, batch: Any) -> tuple[bool, str]:
    """Whether model and data are those of a classifier, and what was seen, in words. Only shapes and types are looked at."""
    inputs, outputs = batch
    handover = Handover.of(model, inputs._fields)
    backend = model.backend
    seen: list[tuple[bool, str]] = []

    def run(*natives: Any) -> None:
        handles = iter(natives)
        tensors, truth = tree.map_leaves(lambda leaf: wrap(next(handles), backend), (inputs._asdict(), outputs))
        answer = handover(tensors)
        shapes = f"The model answers {_words(answer)}, and the dataset's output is {_words(truth)}."
        seen.append((_are_classes(answer, truth), shapes))

    leaves = [leaf[:1] if isinstance(leaf, np.ndarray) else leaf for leaf in tree.leaves(narrow(batch))]
    with dry_run(), collect_logged():
        backend.trace_shapes(run, *leaves)
    return seen[-1]


def _are_classes(answer: Any, truth: Any) -> bool:
    if len(fields_of(truth)) != 1:
        return False
    try:
        pair = Pair.of(answer, truth, None, "the loss")
    except ArgumentError:
        return False
    scores, labels = pair.predicted(answer), pair.true(truth)
    if not isinstance(scores, TensorLike) or not isinstance(labels, TensorLike) or scores.ndim != 2:
        return False
    of_each = labels.ndim == 1 or (labels.ndim == 2 and labels.shape[-1] == 1)
    return is_integer(labels.dtype) and is_floating(scores.dtype) and scores.shape[-1] != 1 and of_each


def _words(structure: Any) -> str:
    named = list(tree.named_leaves(structure))
    return ", ".join(f"{name} {_word(leaf)}".strip() for name, leaf in named) or "nothing"


def _word(leaf: Any) -> str:
    return f"{leaf.dtype} {('batch', *leaf.shape[1:])}".replace("'", "") if isinstance(leaf, TensorLike) and leaf.ndim else "a number"
