"""Functions that join many elements into one."""

import jax.numpy as jnp
import numpy as np
from jax import lax

from babel_dl.backend.contract import Native, Reduction
from babel_dl_jax.narrow import in_float32, is_narrow


class JaxReduction(Reduction):
    """Sums, extremes, positions and products. Where numpy would widen small integers, the dtype is said."""

    def sum(self, x: Native, axes: tuple[int, ...], keepdims: bool) -> Native:
        """`jnp.sum`; halves are added up in float32."""
        if is_narrow(x):
            return in_float32(self.sum, x, axes, keepdims)
        return jnp.sum(x, axes, x.dtype, keepdims=keepdims)

    def mean(self, x: Native, axes: tuple[int, ...], keepdims: bool) -> Native:
        """`jnp.mean`."""
        return jnp.mean(x, axes, keepdims=keepdims)

    def prod(self, x: Native, axes: tuple[int, ...], keepdims: bool) -> Native:
        """`jnp.prod`; halves in float32."""
        if is_narrow(x):
            return in_float32(self.prod, x, axes, keepdims)
        return jnp.prod(x, axes, x.dtype, keepdims=keepdims)

    def max(self, x: Native, axes: tuple[int, ...], keepdims: bool) -> Native:
        """`jnp.max`."""
        return jnp.max(x, axes, keepdims=keepdims)

    def min(self, x: Native, axes: tuple[int, ...], keepdims: bool) -> Native:
        """`jnp.min`."""
        return jnp.min(x, axes, keepdims=keepdims)

    def any(self, x: Native, axes: tuple[int, ...], keepdims: bool) -> Native:
        """`jnp.any`."""
        return jnp.any(x, axes, keepdims=keepdims)

    def all(self, x: Native, axes: tuple[int, ...], keepdims: bool) -> Native:
        """`jnp.all`."""
        return jnp.all(x, axes, keepdims=keepdims)

    def argmax(self, x: Native, axis: int, keepdims: bool) -> Native:
        """`lax.argmax`."""
        found = lax.argmax(x, axis, np.int32)
        return lax.expand_dims(found, (axis,)) if keepdims else found

    def argmin(self, x: Native, axis: int, keepdims: bool) -> Native:
        """`lax.argmin`."""
        found = lax.argmin(x, axis, np.int32)
        return lax.expand_dims(found, (axis,)) if keepdims else found

    def cumulative_sum(self, x: Native, axis: int) -> Native:
        """`lax.cumsum`; halves are added up in float32."""
        return in_float32(lax.cumsum, x, axis) if is_narrow(x) else lax.cumsum(x, axis)

    def argsort(self, x: Native, axis: int, descending: bool) -> Native:
        """`jnp.argsort`."""
        return jnp.argsort(x, axis, stable=True, descending=descending).astype(np.int32)

    def matmul(self, x: Native, y: Native) -> Native:
        """`jnp.matmul`, in JAX's default precision."""
        return jnp.matmul(x, y)
