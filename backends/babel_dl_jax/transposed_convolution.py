"""Transposed convolutions.

Left to itself, JAX computes the kernel's gradient as a convolution of the input with all its zeros in between, 10 to 40 times slower on a
CPU than it must be. What it does for a plain convolution is fast; and the gradients of a transposed one are those of the plain
convolution that it transposes, with input and result exchanged.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from babel_dl.backend.contract import Native, Pairs

_LAYOUT = ("NHWC", "HWIO", "NHWC")
Sizes = tuple[int, ...]


def convolve_transposed(x: Native, kernel: Native, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int) -> Native:
    """See `Neural.convolution_transpose`, without an offset; one spatial axis goes as two, the first of size 1."""
    if len(stride) == 1:
        wide = convolve_transposed(x[:, None], kernel[None], (1, *stride), ((0, 0), *padding), (1, *dilation), groups)
        return lax.squeeze(wide, (1,))
    return _transposed(x, kernel, stride, padding, dilation, groups)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4, 5))
def _transposed(x: Native, kernel: Native, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int) -> Native:
    """Forward mode (`jax.jvp`) is not defined for it."""
    reaches = [(size - 1) * gap + 1 for size, gap in zip(kernel.shape[:2], dilation, strict=True)]
    is_large = any(n < reach for n, reach in zip(x.shape[1:3], reaches, strict=True))
    if is_large and groups == 1 and dilation == (1, 1) and stride != (1, 1):
        return _by_phases(x, kernel, stride, padding)
    around = [(reach - 1 - before, reach - 1 - after) for reach, (before, after) in zip(reaches, padding, strict=True)]
    return lax.conv_general_dilated(
        x, kernel[::-1, ::-1], (1, 1), around, stride, dilation, dimension_numbers=_LAYOUT, feature_group_count=groups
    )


def _transposed_forward(
    x: Native, kernel: Native, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int
) -> tuple[Native, tuple[Native, Native]]:
    return _transposed(x, kernel, stride, padding, dilation, groups), (x, kernel)


def _transposed_backward(
    stride: Sizes, padding: Pairs, dilation: Sizes, groups: int, residuals: tuple[Native, Native], gradient: Native
) -> tuple[Native, Native]:
    x, kernel = residuals

    def plain(kernel: Native) -> Native:
        return lax.conv_general_dilated(
            gradient, _exchanged(kernel, groups), stride, padding, None, dilation, dimension_numbers=_LAYOUT, feature_group_count=groups
        )

    into_x, transpose = jax.vjp(plain, kernel)
    return into_x, transpose(x)[0]


_transposed.defvjp(_transposed_forward, _transposed_backward)


def _exchanged(kernel: Native, groups: int) -> Native:
    """The kernel with inputs and outputs of each group exchanged: (*window, in / groups, out) to (*window, out / groups, in)."""
    height, width, part, out = kernel.shape
    apart = kernel.reshape(height, width, part, groups, out // groups)
    return apart.transpose(0, 1, 4, 3, 2).reshape(height, width, out // groups, groups * part)


def _by_phases(x: Native, kernel: Native, stride: Sizes, padding: Pairs) -> Native:
    """One convolution with stride 1 that gives the results of all places between two steps as channels; then they are put in a row.

    XLA falls back to a loop, up to 50 times slower, where a window is larger than the image; here the window is smaller by the stride.
    """
    (down, right), (height, width, channels, out) = stride, kernel.shape
    rows, columns = -(-height // down), -(-width // right)
    kernel = jnp.pad(kernel, ((0, rows * down - height), (0, columns * right - width), (0, 0), (0, 0)))
    phases = kernel.reshape(rows, down, columns, right, channels, out).transpose(0, 2, 4, 1, 3, 5)[::-1, ::-1]
    phases = phases.reshape(rows, columns, channels, down * right * out)
    found = lax.conv_general_dilated(x, phases, (1, 1), ((rows - 1,) * 2, (columns - 1,) * 2), dimension_numbers=_LAYOUT)
    batch, high, wide, _ = found.shape
    apart = found.reshape(batch, high, wide, down, right, out).transpose(0, 1, 3, 2, 4, 5)
    full = apart.reshape(batch, high * down, wide * right, out)
    sizes = ((x.shape[1] - 1) * down + height, (x.shape[2] - 1) * right + width)
    cuts = [(-before, size - after - length, 0) for size, length, (before, after) in zip(sizes, full.shape[1:3], padding, strict=True)]
    return lax.pad(full, np.zeros((), x.dtype), ((0, 0, 0), *cuts, (0, 0, 0)))
