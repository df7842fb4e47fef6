"""Losses of classes: cross entropies from logits. Each gives a value for each sample or element; take its `mean()`."""

from __future__ import annotations

from typing import Any

import numpy as np

from babel_dl import ops
from babel_dl.core.registry import register_loss
from babel_dl.errors import ArgumentError, ShapeError
from babel_dl.ops.dispatch import wrap
from babel_dl.ops.tensor import Tensor, TensorLike
from babel_dl.training.losses.base import Loss
from babel_dl.training.losses.labels import check_if_diagnosing, check_labels
from babel_dl.training.metrics.matching import as_pair, check_floating, fits, match_labels, match_shapes, title


@register_loss("cross_entropy", "sparse_cross_entropy", "sparse_categorical_cross_entropy")
class SparseCrossEntropyLossFromLogits(Loss):
    """The cross entropy of the class whose number is the label.

        loss = -log_softmax(y_pred)[y_true]
        with smoothing:  (1 - label_smoothing) * loss - label_smoothing * mean(log_softmax(y_pred))

    A label outside of the classes gives NaN for its sample on the device; labels that come as a numpy array are refused at once.

    Args:
        label_smoothing: The share of the target that is spread over all classes; at least 0 and below 1.

    Shapes:
        y_pred: (*batch, classes), floating.      y_true: (*batch,) or (*batch, 1), any integer type.
        returns: (*batch,), dtype of y_pred.

    Raises:
        ArgumentError: `label_smoothing` is out of range, a host label is no class, or a tuple or dict came in the place of a tensor.
        ShapeError: The shapes do not fit; both are named.
        DTypeError: The labels are no integers, or the logits are.

    Example:
        >>> SparseCrossEntropyLossFromLogits()(ops.zeros((2, 10)), np.array([3, 7])).numpy()
        array([2.3025851, 2.3025851], dtype=float32)

    Source: torch.nn.functional.cross_entropy with class indices.
    """

    compares_tensors = True

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = _checked_smoothing(label_smoothing, type(self).__name__)

    def __call__(self, y_pred: Any, y_true: Any) -> Any:
        """The loss of each sample; see the class."""
        if isinstance(y_true, np.ndarray) and y_true.dtype.kind in "iu" and len(getattr(y_pred, "shape", ())) and y_pred.shape[-1]:
            check_labels(y_true, int(y_pred.shape[-1]), f"{title(self)}: y_true")
        return super().__call__(y_pred, y_true)

    def call(self, y_pred: TensorLike, y_true: TensorLike) -> Tensor:
        """The loss of each sample."""
        logits, labels = match_labels(self, y_pred, y_true)
        check_if_diagnosing(self, labels, logits.shape[-1])
        loss = _sparse_cross_entropy(logits, labels)
        if not self.label_smoothing:
            return loss
        return (1 - self.label_smoothing) * loss - self.label_smoothing * ops.log_softmax(logits).mean(axis=-1)


@register_loss("categorical_cross_entropy")
class CrossEntropyLossFromLogits(Loss):
    """The cross entropy of a probability for each class.

        loss = -sum(y_true * log_softmax(y_pred))
        with smoothing:  y_true becomes (1 - label_smoothing) * y_true + label_smoothing / classes

    Args:
        label_smoothing: The share of the target that is spread over all classes; at least 0 and below 1.

    Shapes:
        y_pred: (*batch, classes), floating.      y_true: (*batch, classes), any type: one-hot or probabilities.
        returns: (*batch,), dtype of y_pred.

    Raises:
        ArgumentError: `label_smoothing` is out of range, or a tuple or dict came in the place of a tensor.
        ShapeError: The shapes differ, or there is no class; both are named.
        DTypeError: The logits are not floating.

    Example:
        >>> CrossEntropyLossFromLogits()(ops.zeros((1, 4)), ops.asarray([[0.5, 0.5, 0.0, 0.0]])).numpy()
        array([1.3862944], dtype=float32)

    Source: torch.nn.functional.cross_entropy with class probabilities.
    """

    compares_tensors = True

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = _checked_smoothing(label_smoothing, type(self).__name__)

    def call(self, y_pred: TensorLike, y_true: TensorLike) -> Tensor:
        """The loss of each sample."""
        logits, targets = as_pair(self, y_pred, y_true)
        shape = logits.shape
        if not fits(shape, targets.shape) or not shape or shape[-1] == 0:
            raise ShapeError(
                f"{title(self)} got y_pred of shape {shape} and y_true of shape {targets.shape}.\n"
                f"  It needs two equal shapes (*batch, classes): a probability for each class.\n"
                f"  For a whole number for each sample take SparseCrossEntropyLossFromLogits."
            )
        check_floating(self, logits)
        targets = targets.astype(logits.dtype)
        if self.label_smoothing:
            targets = (1 - self.label_smoothing) * targets + self.label_smoothing / shape[-1]
        return -(targets * ops.log_softmax(logits)).sum(axis=-1)


@register_loss("bce", "binary_cross_entropy")
class BinaryCrossEntropyLossFromLogits(Loss):
    """The cross entropy of yes and no, for each element.

        loss = -y_true * log(sigmoid(y_pred)) - (1 - y_true) * log(1 - sigmoid(y_pred))

    It is computed as y_true * softplus(-y_pred) + (1 - y_true) * softplus(y_pred), which is exact for large logits of either sign.

    Shapes:
        y_pred: any, floating.      y_true: the same, any type: 0, 1 or between.      A last axis of 1 may be missing on one side.
        returns: the shape with fewer axes, dtype of y_pred.

    Raises:
        ShapeError: The shapes differ; both are named.
        DTypeError: The logits are not floating.
        ArgumentError: A tuple or dict came in the place of a tensor.

    Example:
        >>> BinaryCrossEntropyLossFromLogits()(ops.zeros(2), ops.asarray([0, 1])).numpy()
        array([0.6931472, 0.6931472], dtype=float32)

    Source: torch.nn.functional.binary_cross_entropy_with_logits.
    """

    compares_tensors = True

    def call(self, y_pred: TensorLike, y_true: TensorLike) -> Tensor:
        """The loss of each element."""
        logits, targets = match_shapes(self, y_pred, y_true)
        targets = targets.astype(logits.dtype)
        return targets * ops.softplus(-logits) + (1 - targets) * ops.softplus(logits)


def _sparse_cross_entropy(logits: TensorLike, labels: TensorLike) -> Tensor:
    return wrap(logits.backend.sparse_cross_entropy(logits.native, labels.native), logits.backend)


def _checked_smoothing(label_smoothing: float, who: str) -> float:
    if not 0 <= label_smoothing < 1:
        raise ArgumentError(f"{who} needs label_smoothing of at least 0 and below 1, and got {label_smoothing!r}.")
    return float(label_smoothing)
