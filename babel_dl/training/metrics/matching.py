"""Whether a prediction and its target fit one another: the checks that losses and metrics share.

Each takes the module that asks, for the message. Sizes that a traced tensor does not know fit everything.
"""

from __future__ import annotations

from typing import Any

from babel_dl import ops
from babel_dl.backend.dtypes import is_floating, is_integer
from babel_dl.core.module import Module
from babel_dl.errors import ArgumentError, DTypeError, ShapeError
from babel_dl.ops.dispatch import as_tensor, find_backend
from babel_dl.ops.tensor import TensorLike

Sizes = tuple[int, ...]


def title(owner: Module) -> str:
    """How messages call a loss or a metric: `MeanSquaredError '/position'`."""
    return f"{type(owner).__name__} {owner.path!r}" if owner.path else type(owner).__name__


def as_pair(owner: Module, y_pred: Any, y_true: Any) -> tuple[TensorLike, TensorLike]:
    """Both as tensors of one backend.

    Raises:
        ArgumentError: One is a tuple or a dict, such as all outputs of a network.
        BackendError: They belong to two backends.
    """
    for value in (y_pred, y_true):
        if isinstance(value, (tuple, dict)):
            raise ArgumentError(
                f"{title(owner)} compares two tensors, and got a {type(value).__name__}.\n"
                f"  Hand it one field of each: loss(y_pred.name, y_true.name), in the call of your own Loss."
            )
    y_pred = as_tensor(y_pred)
    y_true = as_tensor(y_true, y_pred.backend)
    if y_true.backend is not y_pred.backend:
        find_backend((y_pred, y_true))  # raises, with both names
    return y_pred, y_true


def check_floating(owner: Module, y_pred: TensorLike) -> None:
    """Refuses a prediction that has no fraction.

    Raises:
        DTypeError: It is of an integer type or bool.
    """
    if not is_floating(y_pred.dtype):
        raise DTypeError(f"{title(owner)} needs y_pred of a floating type, and got {y_pred.dtype}. Cast it: y_pred.astype('float32').")


def match_labels(owner: Module, y_pred: Any, y_true: Any) -> tuple[TensorLike, TensorLike]:
    """Scores of classes, and one label for each sample.

    Shapes:
        y_pred: (*batch, classes), floating.      y_true: (*batch,) or (*batch, 1), integer.
        returns: y_pred; y_true as (*batch,).

    Raises:
        ShapeError: The shapes do not fit; both are named.
        DTypeError: The labels are no integers, or the scores are.
        ArgumentError: One is a tuple or a dict.
        BackendError: They belong to two backends.
    """
    y_pred, y_true = as_pair(owner, y_pred, y_true)
    scores, labels = y_pred.shape, y_true.shape
    if not scores or scores[-1] == 0 or not (fits(labels, scores[:-1]) or fits(labels, (*scores[:-1], 1))):
        hint = "The last axis of the scores counts the classes."
        if scores and scores[-1] != 0:
            hint = f"For these scores the labels have shape {scores[:-1]}."
        if fits(labels, scores):
            hint = "For a probability of each class take CrossEntropyLossFromLogits or CategoricalAccuracy."
        raise ShapeError(
            f"{title(owner)} got y_pred of shape {scores} and y_true of shape {labels}.\n"
            f"  It needs scores (*batch, classes) and labels (*batch,) or (*batch, 1).\n"
            f"  {hint}"
        )
    check_floating(owner, y_pred)
    if not is_integer(y_true.dtype):
        raise DTypeError(f"{title(owner)} needs labels of an integer type, and got {y_true.dtype}. Cast them: y_true.astype('int32').")
    return y_pred, y_true if len(labels) < len(scores) else ops.squeeze(y_true, -1)


def match_shapes(owner: Module, y_pred: Any, y_true: Any) -> tuple[TensorLike, TensorLike]:
    """A prediction and a target of one shape. Nothing is broadcast, but one of them may have a last axis of 1 more, which is dropped.

    Shapes:
        y_pred: any, floating.      y_true: the same, any type.      returns: both in the shape with fewer axes.

    Raises:
        ShapeError: The shapes differ; both are named.
        DTypeError: The prediction is not floating.
        ArgumentError: One is a tuple or a dict.
        BackendError: They belong to two backends.
    """
    y_pred, y_true = as_pair(owner, y_pred, y_true)
    predicted, target = y_pred.shape, y_true.shape
    if not fits(predicted, target):
        if fits(predicted, (*target, 1)):
            y_pred = ops.squeeze(y_pred, -1)
        elif fits((*predicted, 1), target):
            y_true = ops.squeeze(y_true, -1)
        else:
            raise ShapeError(
                f"{title(owner)} got y_pred of shape {predicted} and y_true of shape {target}.\n"
                f"  It needs equal shapes; only a last axis of 1 may be missing on one side.\n"
                f"  Reshape one of them, or look at the last layer of the model: its size decides the shape of y_pred."
            )
    check_floating(owner, y_pred)
    return y_pred, y_true


def fits(first: Sizes, second: Sizes) -> bool:
    """Whether two shapes are equal, as far as they are known."""
    return first == second or (
        len(first) == len(second) and all(m == n or m is None or n is None for m, n in zip(first, second, strict=True))
    )
