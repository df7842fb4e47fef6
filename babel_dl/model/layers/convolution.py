"""Convolutions over one and two spatial axes."""

from __future__ import annotations

from babel_dl import ops
from babel_dl.core.initializers import Initializer, find_initializer
from babel_dl.errors import ArgumentError, did_you_mean
from babel_dl.model.layer import Layer
from babel_dl.model.layers.activation import Function, find_activation
from babel_dl.model.layers.arguments import Padding, Sizes, checked_padding, positive, resolve_padding, sizes
from babel_dl.ops.tensor import Tensor, TensorLike

AXES = {1: "(batch, length, channels)", 2: "(batch, height, width, channels)"}
PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class Convolution(Layer):
    """What layers with a learnt window share; the number of spatial axes and the arithmetic are the subclass's.

    Args:
        filters: Number of output channels; at least 1.
        kernel_size: Places the window covers on each spatial axis.
        stride: Steps between windows.
        padding: "same", "valid", or whole numbers: one for all sides, one for each axis, or pairs (before, after).
        dilation: Distance between the places of a window.
        groups: In how many groups the channels are convolved apart; divides input channels and `filters`.
        use_bias: Whether to add a learnt offset to each channel.
        activation: What to apply to the result: a name, a function or a layer; None for nothing.
        initializer: How the kernel starts; a name or a function of (shape, generator).
        padding_mode: What stands at the places that padding adds; see `Conv2D`.
    """

    num_spatial: int

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Padding = "same",
        dilation: Sizes = 1,
        groups: int = 1,
        use_bias: bool = True,
        activation: str | Function | None = None,
        initializer: str | Initializer = "glorot_uniform",
        padding_mode: str = "zeros",
    ) -> None:
        super().__init__()
        who, axes = type(self).__name__, self.num_spatial
        self.filters = positive(filters, who, "filters")
        self.kernel_size = sizes(kernel_size, axes, who, "kernel_size")
        self.stride = sizes(stride, axes, who, "stride")
        self.dilation = sizes(dilation, axes, who, "dilation")
        self.padding = checked_padding(padding, axes, who)
        self.groups = positive(groups, who, "groups")
        if filters % groups:
            raise ArgumentError(f"{who} needs groups that divide filters, and got {groups} groups for {filters} filters.")
        if padding_mode not in PADDING_MODES:
            raise ArgumentError(f"{who} has no padding_mode {padding_mode!r}.{did_you_mean(padding_mode, PADDING_MODES)}")
        self.padding_mode = padding_mode
        self.use_bias = use_bias
        self.activation = find_activation(activation) if activation is not None else None
        self.initializer = find_initializer(initializer)

    def build(self, x: TensorLike) -> None:
        """Makes the kernel and the offset."""
        self.check_ndim(x, self.num_spatial + 2, AXES[self.num_spatial])
        self.in_features = self.known_features(x)
        if self.in_features % self.groups:
            raise ArgumentError(
                f"{self.title} needs groups that divide the input's channels, and got {self.groups} for {self.in_features}."
            )
        shape = (*self.kernel_size, self.in_features // self.groups, self.filters)
        self.weight = self.variable("weight", shape, self.initializer)
        self.bias = self.variable("bias", (self.filters,), "zeros") if self.use_bias else None

    def call(self, x: TensorLike) -> Tensor:
        """The window's results, with offset and activation."""
        if x.ndim != self.num_spatial + 2:
            self.check_ndim(x, self.num_spatial + 2, AXES[self.num_spatial])
        self.check_features(x, self.in_features)
        y = self.apply_window(x)
        return y if self.activation is None else self.activation(y)

    def apply_window(self, x: TensorLike) -> Tensor:
        """The arithmetic, with the offset; `x` has the axes and channels that the layer was built for. Here a cross-correlation."""
        padding = resolve_padding(self.padding, x.shape[1:-1], self.kernel_size, self.stride, self.dilation, self.title)
        if self.padding_mode != "zeros" and any(map(any, padding)):
            x = ops.pad(x, ((0, 0), *padding, (0, 0)), mode=self.padding_mode)
            padding = ((0, 0),) * self.num_spatial
        return ops.convolution(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv1D(Convolution):
    """Slides a learnt window along one axis (cross-correlation).

    Takes the arguments of `Conv2D`, with one number where that has two.

    Shapes:
        x: (batch, length, channels).      returns: (batch, new_length, filters), the type that x and weight promote to.
        weight: (window, channels / groups, filters).      bias: (filters,).

    Raises:
        ArgumentError: A size is below 1, groups do not divide, or a padding or name is unknown.
        ShapeError: `x` has not 3 axes, or not the channels built for, or the window does not fit.

    Example:
        >>> Conv1D(8, 3, stride=2)(ops.zeros((4, 9, 2))).shape
        (4, 5, 8)

    Source: torch.nn.Conv1d in channels-last order; "same" as TensorFlow defines it.
    """

    num_spatial = 1


class Conv2D(Convolution):
    """Slides a learnt window over an image (cross-correlation).

        y[b, i, j, f] = bias[f] + sum over u, v, c of weight[u, v, c, f] * x[b, i * stride + u * dilation, j * stride + v * dilation, c]

    Args:
        filters: Number of output channels; at least 1.
        kernel_size: Places the window covers, (height, width) or one number for both.
        stride: Steps between windows.
        padding: "same" (as many places as the input over the stride, rounded up; the smaller half first), "valid" (none), or whole
            numbers: one for all sides, one for each axis, or pairs (before, after).
        dilation: Distance between the places of a window.
        groups: In how many groups the channels are convolved apart; divides input channels and `filters`.
        use_bias: Whether to add a learnt offset to each channel.
        activation: What to apply to the result: a name, a function or a layer; None for nothing.
        initializer: How the kernel starts; a name or a function of (shape, generator).
        padding_mode: What stands at the places that padding adds: "zeros"; "reflect" and "replicate" mirror and go on with the edge;
            "circular" goes on at the other side. See `ops.pad`.

    Shapes:
        x: (batch, height, width, channels).      returns: (batch, new_height, new_width, filters), the type that x and weight promote to.
        weight: (window_h, window_w, channels / groups, filters).      bias: (filters,).

    Raises:
        ArgumentError: A size is below 1, groups do not divide, or a padding or name is unknown.
        ShapeError: `x` has not 4 axes, or not the channels built for, or the window does not fit.

    Example:
        >>> Conv2D(12, (3, 3))(ops.zeros((2, 28, 28, 1))).shape
        (2, 28, 28, 12)

    Source: torch.nn.Conv2d in channels-last order; "same" as TensorFlow defines it.
    """

    num_spatial = 2
