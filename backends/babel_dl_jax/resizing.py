"""Images in another size, as sums of shifted picks.

XLA multiplies with the matrix that `jax.image.resize` makes, which has two entries in a row that are not 0: for many channels that is nine
times slower than to pick two neighbours and weigh them. The gradient of picking would be a scatter, forty times slower; the transpose of a
sum of picks is a sum of picks again, and that is what it is told to be.
"""

from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from babel_dl.backend.contract import Native
from babel_dl_jax.normalization import wide_dtype

_MAX_PICKS = 8
"""Up to how many picks are faster than a matrix."""


def upsample(x: Native, factors: tuple[int, ...]) -> Native:
    """See `Neural.upsample`."""
    batch, *sizes, channels = x.shape
    apart = [length for size in sizes for length in (size, 1)]
    repeated = [length for size, factor in zip(sizes, factors, strict=True) for length in (size, factor)]
    copies = jnp.broadcast_to(x.reshape(batch, *apart, channels), (batch, *repeated, channels))
    return copies.reshape(batch, *[size * factor for size, factor in zip(sizes, factors, strict=True)], channels)


def interpolate(x: Native, size: tuple[int, ...]) -> Native:
    """See `Neural.interpolate`; halves in float32."""
    y: Native = x.astype(wide_dtype(x))
    for axis, count in enumerate(size, 1):
        if x.shape[axis] != count:
            y = _blend(y, axis, x.shape[axis], count, False)
    return y.astype(x.dtype)


@partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3, 4))
def _blend(x: Native, axis: int, places: int, count: int, transposed: bool) -> Native:
    """Interpolates one axis from `places` to `count`; transposed, the way back that gradients go. Not defined for `jax.jvp`."""
    picks, shares = _picks(places, count, transposed)
    if len(picks) > _MAX_PICKS:
        matrix = _matrix(places, count).astype(x.dtype)
        product = jnp.tensordot(x, matrix, ((axis,), (0 if transposed else 1,)), precision=lax.Precision.HIGHEST)
        return jnp.moveaxis(product, -1, axis)
    along = [-1 if a == axis else 1 for a in range(x.ndim)]
    parts = [jnp.take(x, pick, axis, mode="clip") * share.astype(x.dtype).reshape(along) for pick, share in zip(picks, shares, strict=True)]
    return sum(parts[1:], parts[0])


def _blend_forward(x: Native, axis: int, places: int, count: int, transposed: bool) -> tuple[Native, None]:
    return _blend(x, axis, places, count, transposed), None


def _blend_backward(axis: int, places: int, count: int, transposed: bool, _: None, gradient: Native) -> tuple[Native]:
    return (_blend(gradient, axis, places, count, not transposed),)


_blend.defvjp(_blend_forward, _blend_backward)


def _matrix(places: int, count: int) -> np.ndarray:
    """The share that each of `places` has in each of `count` results."""
    centres = np.clip((np.arange(count) + 0.5) * places / count - 0.5, 0, places - 1)
    return np.maximum(1 - np.abs(centres[:, None] - np.arange(places)), 0)


@lru_cache(maxsize=256)
def _picks(places: int, count: int, transposed: bool) -> tuple[np.ndarray, np.ndarray]:
    """For each result the places that have a share in it, and the shares: both (most places of any result, results)."""
    matrix = _matrix(places, count).T if transposed else _matrix(places, count)
    most = int(np.count_nonzero(matrix, axis=1).max())
    picks = np.argsort(matrix == 0, axis=1, kind="stable")[:, :most]
    return picks.T.astype(np.int32), np.take_along_axis(matrix, picks, 1).T
