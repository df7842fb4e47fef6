"""Pooling over one and two spatial axes, in windows and over everything."""

from __future__ import annotations

from babel_dl import ops
from babel_dl.errors import ArgumentError
from babel_dl.model.layer import Layer
from babel_dl.model.layers.arguments import Padding, Sizes, checked_padding, resolve_padding, sizes
from babel_dl.ops.tensor import Tensor, TensorLike

_AXES = {1: "(batch, length, channels)", 2: "(batch, height, width, channels)"}


class _Pooling(Layer):
    """What windowed poolings share; the number of spatial axes is the subclass's."""

    num_spatial: int

    def __init__(self, pool_size: Sizes, stride: Sizes | None, padding: Padding, dilation: Sizes) -> None:
        super().__init__()
        who, axes = type(self).__name__, self.num_spatial
        self.pool_size = sizes(pool_size, axes, who, "pool_size")
        self.stride = self.pool_size if stride is None else sizes(stride, axes, who, "stride")
        self.dilation = sizes(dilation, axes, who, "dilation")
        self.padding = checked_padding(padding, axes, who)
        if not isinstance(self.padding, str):
            for (before, after), window in zip(self.padding, self.pool_size, strict=True):
                if max(before, after) >= window:
                    raise ArgumentError(f"{who} needs padding below its window of {window}, and got {max(before, after)}.")

    def pairs(self, x: TensorLike) -> tuple[tuple[int, int], ...]:
        """The padding for this input, before and after each spatial axis."""
        shape = x.shape
        if len(shape) != self.num_spatial + 2:
            self.check_ndim(x, self.num_spatial + 2, _AXES[self.num_spatial])
        return resolve_padding(self.padding, shape[1:-1], self.pool_size, self.stride, self.dilation, self.title)


class _MaxPooling(_Pooling):
    def __init__(self, pool_size: Sizes = 2, stride: Sizes | None = None, padding: Padding = "valid", dilation: Sizes = 1) -> None:
        super().__init__(pool_size, stride, padding, dilation)

    def call(self, x: TensorLike) -> Tensor:
        """The largest of each window."""
        return ops.max_pool(x, self.pool_size, self.stride, self.pairs(x), self.dilation)


class _AveragePooling(_Pooling):
    def __init__(
        self, pool_size: Sizes = 2, stride: Sizes | None = None, padding: Padding = "valid", count_padding: bool = False
    ) -> None:
        super().__init__(pool_size, stride, padding, dilation=1)
        self.count_padding = count_padding

    def call(self, x: TensorLike) -> Tensor:
        """The mean of each window."""
        return ops.average_pool(x, self.pool_size, self.stride, self.pairs(x), self.count_padding)


class MaxPooling1D(_MaxPooling):
    """The largest of each window along one axis. Takes the arguments of `MaxPooling2D`.

    Shapes:
        x: (batch, length, channels).      returns: (batch, new_length, channels).

    Raises:
        ArgumentError: A size is below 1, or a padding is unknown.
        ShapeError: `x` has not 3 axes, or the window does not fit.

    Example:
        >>> MaxPooling1D()(ops.zeros((4, 8, 2))).shape
        (4, 4, 2)
    """

    num_spatial = 1


class MaxPooling2D(_MaxPooling):
    """The largest of each window of an image; places that padding adds never win.

    Args:
        pool_size: Places the window covers, (height, width) or one number for both.
        stride: Steps between windows; None for the window's size.
        padding: "same", "valid", or whole numbers below the window, as in `Conv2D`.
        dilation: Distance between the places of a window.

    Shapes:
        x: (batch, height, width, channels).      returns: (batch, new_height, new_width, channels).

    Raises:
        ArgumentError: A size is below 1, or a padding is unknown.
        ShapeError: `x` has not 4 axes, or the window does not fit.

    Example:
        >>> MaxPooling2D()(ops.zeros((2, 28, 28, 3))).shape
        (2, 14, 14, 3)

    Source: torch.nn.MaxPool2d in channels-last order.
    """

    num_spatial = 2


class AveragePooling1D(_AveragePooling):
    """The mean of each window along one axis. Takes the arguments of `AveragePooling2D`.

    Shapes:
        x: (batch, length, channels).      returns: (batch, new_length, channels).

    Raises:
        ArgumentError: A size is below 1, or a padding is unknown.
        ShapeError: `x` has not 3 axes, or the window does not fit.
    """

    num_spatial = 1


class AveragePooling2D(_AveragePooling):
    """The mean of each window of an image.

    Args:
        pool_size: Places the window covers, (height, width) or one number for both.
        stride: Steps between windows; None for the window's size.
        padding: "same", "valid", or whole numbers below the window, as in `Conv2D`.
        count_padding: Whether places that padding adds count as zeros (PyTorch's default), or not at all (TensorFlow's, and ours).

    Shapes:
        x: (batch, height, width, channels), floating.      returns: (batch, new_height, new_width, channels).

    Raises:
        ArgumentError: A size is below 1, or a padding is unknown.
        ShapeError: `x` has not 4 axes, or the window does not fit.

    Source: torch.nn.AvgPool2d in channels-last order.
    """

    num_spatial = 2


class _GlobalPooling(Layer):
    num_spatial: int
    reduction: str

    def __init__(self, keepdims: bool = False) -> None:
        super().__init__()
        self.keepdims = keepdims
        self.axis = tuple(range(1, self.num_spatial + 1))

    def call(self, x: TensorLike) -> Tensor:
        """One value for each sample and channel."""
        self.check_ndim(x, self.num_spatial + 2, _AXES[self.num_spatial])
        return getattr(ops, self.reduction)(x, self.axis, self.keepdims)


class GlobalAveragePooling1D(_GlobalPooling):
    """The mean over the whole length. Shapes: (batch, length, channels) to (batch, channels), or (batch, 1, channels) with `keepdims`.

    Raises:
        ShapeError: `x` has not 3 axes.
    """

    num_spatial, reduction = 1, "mean"


class GlobalAveragePooling2D(_GlobalPooling):
    """The mean over the whole image. Shapes: (batch, height, width, channels) to (batch, channels); `keepdims` keeps axes of size 1.

    Raises:
        ShapeError: `x` has not 4 axes.

    Example:
        >>> GlobalAveragePooling2D()(ops.ones((2, 7, 7, 3))).shape
        (2, 3)
    """

    num_spatial, reduction = 2, "mean"


class GlobalMaxPooling1D(_GlobalPooling):
    """The largest of the whole length. Shapes: (batch, length, channels) to (batch, channels), or (batch, 1, channels) with `keepdims`.

    Raises:
        ShapeError: `x` has not 3 axes.
    """

    num_spatial, reduction = 1, "max"


class GlobalMaxPooling2D(_GlobalPooling):
    """The largest of the whole image. Shapes: (batch, height, width, channels) to (batch, channels); `keepdims` keeps axes of size 1.

    Raises:
        ShapeError: `x` has not 4 axes.
    """

    num_spatial, reduction = 2, "max"
