"""Pooling to a given size, whatever the size of the input."""

from __future__ import annotations

from babel_dl import ops
from babel_dl.errors import ArgumentError, ShapeError
from babel_dl.model.layer import Layer
from babel_dl.ops.tensor import Tensor, TensorLike

OutputSize = int | None | tuple[int | None, ...]
_AXES = {1: "(batch, length, channels)", 2: "(batch, height, width, channels)"}


class _AdaptivePooling(Layer):
    """What adaptive poolings share; the number of spatial axes is the subclass's."""

    num_spatial: int
    reduction: str

    def __init__(self, size: OutputSize) -> None:
        super().__init__()
        given = tuple(size) if isinstance(size, (tuple, list)) else (size,) * self.num_spatial
        is_valid = all(n is None or (isinstance(n, int) and not isinstance(n, bool) and n > 0) for n in given)
        if len(given) != self.num_spatial or not is_valid:
            raise ArgumentError(
                f"{type(self).__name__} needs a size of at least 1, or {self.num_spatial} of them, None to keep one; it got {size!r}."
            )
        self.size = given

    def call(self, x: TensorLike) -> Tensor:
        """One value for each window and channel."""
        self.check_ndim(x, self.num_spatial + 2, _AXES[self.num_spatial])
        spatial = x.shape[1:-1]
        if not all(spatial):
            raise ShapeError(f"{self.title} got an input of shape {x.shape}; spatial axes must have known sizes of at least 1.")
        wanted = tuple(n if m is None else m for n, m in zip(spatial, self.size, strict=True))
        if all(m == 1 for m in wanted):
            return getattr(ops, self.reduction)(x, tuple(range(1, self.num_spatial + 1)), keepdims=True)
        if all(n % m == 0 for n, m in zip(spatial, wanted, strict=True)):
            return self._pool(x, tuple(n // m for n, m in zip(spatial, wanted, strict=True)))
        for axis in range(self.num_spatial, 0, -1):  # rows last: then the first of equal elements is the first row by row
            x = self._pool_axis(x, axis, spatial[axis - 1], wanted[axis - 1])
        return x  # type: ignore[return-value]

    def _pool_axis(self, x: TensorLike, axis: int, n: int, m: int) -> TensorLike:
        """Windows of two lengths, each a slice of its own, unless all are of one."""
        before, after = (1,) * (axis - 1), (1,) * (self.num_spatial - axis)
        if n % m == 0:
            return x if n == m else self._pool(x, (*before, n // m, *after))
        parts = []
        for place in range(m):
            start, end = place * n // m, -(-(place + 1) * n // m)
            part = ops.getitem(x, (*(slice(None),) * axis, slice(start, end)))
            parts.append(self._pool(part, (*before, end - start, *after)))
        return ops.concat(parts, axis)

    def _pool(self, x: TensorLike, window: tuple[int, ...]) -> Tensor:
        """Windows side by side."""
        nothing = ((0, 0),) * self.num_spatial
        if self.reduction == "mean":
            return ops.average_pool(x, window, window, nothing)
        return ops.max_pool(x, window, window, nothing, (1,) * self.num_spatial)


class AdaptiveAveragePooling1D(_AdaptivePooling):
    """The mean of each of `size` windows that cover a sequence evenly. See `AdaptiveAveragePooling2D`.

    Shapes:
        x: (batch, length, channels), floating.      returns: (batch, size, channels).

    Raises:
        ArgumentError: A size is below 1.
        ShapeError: `x` has not 3 axes, or an axis that is empty or of unknown size.
    """

    num_spatial, reduction = 1, "mean"


class AdaptiveAveragePooling2D(_AdaptivePooling):
    """The mean of each of `size` windows that cover an image evenly, whatever its size.

    Window `o` of `m` reaches from floor(o * n / m) to before ceil((o + 1) * n / m); neighbours overlap where m does not divide n.

    Args:
        size: Windows along each axis, (height, width) or one number for both; None where the size does not change. 1 is the mean over
            the whole image, as `GlobalAveragePooling2D(keepdims=True)` gives it.

    Shapes:
        x: (batch, height, width, channels), floating.      returns: (batch, *size, channels).

    Raises:
        ArgumentError: A size is below 1.
        ShapeError: `x` has not 4 axes, or an axis that is empty or of unknown size.

    Example:
        >>> AdaptiveAveragePooling2D(1)(ops.zeros((2, 7, 7, 3))).shape
        (2, 1, 1, 3)
        >>> AdaptiveAveragePooling2D((3, None))(ops.zeros((2, 7, 7, 3))).shape
        (2, 3, 7, 3)

    Source: torch.nn.AdaptiveAvgPool2d in channels-last order.
    """

    num_spatial, reduction = 2, "mean"


class AdaptiveMaxPooling1D(_AdaptivePooling):
    """The largest of each of `size` windows that cover a sequence evenly. See `AdaptiveMaxPooling2D`.

    Shapes:
        x: (batch, length, channels).      returns: (batch, size, channels).

    Raises:
        ArgumentError: A size is below 1.
        ShapeError: `x` has not 3 axes, or an axis that is empty or of unknown size.
    """

    num_spatial, reduction = 1, "max"


class AdaptiveMaxPooling2D(_AdaptivePooling):
    """The largest of each of `size` windows that cover an image evenly, whatever its size; windows as in `AdaptiveAveragePooling2D`.

    The first of equal elements takes the gradient; with size 1, where it is `GlobalMaxPooling2D(keepdims=True)`, they share it.

    Args:
        size: Windows along each axis, (height, width) or one number for both; None where the size does not change.

    Shapes:
        x: (batch, height, width, channels).      returns: (batch, *size, channels).

    Raises:
        ArgumentError: A size is below 1.
        ShapeError: `x` has not 4 axes, or an axis that is empty or of unknown size.

    Source: torch.nn.AdaptiveMaxPool2d in channels-last order.
    """

    num_spatial, reduction = 2, "max"
