"""Layers that join several tensors into one, and one that parts them again."""

from __future__ import annotations

from collections.abc import Sequence

from babel_dl import ops
from babel_dl.errors import ShapeError
from babel_dl.model.layer import Layer
from babel_dl.ops.tensor import Tensor, TensorLike


def _listed(xs: tuple[TensorLike | Sequence[TensorLike], ...], who: str) -> list[TensorLike]:
    tensors = list(xs[0]) if len(xs) == 1 and isinstance(xs[0], (list, tuple)) else list(xs)
    if not tensors:
        raise ShapeError(f"{who} needs at least one tensor, and got none.")
    return tensors  # type: ignore[return-value]


class Concat(Layer):
    """Joins tensors along an axis; they come as arguments or as one list.

    Args:
        axis: Which axis; negative counts from the end.

    Raises:
        ShapeError: There is no tensor, or they differ on another axis.

    Example:
        >>> Concat()(ops.zeros((2, 3)), ops.zeros((2, 5))).shape
        (2, 8)
    """

    def __init__(self, axis: int = -1) -> None:
        super().__init__()
        self.axis = axis

    def call(self, *xs: TensorLike | Sequence[TensorLike]) -> Tensor:
        """The joined tensors."""
        return ops.concat(_listed(xs, self.title), self.axis)


class Stack(Layer):
    """Joins tensors of one shape along a new axis; they come as arguments or as one list.

    Args:
        axis: Where the new axis is; negative counts from the end.

    Raises:
        ShapeError: There is no tensor, or their shapes differ.
    """

    def __init__(self, axis: int = -1) -> None:
        super().__init__()
        self.axis = axis

    def call(self, *xs: TensorLike | Sequence[TensorLike]) -> Tensor:
        """The stacked tensors."""
        return ops.stack(_listed(xs, self.title), self.axis)


class Add(Layer):
    """The sum of tensors that broadcast; they come as arguments or as one list.

    Raises:
        ShapeError: There is no tensor, or shapes do not broadcast.
    """

    def call(self, *xs: TensorLike | Sequence[TensorLike]) -> Tensor:
        """The sum."""
        tensors = _listed(xs, self.title)
        total = tensors[0]
        for x in tensors[1:]:
            total = ops.add(total, x)
        return total  # type: ignore[return-value]


class Split(Layer):
    """Parts a tensor along an axis. See `ops.split`.

    Args:
        parts: How many parts of equal size; or the size of each part, one of which may be -1 for whatever is left.
        axis: Which axis; negative counts from the end.

    Shapes:
        x: (batch, *any).      returns: a tuple of tensors, their sizes along the axis as said.

    Raises:
        ShapeError: There is no such axis, or the sizes do not add up to its size.
        ArgumentError: `parts` is below 1, or a size below 0.

    Example:
        >>> mean, log_variance = Split(2)(ops.zeros((4, 128)))
        >>> mean.shape, log_variance.shape
        ((4, 64), (4, 64))
    """

    def __init__(self, parts: int | Sequence[int], axis: int = -1) -> None:
        super().__init__()
        self.parts = parts
        self.axis = axis

    def call(self, x: TensorLike) -> tuple[Tensor, ...]:
        """The parts."""
        return ops.split(x, self.parts, self.axis)
