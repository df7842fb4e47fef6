"""Functions of each element: those of `jax.numpy`, which JAX compiles once and calls from C."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from babel_dl.backend.contract import Elementwise, Native
from babel_dl_jax.binding import bound
from babel_dl_jax.narrow import broadcasts_narrow, in_float32

Operand = Any


def _binary(function: Callable[[Operand, Operand], Native]) -> Any:
    """The function; a Python integer above 2**31 takes the tensor's type first: JAX would read it as an int32."""

    @wraps(function)
    def call(x: Operand, y: Operand) -> Native:
        try:
            return function(x, y)
        except OverflowError:
            return function(*_held(x, y))

    return bound(call)


def _broadcasting(function: Callable[[Operand, Operand], Native]) -> Any:
    """As `_binary`; halves of different shapes in float32, because the gradient of what is broadcast adds up."""

    @wraps(function)
    def call(x: Operand, y: Operand) -> Native:
        if broadcasts_narrow(x, y):
            return in_float32(function, x, y)
        try:
            return function(x, y)
        except OverflowError:
            return function(*_held(x, y))

    return bound(call)


def _held(x: Operand, y: Operand) -> tuple[Operand, Operand]:
    if isinstance(x, int):
        return np.asarray(x, y.dtype), y
    return (x, np.asarray(y, x.dtype)) if isinstance(y, int) else (x, y)


def _whole(function: Callable[[Native], Native]) -> Any:
    """The function for floats; integers are whole already."""

    @wraps(function)
    def call(x: Native) -> Native:
        return function(x) if jnp.issubdtype(x.dtype, jnp.floating) else x

    return bound(call)


class JaxElementwise(Elementwise):
    """Arithmetic, comparisons and elementary functions."""

    add = _broadcasting(jnp.add)
    subtract = _broadcasting(jnp.subtract)
    multiply = _broadcasting(jnp.multiply)
    divide = _broadcasting(jnp.divide)
    floor_divide = _binary(jnp.floor_divide)
    remainder = _binary(jnp.remainder)

    def power(self, x: Operand, y: Operand) -> Native:
        """`jnp.power`; a small whole exponent of a float is repeated multiplication, as elsewhere."""
        if isinstance(y, float) and y.is_integer() and abs(y) <= 4:
            return lax.integer_pow(x, int(y))
        return jnp.power(x, y)

    maximum = _binary(jnp.maximum)
    minimum = _binary(jnp.minimum)
    equal = _binary(jnp.equal)
    not_equal = _binary(jnp.not_equal)
    less = _binary(jnp.less)
    less_equal = _binary(jnp.less_equal)
    greater = _binary(jnp.greater)
    greater_equal = _binary(jnp.greater_equal)
    bitwise_and = _binary(jnp.bitwise_and)
    bitwise_or = _binary(jnp.bitwise_or)
    bitwise_xor = _binary(jnp.bitwise_xor)
    bitwise_left_shift = bound(jnp.left_shift)
    bitwise_right_shift = bound(jnp.right_shift)
    logical_not = bound(jnp.logical_not)
    negative = bound(jnp.negative)
    abs = bound(jnp.abs)
    sign = bound(jnp.sign)
    square = bound(jnp.square)
    sqrt = bound(jnp.sqrt)
    exp = bound(jnp.exp)
    expm1 = bound(jnp.expm1)
    log = bound(jnp.log)
    log1p = bound(jnp.log1p)
    sin = bound(jnp.sin)
    cos = bound(jnp.cos)
    tanh = bound(jnp.tanh)
    erf = bound(lax.erf)
    floor = _whole(jnp.floor)
    ceil = _whole(jnp.ceil)
    round = _whole(jnp.round)
    isnan = bound(jnp.isnan)
    isfinite = bound(jnp.isfinite)

    def where(self, condition: Native, x: Operand, y: Operand) -> Native:
        """`jnp.where`; a number takes the tensor's type."""
        try:
            return jnp.where(condition, x, y)
        except OverflowError:
            return jnp.where(condition, *_held(x, y))
