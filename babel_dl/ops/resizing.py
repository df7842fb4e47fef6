"""Images and sequences in another size, with one rule for where the places of the result lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from babel_dl.backend.dtypes import DEFAULT_FLOAT, DEFAULT_INTEGER, is_floating
from babel_dl.errors import ArgumentError, ShapeError, did_you_mean
from babel_dl.ops.dispatch import accepts_natives, as_tensor, wrap
from babel_dl.ops.shape import getitem, take
from babel_dl.ops.tensor import Tensor, TensorLike

RESIZING_MODES = ("bilinear", "nearest")


@accepts_natives
def resize(
    x: TensorLike,
    size: int | Sequence[int] | None = None,
    mode: str = "bilinear",
    scale: float | Sequence[float] | None = None,
) -> Tensor:
    """Images in another size; with one spatial axis sequences in another length.

    The centre of place `o` among `m` lies at p = (o + 1/2) * n / m - 1/2 among the n places of `x`. Places of a kind cover equal parts of
    the image, whose edges stay where they are.

        "bilinear"   the two neighbours of p along each axis, by their distance; p is cut to [0, n - 1]. Nothing is smoothed before.
        "nearest"    the place floor((2 * o + 1) * n / (2 * m)), in whole numbers; between two places the later one

    Args:
        x: (batch, height, width, channels) or (batch, length, channels).
        size: Places along each spatial axis, or one number for all; at least 1.
        mode: "bilinear", or "nearest".
        scale: In place of a size: how many times as many places, above 0; what comes out is rounded down.

    Returns:
        (batch, *size, channels), in the type of `x`; whole numbers become float32 where they are interpolated.

    Raises:
        ArgumentError: There is no such mode; or size and scale are both given or both missing; or one is no positive number.
        ShapeError: `x` has not 3 or 4 axes, or an axis that is empty or of unknown size.

    Example:
        >>> from babel_dl import ops
        >>> ops.resize(ops.asarray([[[0.0], [1.0]]]), 4).numpy().ravel().tolist()
        [0.0, 0.25, 0.75, 1.0]

    Source: torch.nn.functional.interpolate with align_corners=False, where "nearest" is "nearest-exact".
    """
    x = as_tensor(x)
    if mode not in RESIZING_MODES:
        raise ArgumentError(f"ops.resize has no mode {mode!r}.{did_you_mean(mode, RESIZING_MODES)}")
    shape = x.shape
    if len(shape) not in (3, 4):
        raise ShapeError(f"ops.resize needs (batch, height, width, channels) or (batch, length, channels), and got shape {shape}.")
    spatial = shape[1:-1]
    if not all(spatial):
        raise ShapeError(f"ops.resize got shape {shape}; spatial axes must have known sizes of at least 1.")
    wanted = _wanted(size, scale, spatial)
    if wanted == spatial:
        return x if mode == "nearest" or is_floating(x.dtype) else x.astype(DEFAULT_FLOAT)
    if mode == "nearest":
        return _nearest(x, spatial, wanted)
    floating = x if is_floating(x.dtype) else x.astype(DEFAULT_FLOAT)
    return wrap(x.backend.interpolate(floating.native, wanted), x.backend)


def _wanted(size: Any, scale: Any, spatial: tuple[int, ...]) -> tuple[int, ...]:
    if (size is None) == (scale is None):
        raise ArgumentError(f"ops.resize needs either size or scale, and got size={size!r} and scale={scale!r}.")
    given, what = (size, "size") if scale is None else (scale, "scale")
    if type(given) is int and given > 0:  # the common case, without a way to go wrong
        return (given,) * len(spatial) if scale is None else tuple([n * given for n in spatial])
    kinds = (int,) if scale is None else (int, float)
    values = tuple(given) if isinstance(given, (tuple, list)) else (given,) * len(spatial)
    if len(values) != len(spatial) or any(isinstance(v, bool) or not isinstance(v, kinds) or not v > 0 for v in values):
        kind = "whole number" if scale is None else "number"
        raise ArgumentError(f"ops.resize needs {what} as a {kind} above 0, or {len(spatial)} of them, and got {given!r}.")
    if scale is None:
        return values
    wanted = tuple(int(n * factor) for n, factor in zip(spatial, values, strict=True))
    if not all(wanted):
        raise ArgumentError(f"ops.resize with scale={scale!r} leaves nothing of spatial sizes {spatial}.")
    return wanted


def _nearest(x: TensorLike, spatial: tuple[int, ...], wanted: tuple[int, ...]) -> Tensor:
    factors = tuple([m // n if m % n == 0 else 1 for n, m in zip(spatial, wanted, strict=True)])
    for axis, (n, m, factor) in enumerate(zip(spatial, wanted, factors, strict=True), 1):
        if factor > 1 or n == m:
            continue
        if n % m == 0:  # the later one of the two in the middle of each `step` places
            step = n // m
            x = getitem(x, (slice(None),) * axis + (slice(step // 2, None, step),))
        else:
            places = wrap(x.backend.arange(0, m, 1, DEFAULT_INTEGER), x.backend)
            x = take(x, (2 * places + 1) * n // (2 * m), axis)
    return x if max(factors) == 1 else wrap(x.backend.upsample(x.native, factors), x.backend)  # type: ignore[return-value]
