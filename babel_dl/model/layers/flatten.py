"""Layers that change the shape and no value."""

from __future__ import annotations

import math

from babel_dl import ops
from babel_dl.errors import ArgumentError, ShapeError
from babel_dl.model.layer import Layer
from babel_dl.ops.tensor import Tensor, TensorLike


class Flatten(Layer):
    """Joins all axes but the batch's, in row-major order of the channels-last layout.

    Shapes:
        x: (batch, *any).      returns: (batch, product of the others).

    Raises:
        ShapeError: `x` has no axis.

    Example:
        >>> Flatten()(ops.zeros((2, 7, 7, 3))).shape
        (2, 147)
    """

    def call(self, x: TensorLike) -> Tensor:
        """The flat input."""
        shape = x.shape
        if not shape:
            raise ShapeError(f"{self.title} needs a batch axis, and got a tensor without axes.")
        return ops.reshape(x, (shape[0], math.prod(shape[1:])))


class Reshape(Layer):
    """Gives each sample a new shape; the batch axis stays.

    Args:
        shape: The sizes without the batch axis; one may be -1, for whatever is left.

    Shapes:
        x: (batch, *any).      returns: (batch, *shape).

    Raises:
        ArgumentError: `shape` has more than one -1, or a size below 1.
        ShapeError: The number of elements does not fit.

    Example:
        >>> Reshape((7, -1))(ops.zeros((2, 49))).shape
        (2, 7, 7)
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = (shape,) if isinstance(shape, int) else tuple(shape)
        if self.shape.count(-1) > 1 or any(size < 1 and size != -1 for size in self.shape):
            raise ArgumentError(f"Reshape needs sizes of at least 1, one of which may be -1, and got {self.shape}.")

    def call(self, x: TensorLike) -> Tensor:
        """The input in its new shape."""
        return ops.reshape(x, (x.shape[0], *self.shape))
