"""Layers with a way around them."""

from __future__ import annotations

from typing import Any

from babel_dl.core.initializers import Initializer
from babel_dl.core.module import Module
from babel_dl.errors import ArgumentError, ShapeError
from babel_dl.model.layer import Layer
from babel_dl.model.layers.activation import Function, find_activation
from babel_dl.model.layers.arguments import Sizes, positive, sizes
from babel_dl.model.layers.batch_normalization import BatchNormalization
from babel_dl.model.layers.convolution import Conv1D, Conv2D
from babel_dl.model.layers.fully_connected import FullyConnected
from babel_dl.model.layers.wrapping import Lambda, Sequential
from babel_dl.ops.tensor import Tensor, TensorLike


class Identity(Layer):
    """Gives back what it gets: a place holder for a layer.

    Shapes:
        x: any.      returns: x itself.

    Example:
        >>> from babel_dl import ops
        >>> Identity()(ops.zeros((2, 3))).shape
        (2, 3)
    """

    def call(self, x: Any) -> Any:
        """The input."""
        return x


class Residual(Layer):
    """Adds the input to what layers make of it, so that they learn the difference alone.

        y = activation(layers(x) + shortcut(x))

    Args:
        layers: Modules or functions of one tensor, one after the other, as arguments or as one list.
        shortcut: The way around: None for the input itself, a layer or a function of it, or "auto": the input itself where the layers keep
            its shape, else one learnt matrix for all places, with the stride that leaves as many.
        activation: What to apply to the sum: a name, a function or a layer; None for nothing.

    Shapes:
        x: (batch, *any).      returns: what the layers return.

    Raises:
        ArgumentError: There is no layer, one cannot be called, or a name is unknown.
        ShapeError: The two ways end in different shapes, or "auto" finds no matrix that leads from one to the other.

    Example:
        >>> from babel_dl import ops
        >>> block = Residual(FullyConnected(8, activation="relu"), FullyConnected(3))
        >>> block(ops.zeros((4, 3))).shape
        (4, 3)

    Source: He et al. 2015, "Deep residual learning", eq. 1 and 2.
    """

    def __init__(self, *layers: Any, shortcut: Any = None, activation: str | Function | None = "relu") -> None:
        super().__init__()
        self.body = Sequential(*layers)
        if not len(self.body):
            raise ArgumentError("Residual needs at least one layer, and got none. For nothing at all use Identity().")
        self.shortcut = _shortcut(shortcut)
        self.activation = find_activation(activation) if activation is not None else None

    def call(self, x: TensorLike) -> Tensor:
        """The sum of both ways, with activation."""
        y = self.body(x)
        if self.shortcut is None:
            around: Any = x
        else:
            around = self.shortcut(x, y) if isinstance(self.shortcut, Shortcut) else self.shortcut(x)
        if y.shape != around.shape:
            raise ShapeError(
                f"{self.title} adds the result of its layers, {y.shape}, to its shortcut's, {around.shape}, for an input of {x.shape}.\n"
                f'  Both must be equal. Use shortcut="auto", or a layer that makes {y.shape[1:]} of {x.shape[1:]}.'
            )
        total = y + around
        return total if self.activation is None else self.activation(total)


def _shortcut(given: Any) -> Module | None:
    if given is None or isinstance(given, Module):
        return given
    if isinstance(given, str) and given == "auto":
        return Shortcut()
    if not callable(given):
        raise ArgumentError(f'Residual needs a shortcut that is None, "auto", a layer or a function, and got {given!r}.')
    return Lambda(given)


class Shortcut(Layer):
    """The input itself, or one matrix at places `stride` apart, whichever ends in the shape of the other way."""

    def build(self, x: TensorLike, y: TensorLike) -> None:
        """Chooses.

        Raises:
            ShapeError: No stride leads from the input's places to the result's.
        """
        self.layer: Layer | None = None
        start, end = x.shape[1:], y.shape[1:]
        if start == end:
            return
        strides = tuple(-(-n // m) for n, m in zip(start[:-1], end[:-1], strict=False))
        is_reached = len(start) == len(end) and all(-(-n // s) == m for n, s, m in zip(start[:-1], strides, end[:-1], strict=True))
        if not is_reached or len(end) not in (1, 2, 3):
            raise ShapeError(
                f"{self.title} finds no matrix that leads from {start} to {end}, sizes without the batch axis.\n"
                f'  Give Residual a layer for it in place of shortcut="auto".'
            )
        filters = end[-1]
        if len(end) == 1:
            self.layer = FullyConnected(filters, use_bias=False)
        else:
            self.layer = (Conv1D if len(end) == 2 else Conv2D)(filters, 1, stride=strides, use_bias=False)

    def call(self, x: TensorLike, y: TensorLike) -> TensorLike:
        """The way around."""
        return x if self.layer is None else self.layer(x)


class ResidualBlock(Layer):
    """Two convolutions with batch normalization, and a way around them.

        y = activation(norm2(conv2(activation(norm1(conv1(x))))) + shortcut(x))

    The shortcut is the input itself, or, where stride or channels change, a convolution of one place and its batch normalization.

    Args:
        filters: Number of output channels; at least 1.
        stride: Steps of the first convolution, and of the shortcut.
        kernel_size: Places the windows cover; odd, so that padding by half of it keeps the size.
        activation: What follows the first normalization and the sum: a name, a function or a layer; None for nothing.
        initializer: How the kernels start; a name or a function of (shape, generator).

    Shapes:
        x: (batch, height, width, channels).      returns: (batch, ceil(height / stride), ceil(width / stride), filters).

    Raises:
        ArgumentError: A size is below 1, the kernel's is even, or a name is unknown.
        ShapeError: `x` has not 4 axes, or not the channels built for.

    Example:
        >>> from babel_dl import ops
        >>> ResidualBlock(16, stride=2)(ops.zeros((2, 28, 28, 8))).shape
        (2, 14, 14, 16)

    Source: He et al. 2015, figure 5 left, with option B for the shortcut; torchvision's BasicBlock in channels-last order.
    """

    def __init__(
        self,
        filters: int,
        stride: Sizes = 1,
        kernel_size: Sizes = 3,
        activation: str | Function | None = "relu",
        initializer: str | Initializer = "glorot_uniform",
    ) -> None:
        super().__init__()
        self.filters = positive(filters, "ResidualBlock", "filters")
        self.stride = sizes(stride, 2, "ResidualBlock", "stride")
        self.initializer = initializer
        window = sizes(kernel_size, 2, "ResidualBlock", "kernel_size")
        if any(size % 2 == 0 for size in window):
            raise ArgumentError(f"ResidualBlock needs an odd kernel_size, and got {kernel_size!r}.")
        around = tuple(size // 2 for size in window)  # both sides alike, as PyTorch's networks have it; "same" would differ with a stride
        self.conv1 = Conv2D(filters, window, self.stride, around, use_bias=False, initializer=initializer)
        self.norm1 = BatchNormalization()
        self.conv2 = Conv2D(filters, window, 1, around, use_bias=False, initializer=initializer)
        self.norm2 = BatchNormalization()
        self.activation = find_activation(activation)

    def build(self, x: TensorLike) -> None:
        """Makes the shortcut, where the shape changes."""
        self.check_ndim(x, 4, "(batch, height, width, channels)")
        is_same = self.stride == (1, 1) and self.known_features(x) == self.filters
        self.shortcut = None
        if not is_same:
            projection = Conv2D(self.filters, 1, self.stride, "valid", use_bias=False, initializer=self.initializer)
            self.shortcut = Sequential(projection, BatchNormalization())

    def call(self, x: TensorLike) -> Tensor:
        """The sum of both ways, with activation."""
        y = self.activation(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return self.activation(y + (x if self.shortcut is None else self.shortcut(x)))
