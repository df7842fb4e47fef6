"""Pooling as arithmetic on shifted views, one for each place of the window.

XLA's own `reduce_window` is slow on CPUs, its gradient very slow (10 to 20 times for a 2x2 window), and knows no dilation in reverse.
It is used for large windows only, where there would be too many views.
"""

from functools import partial, reduce
from itertools import product
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from babel_dl.backend.contract import Native, Pairs
from babel_dl_jax.narrow import in_float32, is_narrow

_MAX_VIEWS = 64
Sizes = tuple[int, ...]


def max_pool(x: Native, window: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes) -> Native:
    """See `Neural.max_pool`. Halves in float32: on a CPU XLA compares them one by one."""
    if is_narrow(x):
        return in_float32(max_pool, x, window, stride, padding, dilation)
    ones = (1,) * len(window)
    if prod(window) > _MAX_VIEWS and dilation == ones:
        return _reduce_max(x, window, stride, padding)
    if _is_tiling(window, stride, padding) and dilation == ones:
        return _max_of_tiles(x, window)
    return _first_largest(_views(x, window, stride, padding, dilation, -np.inf))[0]


def _reduce_max(x: Native, window: Sizes, stride: Sizes, padding: Pairs) -> Native:
    least = -np.inf if jnp.issubdtype(x.dtype, jnp.floating) else jnp.iinfo(x.dtype).min
    return lax.reduce_window(x, np.asarray(least, x.dtype), lax.max, (1, *window, 1), (1, *stride, 1), ((0, 0), *padding, (0, 0)))


def average_pool(x: Native, window: Sizes, stride: Sizes, padding: Pairs, count_padding: bool) -> Native:
    """See `Neural.average_pool`. Halves in float32."""
    if is_narrow(x):
        return in_float32(average_pool, x, window, stride, padding, count_padding)
    if _is_tiling(window, stride, padding):
        return jnp.mean(_tiles(x, window), _inner_axes(window))
    total = _window_sum(x, window, stride, padding)
    if count_padding or not any(map(any, padding)):
        return total / prod(window)
    return total / _counts(x.shape[1:-1], window, stride, padding)[None, ..., None].astype(x.dtype)


def _window_sum(x: Native, window: Sizes, stride: Sizes, padding: Pairs) -> Native:
    if prod(window) > _MAX_VIEWS:
        return lax.reduce_window(x, np.zeros((), x.dtype), lax.add, (1, *window, 1), (1, *stride, 1), ((0, 0), *padding, (0, 0)))
    return reduce(lax.add, _views(x, window, stride, padding, (1,) * len(window), 0.0))


def _counts(sizes: Sizes, window: Sizes, stride: Sizes, padding: Pairs) -> np.ndarray:
    """How many real elements each window has: the product of what it has along each axis."""
    counts = np.ones((), np.int64)
    for size, width, step, (before, after) in zip(sizes, window, stride, padding, strict=True):
        starts = np.arange(0, size + before + after - width + 1, step) - before
        along = np.minimum(starts + width, size) - np.maximum(starts, 0)
        counts = counts[..., None] * along
    return counts


def _is_tiling(window: Sizes, stride: Sizes, padding: Pairs) -> bool:
    return window == stride and not any(map(any, padding))


def _views(x: Native, window: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes, fill: float) -> list[Native]:
    """For each place of the window, in row-major order, the elements that the windows have there: (batch, *out, channels)."""
    padded = lax.pad(x, np.asarray(fill, x.dtype), ((0, 0, 0), *[(before, after, 0) for before, after in padding], (0, 0, 0)))
    sizes = padded.shape[1:-1]
    rests = [size - (width - 1) * gap for size, width, gap in zip(sizes, window, dilation, strict=True)]
    spans = [(rest - 1) // step * step + 1 for rest, step in zip(rests, stride, strict=True)]
    views = []
    for place in product(*map(range, window)):
        start = [offset * gap for offset, gap in zip(place, dilation, strict=True)]
        limit = [first + span for first, span in zip(start, spans, strict=True)]
        views.append(lax.slice(padded, (0, *start, 0), (x.shape[0], *limit, x.shape[-1]), (1, *stride, 1)))
    return views


def _first_largest(views: list[Native]) -> tuple[Native, Native]:
    """The largest of each window, and its first place in row-major order. A NaN counts as largest."""
    dtype = np.uint8 if len(views) < 256 else np.int32
    largest, place = views[0], jnp.zeros(views[0].shape, dtype)
    for number, view in enumerate(views[1:], 1):
        is_larger = (view > largest) | (view != view)
        largest = jnp.where(is_larger, view, largest)
        place = jnp.where(is_larger, dtype(number), place)
    return largest, place


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _max_of_tiles(x: Native, window: Sizes) -> Native:
    """Windows side by side. Its derivative is an elementwise choice, where that of overlapping views would be a sum of padded ones.

    Where no gradient is asked for, XLA's own reduction is quicker.
    """
    return _reduce_max(x, window, window, ((0, 0),) * len(window))


@_max_of_tiles.defjvp
def _max_of_tiles_jvp(window: Sizes, primals: tuple[Native], tangents: tuple[Native]) -> tuple[Native, Native]:
    views = _views(primals[0], window, window, ((0, 0),) * len(window), (1,) * len(window), 0.0)
    largest, place = _first_largest(views)
    inner = _inner_axes(window)
    numbers = np.arange(prod(window), dtype=place.dtype).reshape([width for size in window for width in (1, size)])
    is_taken = jnp.expand_dims(place, inner) == numbers[..., None]
    return largest, jnp.sum(jnp.where(is_taken, _tiles(tangents[0], window), 0), inner)


def _tiles(x: Native, window: Sizes) -> Native:
    """(batch, out, window, out, window, ..., channels); a rest that fills no window is cut off."""
    counts = [size // width for size, width in zip(x.shape[1:-1], window, strict=True)]
    kept = x[(slice(None), *[slice(count * width) for count, width in zip(counts, window, strict=True)])]
    return kept.reshape((x.shape[0], *[size for pair in zip(counts, window, strict=True) for size in pair], x.shape[-1]))


def _inner_axes(window: Sizes) -> Sizes:
    return tuple(range(2, 2 * len(window) + 1, 2))
