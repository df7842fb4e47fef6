"""Functions that move elements and change none."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from babel_dl.backend.contract import Native, Shape
from babel_dl.errors import BackendError


class JaxShape(Shape):
    """Reshaping, joining, indexing. Most are the primitives of `jax.lax`, which need no argument worked out first."""

    def reshape(self, x: Native, shape: tuple[int, ...]) -> Native:
        """`jnp.reshape`."""
        return x.reshape(shape)

    def permute_dims(self, x: Native, axes: tuple[int, ...]) -> Native:
        """`lax.transpose`."""
        return lax.transpose(x, axes)

    def expand_dims(self, x: Native, axis: int) -> Native:
        """`lax.expand_dims`."""
        return lax.expand_dims(x, (axis,))

    def squeeze(self, x: Native, axes: tuple[int, ...]) -> Native:
        """`lax.squeeze`."""
        return lax.squeeze(x, axes)

    def broadcast_to(self, x: Native, shape: tuple[int, ...]) -> Native:
        """`jnp.broadcast_to`."""
        return jnp.broadcast_to(x, shape)

    def concat(self, xs: Sequence[Native], axis: int) -> Native:
        """`lax.concatenate`."""
        return lax.concatenate(xs, axis)

    def stack(self, xs: Sequence[Native], axis: int) -> Native:
        """`jnp.stack`."""
        return jnp.stack(xs, axis)

    def split(self, x: Native, sizes: tuple[int, ...], axis: int) -> tuple[Native, ...]:
        """`lax.split`."""
        return tuple(lax.split(x, sizes, axis))

    def flip(self, x: Native, axes: tuple[int, ...]) -> Native:
        """`lax.rev`."""
        return lax.rev(x, axes)

    def tile(self, x: Native, repetitions: tuple[int, ...]) -> Native:
        """`jnp.tile`."""
        return jnp.tile(x, repetitions)

    def pad(self, x: Native, widths: tuple[tuple[int, int], ...], value: float) -> Native:
        """`lax.pad`."""
        return lax.pad(x, np.asarray(value, x.dtype), [(before, after, 0) for before, after in widths])

    def getitem(self, x: Native, index: tuple[Any, ...]) -> Native:
        """`x[index]`.

        Raises:
            BackendError: The index is a bool tensor without values: how many elements it picks is not known in a traced function.
        """
        if any(isinstance(part, Tracer) and part.dtype == np.bool_ for part in index):
            raise BackendError(
                "A tensor was indexed by a bool tensor while the function is traced: the result's shape would depend on values.\n"
                "  Keep the shape with where(condition, x, 0), or index outside of the compiled function."
            )
        return x[index]

    def take(self, x: Native, indices: Native, axis: int) -> Native:
        """`jnp.take`; an index that does not exist gives NaN."""
        return jnp.take(x, indices, axis)

    def take_along_axis(self, x: Native, indices: Native, axis: int) -> Native:
        """`jnp.take_along_axis`; an index that does not exist gives NaN."""
        return jnp.take_along_axis(x, indices, axis)
