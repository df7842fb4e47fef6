"""How often the class is right: accuracies, as 1 or 0 for each sample."""

from __future__ import annotations

import math

from babel_dl import ops
from babel_dl.core.registry import register_metric
from babel_dl.errors import ArgumentError, ShapeError
from babel_dl.ops.tensor import Tensor, TensorLike
from babel_dl.training.metrics.base import Metric
from babel_dl.training.metrics.matching import as_pair, check_floating, fits, match_labels, match_shapes, title


@register_metric("sparse_categorical_accuracy")
class SparseCategoricalAccuracy(Metric):
    """1 where the class with the highest score is the label, else 0. Of equal scores the first counts.

        accuracy = argmax(y_pred) == y_true

    Scores may be logits or probabilities. A label outside of the classes is never right.

    Shapes:
        y_pred: (*batch, classes), floating.      y_true: (*batch,) or (*batch, 1), any integer type.
        returns: (*batch,), float32.

    Raises:
        ShapeError: The shapes do not fit; both are named.
        DTypeError: The labels are no integers, or the scores are.
        ArgumentError: A tuple or dict came in the place of a tensor.

    Example:
        >>> SparseCategoricalAccuracy()(ops.asarray([[0.1, 0.9], [0.8, 0.2]]), ops.asarray([1, 1])).numpy()
        array([1., 0.], dtype=float32)

    Source: keras.metrics.sparse_categorical_accuracy.
    """

    def call(self, y_pred: TensorLike, y_true: TensorLike) -> Tensor:
        """1 or 0 for each sample."""
        scores, labels = match_labels(self, y_pred, y_true)
        return (scores.argmax() == labels.astype("int32")).astype("float32")


@register_metric("categorical_accuracy")
class CategoricalAccuracy(Metric):
    """1 where the class with the highest score is the one with the highest target, else 0. Of equal ones the first counts.

        accuracy = argmax(y_pred) == argmax(y_true)

    Shapes:
        y_pred: (*batch, classes), floating.      y_true: (*batch, classes), any type: one-hot or probabilities.
        returns: (*batch,), float32.

    Raises:
        ShapeError: The shapes differ, or there is no class; both are named.
        DTypeError: The scores are not floating.
        ArgumentError: A tuple or dict came in the place of a tensor.

    Example:
        >>> CategoricalAccuracy()(ops.asarray([[0.1, 0.9], [0.8, 0.2]]), ops.asarray([[0, 1], [0, 1]])).numpy()
        array([1., 0.], dtype=float32)

    Source: keras.metrics.categorical_accuracy.
    """

    def call(self, y_pred: TensorLike, y_true: TensorLike) -> Tensor:
        """1 or 0 for each sample."""
        scores, targets = as_pair(self, y_pred, y_true)
        if not fits(scores.shape, targets.shape) or not scores.shape or scores.shape[-1] == 0:
            raise ShapeError(
                f"{title(self)} got y_pred of shape {scores.shape} and y_true of shape {targets.shape}.\n"
                f"  It needs two equal shapes (*batch, classes).\n"
                f"  For a whole number for each sample take SparseCategoricalAccuracy."
            )
        check_floating(self, scores)
        if targets.dtype == "bool":
            targets = targets.astype("int32")
        return (scores.argmax() == targets.argmax()).astype("float32")


@register_metric("binary_accuracy")
class BinaryAccuracy(Metric):
    """1 where the prediction is on the right side of a threshold, else 0.

        accuracy = (probability > threshold) == (y_true > 0.5)

    Args:
        threshold: The probability above which the answer is yes; between 0 and 1, both excluded.
        from_logits: Whether `y_pred` are logits instead of probabilities; then the threshold is moved to log(threshold / (1 - threshold)).

    Shapes:
        y_pred: any, floating.      y_true: the same, any type; a last axis of 1 may be missing on one side.
        returns: the shape with fewer axes, float32.

    Raises:
        ArgumentError: The threshold is not between 0 and 1, or a tuple or dict came in the place of a tensor.
        ShapeError: The shapes differ; both are named.
        DTypeError: The predictions are not floating.

    Example:
        >>> BinaryAccuracy(from_logits=True)(ops.asarray([2.0, -1.0]), ops.asarray([1, 1])).numpy()
        array([1., 0.], dtype=float32)

    Source: keras.metrics.binary_accuracy.
    """

    def __init__(self, threshold: float = 0.5, from_logits: bool = False) -> None:
        super().__init__()
        if not 0 < threshold < 1:
            raise ArgumentError(f"BinaryAccuracy needs a threshold between 0 and 1 (a probability, for logits too), and got {threshold!r}.")
        self.threshold = threshold
        self.from_logits = from_logits
        self._boundary = math.log(threshold / (1 - threshold)) if from_logits else threshold

    def call(self, y_pred: TensorLike, y_true: TensorLike) -> Tensor:
        """1 or 0 for each element."""
        scores, targets = match_shapes(self, y_pred, y_true)
        wanted = targets if targets.dtype == "bool" else targets > 0.5
        return ((scores > self._boundary) == wanted).astype("float32")


@register_metric("top_k", "top_k_accuracy")
class TopKAccuracy(Metric):
    """1 where the label is among the `k` classes with the highest scores, else 0. Of equal scores the first ones count, as in argmax.

    A label outside of the classes is never right.

    Args:
        k: How many classes may be named; at least 1.

    Shapes:
        y_pred: (*batch, classes), floating, with at least `k` classes.      y_true: (*batch,) or (*batch, 1), any integer type.
        returns: (*batch,), float32.

    Raises:
        ArgumentError: `k` is below 1 or above the number of classes, or a tuple or dict came in the place of a tensor.
        ShapeError: The shapes do not fit; both are named.
        DTypeError: The labels are no integers, or the scores are.

    Example:
        >>> TopKAccuracy(2)(ops.asarray([[0.5, 0.2, 0.3], [0.5, 0.2, 0.3]]), ops.asarray([2, 1])).numpy()
        array([1., 0.], dtype=float32)

    Source: keras.metrics.sparse_top_k_categorical_accuracy, but for equal scores, of which Keras lets all count.
    """

    def __init__(self, k: int) -> None:
        super().__init__()
        if not isinstance(k, int) or isinstance(k, bool) or k < 1:
            raise ArgumentError(f"TopKAccuracy needs k as a whole number of at least 1, and got {k!r}.")
        self.k = k

    def call(self, y_pred: TensorLike, y_true: TensorLike) -> Tensor:
        """1 or 0 for each sample."""
        scores, labels = match_labels(self, y_pred, y_true)
        classes = scores.shape[-1]
        if classes is not None and self.k > classes:
            raise ArgumentError(f"{title(self)} was made for k={self.k}, and there are {classes} classes: all would be right. Lower k.")
        best = ops.argsort(scores, axis=-1, descending=True)[..., : self.k]  # (*batch, k)
        return (best == ops.expand_dims(labels.astype("int32"), -1)).any(axis=-1).astype("float32")


@register_metric("acc", "accuracy")
class Accuracy(Metric):
    """1 where the answer is right, else 0: of classes, or of yes and no, by the shapes.

        y_pred (*batch, classes), y_true (*batch,) or (*batch, 1)            SparseCategoricalAccuracy
        y_pred (*batch,) or (*batch, 1), y_true (*batch,) or (*batch, 1)     BinaryAccuracy(from_logits=True)

    Yes and no come from logits, as the losses of this package take them: above 0 is yes. What is neither is refused: two equal shapes may
    be one class of many, or many times yes and no.

    Shapes:
        y_pred, y_true: see above; y_pred is floating, y_true of any type, for classes an integer.      returns: (*batch,), float32.

    Raises:
        ShapeError: The shapes do not fit, or leave open what is meant.
        DTypeError: Labels of classes are no integers, or the scores are.
        ArgumentError: A tuple or dict came in the place of a tensor.

    Example:
        >>> accuracy = Accuracy()
        >>> accuracy(ops.asarray([[0.1, 0.9], [0.8, 0.2]]), ops.asarray([1, 1])).numpy()
        array([1., 0.], dtype=float32)
        >>> accuracy(ops.asarray([[2.0], [-1.0]]), ops.asarray([1, 1])).numpy()
        array([1., 0.], dtype=float32)

    Source: what "accuracy" means in keras.Model.compile, which also guesses where it cannot know.
    """

    def __init__(self) -> None:
        super().__init__()
        self.of_classes = SparseCategoricalAccuracy()
        self.of_yes_and_no = BinaryAccuracy(from_logits=True)

    def call(self, y_pred: TensorLike, y_true: TensorLike) -> Tensor:
        """1 or 0 for each sample."""
        y_pred, y_true = as_pair(self, y_pred, y_true)
        scores, targets = y_pred.shape, y_true.shape
        has_classes = len(scores) > 1 and scores[-1] != 1
        if has_classes and fits(scores, targets):
            raise ShapeError(
                f"{title(self)} cannot know what is right: y_pred and y_true both have shape {scores}.\n"
                f"  For a probability of each class take 'categorical_accuracy', for several answers of yes and no\n"
                f"  'binary_accuracy' with from_logits=True, or False for probabilities."
            )
        if has_classes:
            return self.of_classes(y_pred, y_true)
        right = self.of_yes_and_no(y_pred, y_true)
        return ops.squeeze(right, -1) if right.ndim > 1 and right.shape[-1] == 1 else right
