"""The mean of each sample."""

from __future__ import annotations

from babel_dl.ops.dispatch import as_tensor
from babel_dl.ops.tensor import Tensor, TensorLike
from babel_dl.training.metrics.base import Metric


class Mean(Metric):
    """The mean of what a sample has, over all axes but the first: for values that are no comparison, such as a norm or an entropy.

        mean[i] = sum(values[i]) / size(values[i])

    Shapes:
        values: (batch, *rest) or (), any type.      returns: (batch,) or (), float32.

    Raises:
        ShapeError: A sample has no elements.

    Example:
        >>> from babel_dl import ops
        >>> Mean()(ops.asarray([[1.0, 3.0], [0.0, 1.0]])).numpy()
        array([2. , 0.5], dtype=float32)

    Source: keras.metrics.Mean.
    """

    def call(self, values: TensorLike) -> Tensor:
        """The mean of each sample."""
        values = as_tensor(values).astype("float32")
        return values.mean(axis=tuple(range(1, values.ndim)))
