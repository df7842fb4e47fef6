"""Transposed convolutions over one and two spatial axes."""

from __future__ import annotations

from babel_dl import ops
from babel_dl.core.initializers import Initializer
from babel_dl.errors import ArgumentError, ShapeError
from babel_dl.model.layers.activation import Function
from babel_dl.model.layers.arguments import Padding, Sizes
from babel_dl.model.layers.convolution import Convolution
from babel_dl.ops.tensor import Tensor, TensorLike


class _ConvolutionTranspose(Convolution):
    """What transposed convolutions share; the number of spatial axes is the subclass's."""

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Padding = "same",
        output_padding: Sizes = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        use_bias: bool = True,
        activation: str | Function | None = None,
        initializer: str | Initializer = "glorot_uniform",
    ) -> None:
        super().__init__(filters, kernel_size, stride, padding, dilation, groups, use_bias, activation, initializer)
        who, axes = type(self).__name__, self.num_spatial
        added = (output_padding,) * axes if isinstance(output_padding, int) else tuple(output_padding)
        if len(added) != axes or any(not isinstance(n, int) or isinstance(n, bool) or n < 0 for n in added):
            raise ArgumentError(f"{who} needs output_padding as a number of at least 0, or {axes} of them, and got {output_padding!r}.")
        for number, step, gap in zip(added, self.stride, self.dilation, strict=True):
            if number >= max(step, gap):
                raise ArgumentError(
                    f"{who} needs output_padding below its stride or dilation, {max(step, gap)}, and got {number}.\n"
                    f"  It chooses among the sizes that a convolution with this stride makes equal; for a larger image use ops.pad."
                )
        self.output_padding = added

    def apply_window(self, x: TensorLike) -> Tensor:
        """The windows that all places write, added up, with the offset.

        Raises:
            ShapeError: Padding cuts off everything.
        """
        cuts = tuple(map(self._cuts, range(self.num_spatial)))
        for n, step, size, gap, cut in zip(x.shape[1:-1], self.stride, self.kernel_size, self.dilation, cuts, strict=True):
            if n is not None and (n - 1) * step + (size - 1) * gap + 1 - sum(cut) < 1:
                raise ShapeError(f"{self.title} got spatial sizes {x.shape[1:-1]}, and its padding cuts off all that its windows write.")
        return ops.convolution_transpose(x, self.weight, self.bias, self.stride, cuts, self.dilation, self.groups)

    def _cuts(self, axis: int) -> tuple[int, int]:
        """What is cut off the full result before and after an axis."""
        reach = (self.kernel_size[axis] - 1) * self.dilation[axis] + 1
        if self.padding == "same":
            spare = reach - self.stride[axis]
            before = max(spare, 0) // 2
            after = spare - before
        else:
            before, after = (0, 0) if isinstance(self.padding, str) else self.padding[axis]
        return before, after - self.output_padding[axis]


class Conv1DTranspose(_ConvolutionTranspose):
    """Writes a learnt window at every place of a sequence. Takes the arguments of `Conv2DTranspose`, with one number where that has two.

    Shapes:
        x: (batch, length, channels).      returns: (batch, new_length, filters), the type that x and weight promote to.
        weight: (window, channels / groups, filters).      bias: (filters,).

    Raises:
        ArgumentError: A size is below 1, groups do not divide, `output_padding` is too large, or a padding or name is unknown.
        ShapeError: `x` has not 3 axes, or not the channels built for, or padding cuts off everything.

    Example:
        >>> Conv1DTranspose(8, 4, stride=2)(ops.zeros((4, 9, 2))).shape
        (4, 18, 8)

    Source: torch.nn.ConvTranspose1d in channels-last order; "same" as TensorFlow defines it.
    """

    num_spatial = 1


class Conv2DTranspose(_ConvolutionTranspose):
    """Writes a learnt window at every place of an image, `stride` apart, and adds up what overlaps: the way back of a convolution.

        full[b, i * stride + u * dilation, j * stride + v * dilation, f] += sum over c of weight[u, v, c, f] * x[b, i, j, c]

    Args:
        filters: Number of output channels; at least 1.
        kernel_size: Places the window covers, (height, width) or one number for both.
        stride: Distance of the windows; the image grows by it.
        padding: What is cut off the full result, (n - 1) * stride + (window - 1) * dilation + 1 places: "same" leaves n * stride of them
            and cuts the smaller half first, or adds at the end where windows leave gaps; "valid" cuts nothing; whole numbers are cut: one
            on all sides, one for each axis, or pairs (before, after).
        output_padding: Places that are left at the end besides; from 0 to below stride or dilation. A convolution with a stride makes
            one size of several; this says which to go back to.
        dilation: Distance between the places of a window.
        groups: In how many groups the channels are computed apart; divides input channels and `filters`.
        use_bias: Whether to add a learnt offset to each channel.
        activation: What to apply to the result: a name, a function or a layer; None for nothing.
        initializer: How the kernel starts; a name or a function of (shape, generator).

    Shapes:
        x: (batch, height, width, channels).      returns: (batch, new_height, new_width, filters), the type that x and weight promote to.
        weight: (window_h, window_w, channels / groups, filters).      bias: (filters,).

    Raises:
        ArgumentError: A size is below 1, groups do not divide, `output_padding` is too large, or a padding or name is unknown.
        ShapeError: `x` has not 4 axes, or not the channels built for, or padding cuts off everything.

    Example:
        >>> Conv2DTranspose(16, 4, stride=2)(ops.zeros((2, 7, 7, 32))).shape
        (2, 14, 14, 16)

    Source: torch.nn.ConvTranspose2d in channels-last order, whose weight is (channels, filters / groups, window_h, window_w); "same" as
        TensorFlow and Keras define it.
    """

    num_spatial = 2
