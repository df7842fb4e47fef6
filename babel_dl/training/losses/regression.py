"""Losses of numbers. Each gives a value for each element; take its `mean()`. Nothing is broadcast: shapes that differ are refused."""

from __future__ import annotations

import math

from babel_dl import ops
from babel_dl.core.registry import register_loss, register_metric
from babel_dl.errors import ArgumentError
from babel_dl.ops.tensor import Tensor, TensorLike
from babel_dl.training.losses.base import Loss
from babel_dl.training.metrics.matching import match_shapes


@register_metric("mse", "mean_squared_error")
@register_loss("mse", "mean_squared_error")
class MeanSquaredError(Loss):
    """The square of the difference, for each element; the mean is left to the caller.

        loss = (y_pred - y_true) ** 2

    Shapes:
        y_pred: any, floating.      y_true: the same, any type; a last axis of 1 may be missing on one side.
        returns: the shape with fewer axes, dtype of y_pred.

    Raises:
        ShapeError: The shapes differ; both are named.
        DTypeError: The prediction is not floating.
        ArgumentError: A tuple or dict came in the place of a tensor.

    Example:
        >>> MeanSquaredError()(ops.asarray([1.0, 2.0]), ops.asarray([1.0, 5.0])).numpy()
        array([0., 9.], dtype=float32)

    Source: torch.nn.functional.mse_loss.
    """

    compares_tensors = True

    def call(self, y_pred: TensorLike, y_true: TensorLike) -> Tensor:
        """The loss of each element."""
        y_pred, y_true = match_shapes(self, y_pred, y_true)
        return ops.square(y_pred - y_true.astype(y_pred.dtype))


@register_metric("mae", "mean_absolute_error")
@register_loss("mae", "mean_absolute_error")
class MeanAbsoluteError(Loss):
    """The size of the difference, for each element; the mean is left to the caller.

        loss = |y_pred - y_true|

    Shapes:
        y_pred: any, floating.      y_true: the same, any type; a last axis of 1 may be missing on one side.
        returns: the shape with fewer axes, dtype of y_pred.

    Raises:
        ShapeError: The shapes differ; both are named.
        DTypeError: The prediction is not floating.
        ArgumentError: A tuple or dict came in the place of a tensor.

    Example:
        >>> MeanAbsoluteError()(ops.asarray([1.0, 2.0]), ops.asarray([1.0, 5.0])).numpy()
        array([0., 3.], dtype=float32)

    Source: torch.nn.functional.l1_loss.
    """

    compares_tensors = True

    def call(self, y_pred: TensorLike, y_true: TensorLike) -> Tensor:
        """The loss of each element."""
        y_pred, y_true = match_shapes(self, y_pred, y_true)
        return ops.abs(y_pred - y_true.astype(y_pred.dtype))


@register_loss("smooth_l1")
class SmoothL1Loss(Loss):
    """A parabola near 0 and a straight line beyond, for each element: outliers pull no harder than `beta` does.

        d = |y_pred - y_true|
        loss = d ** 2 / (2 * beta) if d < beta else d - beta / 2

    Args:
        beta: Where the parabola ends, in the unit of the prediction; above 0.

    Shapes:
        y_pred: any, floating.      y_true: the same, any type; a last axis of 1 may be missing on one side.
        returns: the shape with fewer axes, dtype of y_pred.

    Raises:
        ArgumentError: `beta` is not a finite number above 0, or a tuple or dict came in the place of a tensor.
        ShapeError: The shapes differ; both are named.
        DTypeError: The prediction is not floating.

    Example:
        >>> SmoothL1Loss()(ops.asarray([1.0, 2.0]), ops.asarray([0.5, 5.0])).numpy()
        array([0.125, 2.5  ], dtype=float32)

    Source: Girshick 2015, eq. 3; torch.nn.functional.smooth_l1_loss.
    """

    compares_tensors = True

    def __init__(self, beta: float = 1.0) -> None:
        super().__init__()
        if not 0 < beta < math.inf:
            raise ArgumentError(f"SmoothL1Loss needs beta as a finite number above 0, and got {beta!r}. For 0 take MeanAbsoluteError.")
        self.beta = float(beta)

    def call(self, y_pred: TensorLike, y_true: TensorLike) -> Tensor:
        """The loss of each element."""
        y_pred, y_true = match_shapes(self, y_pred, y_true)
        distance = ops.abs(y_pred - y_true.astype(y_pred.dtype))
        return ops.where(distance < self.beta, ops.square(distance) * (0.5 / self.beta), distance - 0.5 * self.beta)
