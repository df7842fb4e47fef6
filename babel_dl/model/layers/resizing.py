"""Layers that give images and sequences another size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from babel_dl import ops
from babel_dl.core.initializers import Initializer
from babel_dl.errors import ArgumentError, did_you_mean
from babel_dl.model.layer import Layer
from babel_dl.model.layers.activation import Function
from babel_dl.model.layers.arguments import Padding, Sizes
from babel_dl.model.layers.convolution import Convolution
from babel_dl.ops.resizing import RESIZING_MODES
from babel_dl.ops.tensor import Tensor, TensorLike


def _checked_mode(mode: str, who: str) -> str:
    if mode not in RESIZING_MODES:
        raise ArgumentError(f"{who} has no mode {mode!r}.{did_you_mean(mode, RESIZING_MODES)}")
    return mode


def _checked(value: Any, who: str, what: str, kinds: tuple[type, ...]) -> Any:
    entries = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if len(entries) not in (1, 2) or any(isinstance(n, bool) or not isinstance(n, kinds) or not n > 0 for n in entries):
        kind = "whole number" if kinds == (int,) else "number"
        raise ArgumentError(f"{who} needs {what} as a {kind} above 0, or one for each spatial axis, and got {value!r}.")
    return value


class Resize(Layer):
    """Images in another size; with one spatial axis sequences in another length. See `ops.resize`.

    Args:
        size: Places along each spatial axis, or one number for all; at least 1.
        mode: "bilinear", or "nearest".
        scale: In place of a size: how many times as many places, above 0; what comes out is rounded down.

    Shapes:
        x: (batch, height, width, channels) or (batch, length, channels).      returns: (batch, *size, channels).

    Raises:
        ArgumentError: There is no such mode; or size and scale are both given or both missing; or one is no positive number.
        ShapeError: `x` has not 3 or 4 axes, or an axis that is empty or of unknown size.

    Example:
        >>> Resize(28)(ops.zeros((2, 32, 32, 1))).shape
        (2, 28, 28, 1)
        >>> Resize(scale=2, mode="nearest")(ops.zeros((2, 7, 7, 3))).shape
        (2, 14, 14, 3)

    Source: torch.nn.Upsample with align_corners=False in channels-last order.
    """

    def __init__(
        self, size: int | Sequence[int] | None = None, mode: str = "bilinear", scale: float | Sequence[float] | None = None
    ) -> None:
        super().__init__()
        if (size is None) == (scale is None):
            raise ArgumentError(f"Resize needs either size or scale, and got size={size!r} and scale={scale!r}.")
        self.size = None if size is None else _checked(size, "Resize", "size", (int,))
        self.mode = _checked_mode(mode, "Resize")
        self.scale = None if scale is None else _checked(scale, "Resize", "scale", (int, float))

    def call(self, x: TensorLike) -> Tensor:
        """The input in its new size."""
        return ops.resize(x, self.size, self.mode, self.scale)


class UpsampleConv2D(Convolution):
    """Makes an image larger and slides a learnt window over the result: a transposed convolution without its checkerboard.

        y = convolution(resize(x, scale=factor, mode=mode))

    Args:
        filters: Number of output channels; at least 1.
        kernel_size: Places the window covers, (height, width) or one number for both.
        factor: How many times as many places along each axis, above 0; (height, width) or one number for both.
        mode: How places are filled: "nearest" repeats, "bilinear" interpolates.
        stride: As the arguments below, that of `Conv2D`.
        padding: See `Conv2D`.
        dilation: See `Conv2D`.
        groups: See `Conv2D`.
        use_bias: See `Conv2D`.
        activation: See `Conv2D`.
        initializer: See `Conv2D`.
        padding_mode: See `Conv2D`.

    Shapes:
        x: (batch, height, width, channels).      returns: (batch, factor * height, factor * width, filters) with stride 1 and "same".
        weight: (window_h, window_w, channels / groups, filters).      bias: (filters,).

    Raises:
        ArgumentError: A size is below 1, groups do not divide, or a mode, padding or name is unknown.
        ShapeError: `x` has not 4 axes, or not the channels built for, or the window does not fit.

    Example:
        >>> UpsampleConv2D(16, 3)(ops.zeros((2, 7, 7, 32))).shape
        (2, 14, 14, 16)

    Source: Odena et al. 2016, "Deconvolution and checkerboard artifacts"; cflearn.modules.blocks.UpsampleConv2d.
    """

    num_spatial = 2

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        factor: float | Sequence[float] = 2,
        mode: str = "nearest",
        stride: Sizes = 1,
        padding: Padding = "same",
        dilation: Sizes = 1,
        groups: int = 1,
        use_bias: bool = True,
        activation: str | Function | None = None,
        initializer: str | Initializer = "glorot_uniform",
        padding_mode: str = "zeros",
    ) -> None:
        super().__init__(filters, kernel_size, stride, padding, dilation, groups, use_bias, activation, initializer, padding_mode)
        self.factor = _checked(factor, "UpsampleConv2D", "factor", (int, float))
        self.mode = _checked_mode(mode, "UpsampleConv2D")

    def apply_window(self, x: TensorLike) -> Tensor:
        """The larger image, convolved, with the offset."""
        return super().apply_window(ops.resize(x, mode=self.mode, scale=self.factor))
