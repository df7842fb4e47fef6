"""Means in which some values do not count, or count more: as functions, and as wrappers around a loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from babel_dl import ops
from babel_dl.backend.dtypes import is_floating, is_integer
from babel_dl.errors import ArgumentError, DTypeError, ShapeError
from babel_dl.ops.dispatch import accepts_natives, as_tensor
from babel_dl.ops.tensor import Tensor, TensorLike
from babel_dl.training.losses.base import Loss
from babel_dl.training.metrics.matching import as_pair, fits, title

Rule = Callable[[TensorLike, TensorLike], TensorLike]
"""What makes a mask or weights from (y_pred, y_true)."""

_HALVES = ("float16", "bfloat16")


@accepts_natives
def masked_mean(values: TensorLike, mask: TensorLike) -> Tensor:
    """The mean of the values that the mask keeps; 0, with a gradient of 0, if it keeps none.

        sum(values where mask) / max(count(mask), 1)

    What is masked out does not count whatever it is, NaN included.

    Args:
        values: What to average.
        mask: True, or a number other than 0, keeps.

    Shapes:
        values: any.      mask: the shape of `values` or of its first axes, and perhaps a last axis of 1 more.      returns: (), float.

    Raises:
        ShapeError: The shapes do not fit; both are named.

    Example:
        >>> float(masked_mean(ops.asarray([1.0, 3.0, 100.0]), ops.asarray([1, 1, 0])))
        2.0
    """
    values = as_tensor(values)
    return _weighted_mean(values, ops.not_equal(as_tensor(mask, values.backend), 0), "masked_mean")


@accepts_natives
def weighted_mean(values: TensorLike, weights: TensorLike) -> Tensor:
    """The mean in which each value counts as much as its weight; 0, with a gradient of 0, if all weights are 0.

        sum(values * weights) / sum(weights)

    A value of weight 0 does not count whatever it is, NaN included. Doubling all weights changes nothing.

    Args:
        values: What to average.
        weights: At least 0 each.

    Shapes:
        values: any.      weights: the shape of `values` or of its first axes, and perhaps a last axis of 1 more.      returns: (), float.

    Raises:
        ShapeError: The shapes do not fit; both are named.

    Example:
        >>> float(weighted_mean(ops.asarray([1.0, 4.0]), ops.asarray([2.0, 1.0])))
        2.0
    """
    values = as_tensor(values)
    return _weighted_mean(values, as_tensor(weights, values.backend), "weighted_mean")


class Masked(Loss):
    """The mean of a loss over the samples or elements that count.

        loss = masked_mean(loss(y_pred, y_true), mask)

    The mask is the third argument, or comes from a rule; where both are there, both must keep. If nothing is kept, the loss is 0 and so is
    its gradient. What is masked out is hidden from the loss inside, so even NaN and labels that are no class do no harm there.

    Args:
        loss: A loss that gives a value for each sample or element.
        keep: Makes the mask from (y_pred, y_true).
        ignore_label: Labels of this value do not count, such as 255 or -100.

    Shapes:
        y_pred, y_true: as `loss` takes them.      mask: as in `masked_mean`; its axes are the first of y_pred and y_true.
        returns: (), floating.

    Raises:
        ArgumentError: `loss` or `keep` cannot be called, both `keep` and `ignore_label` are given, or there is no mask at all.
        ShapeError: The mask fits neither; the shapes are named.
        DTypeError: `ignore_label` is used with labels that are no integers.

    Example:
        >>> from babel_dl.training.losses import MeanSquaredError
        >>> measured = Masked(MeanSquaredError(), keep=lambda y_pred, y_true: ~ops.isnan(y_true))
        >>> float(measured(ops.asarray([1.0, 2.0]), ops.asarray([4.0, float("nan")])))
        9.0
    """

    def __init__(self, loss: Callable[..., Any], keep: Rule | None = None, ignore_label: int | None = None) -> None:
        super().__init__()
        self.loss = _callable(loss, "Masked", "loss")
        if keep is not None and ignore_label is not None:
            raise ArgumentError("Masked takes keep or ignore_label, and got both. Write one keep that does both.")
        if ignore_label is not None and (not isinstance(ignore_label, int) or isinstance(ignore_label, bool) or abs(ignore_label) >= 2**31):
            raise ArgumentError(f"Masked needs ignore_label as a whole number of at most 32 bit, and got {ignore_label!r}.")
        self.keep = _callable(keep, "Masked", "keep") if keep is not None else None
        self.ignore_label = ignore_label

    def call(self, y_pred: TensorLike, y_true: TensorLike, mask: TensorLike | None = None) -> Tensor:
        """The mean over what counts."""
        y_pred, y_true = as_pair(self, y_pred, y_true)
        kept = [ops.not_equal(as_tensor(part, y_pred.backend), 0) for part in (mask, self._rule(y_pred, y_true)) if part is not None]
        if not kept:
            raise ArgumentError(f"{title(self)} has no mask. Call loss(y_pred, y_true, mask), or make it with keep or ignore_label.")
        both = kept[0] if len(kept) == 1 else _joined(kept[0], kept[1], ops.logical_and, title(self))
        return _mean_of(self.loss, y_pred, y_true, both, title(self))

    def _rule(self, y_pred: TensorLike, y_true: TensorLike) -> TensorLike | None:
        if self.ignore_label is None:
            return self.keep(y_pred, y_true) if self.keep is not None else None
        if not is_integer(y_true.dtype):
            raise DTypeError(f"{title(self)} ignores a label, and got labels of {y_true.dtype}. For targets that are no integers use keep.")
        return y_true.astype("int32") != self.ignore_label  # uint8 labels may be compared with -100


class Weighted(Loss):
    """The mean of a loss in which samples or elements count more or less.

        loss = weighted_mean(loss(y_pred, y_true), weights)

    The weights are the third argument, or come from a rule; where both are there, they are multiplied. It is divided by the sum of the
    weights, so their scale does not matter. What has weight 0 is hidden from the loss inside, so even NaN does no harm there.

    Args:
        loss: A loss that gives a value for each sample or element.
        weigh: Makes the weights from (y_pred, y_true).

    Shapes:
        y_pred, y_true: as `loss` takes them.      weights: as in `weighted_mean`; their axes are the first of y_pred and y_true.
        returns: (), floating.

    Raises:
        ArgumentError: `loss` or `weigh` cannot be called, or there are no weights at all.
        ShapeError: The weights fit neither; the shapes are named.

    Example:
        >>> from babel_dl.training.losses import SparseCrossEntropyLossFromLogits
        >>> rare_first = Weighted(SparseCrossEntropyLossFromLogits(), weigh=lambda _, y_true: ops.take(ops.asarray([9.0, 1.0]), y_true))
        >>> float(rare_first(ops.zeros((3, 2)), ops.asarray([0, 1, 1])))
        0.6931471824645996
    """

    def __init__(self, loss: Callable[..., Any], weigh: Rule | None = None) -> None:
        super().__init__()
        self.loss = _callable(loss, "Weighted", "loss")
        self.weigh = _callable(weigh, "Weighted", "weigh") if weigh is not None else None

    def call(self, y_pred: TensorLike, y_true: TensorLike, weights: TensorLike | None = None) -> Tensor:
        """The weighted mean."""
        y_pred, y_true = as_pair(self, y_pred, y_true)
        rule = self.weigh(y_pred, y_true) if self.weigh is not None else None
        given = [as_tensor(part, y_pred.backend) for part in (weights, rule) if part is not None]
        if not given:
            raise ArgumentError(f"{title(self)} has no weights. Call it with them, loss(y_pred, y_true, weights), or make it with weigh.")
        both = given[0] if len(given) == 1 else _joined(given[0], given[1], ops.multiply, title(self))
        return _mean_of(self.loss, y_pred, y_true, both, title(self))


def _mean_of(loss: Callable[..., Any], y_pred: TensorLike, y_true: TensorLike, weights: Tensor, who: str) -> Tensor:
    """The weighted mean of a loss that does not see what has weight 0: there 0 * NaN would be NaN, in the value or in the gradient."""
    seen = (ops.where(_spread(weights, x, who) != 0, x, False if x.dtype == "bool" else 0) for x in (y_pred, y_true))
    return _weighted_mean(as_tensor(loss(*seen)), weights, who)


def _weighted_mean(values: TensorLike, weights: TensorLike, who: str) -> Tensor:
    weights = _spread(weights, values, who)
    dtype = values.dtype if is_floating(values.dtype) else "float32"
    sums = "float32" if dtype in _HALVES else dtype  # a sum over a batch, or its count, overflows 16 bit
    values, factors = values.astype(sums), weights.astype(sums)
    total = (ops.where(weights != 0, values, 0) * factors).sum()
    weight = factors.sum() * math.prod(size for size, own in zip(values.shape, weights.shape, strict=True) if own == 1)
    return (total / ops.where(weight != 0, weight, 1)).astype(dtype)


def _spread(weights: TensorLike, values: TensorLike, who: str) -> TensorLike:
    """The weights with axes of 1 at the end, until they are as many as those of the values."""
    old, new = weights.shape, values.shape
    if not fits(old, new[: len(old)]) and old and old[-1] == 1 and fits(old[:-1], new[: len(old) - 1]):
        weights = ops.squeeze(weights, -1)
    elif not fits(old, new[: len(old)]):
        raise ShapeError(
            f"{who} got a mask or weights of shape {old} for values of shape {new}.\n"
            f"  It needs the shape of the values, or that of their first axes.\n"
            f"  A loss inside Masked or Weighted gives a value for each sample or element: take no mean() in it."
        )
    for _ in range(len(new) - weights.ndim):
        weights = ops.expand_dims(weights, -1)
    return weights


def _joined(first: Tensor, second: Tensor, join: Callable[[Any, Any], Tensor], who: str) -> Tensor:
    """Two masks, or two sets of weights, as one: the shorter is spread over the longer."""
    longer, shorter = (first, second) if first.ndim >= second.ndim else (second, first)
    if longer.ndim > shorter.ndim and longer.shape[-1] == 1:
        longer = ops.squeeze(longer, -1)
    return join(longer, _spread(shorter, longer, who))


def _callable(value: Any, who: str, what: str) -> Callable[..., Any]:
    if not callable(value):
        raise ArgumentError(f"{who} needs {what} as a loss or a function of (y_pred, y_true), and got {type(value).__name__}.")
    return value
