"""Functions of each element. Types promote as the array API says, Python numbers are weak, shapes broadcast.

Functions that have no whole-number result (`divide`, `exp`, `sqrt`, ...) turn integers into float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from babel_dl.backend.dtypes import promote, promote_scalar
from babel_dl.errors import ArgumentError
from babel_dl.ops.calls import as_bool, binary, unary
from babel_dl.ops.dispatch import accepts_natives, as_tensor, find_backend, wrap
from babel_dl.ops.tensor import Tensor, TensorLike

if TYPE_CHECKING:
    from babel_dl.ops.calls import TensorOrNumber


@accepts_natives
def add(x: TensorOrNumber, y: TensorOrNumber) -> Tensor:
    """x + y."""
    return binary("add", x, y)


@accepts_natives
def subtract(x: TensorOrNumber, y: TensorOrNumber) -> Tensor:
    """x - y."""
    return binary("subtract", x, y)


@accepts_natives
def multiply(x: TensorOrNumber, y: TensorOrNumber) -> Tensor:
    """x * y; integers wrap around."""
    return binary("multiply", x, y)


@accepts_natives
def divide(x: TensorOrNumber, y: TensorOrNumber) -> Tensor:
    """x / y; integers become float32."""
    return binary("divide", x, y)


@accepts_natives
def floor_divide(x: TensorOrNumber, y: TensorOrNumber) -> Tensor:
    """The quotient, rounded towards minus infinity."""
    return binary("floor_divide", x, y)


@accepts_natives
def remainder(x: TensorOrNumber, y: TensorOrNumber) -> Tensor:
    """x - floor(x / y) * y: the sign of `y`, as Python's `%`."""
    return binary("remainder", x, y)


@accepts_natives
def power(x: TensorOrNumber, y: TensorOrNumber) -> Tensor:
    """x to the power of y."""
    return binary("power", x, y)


@accepts_natives
def maximum(x: TensorOrNumber, y: TensorOrNumber) -> Tensor:
    """The larger one; NaN if one is NaN."""
    return binary("maximum", x, y)


@accepts_natives
def minimum(x: TensorOrNumber, y: TensorOrNumber) -> Tensor:
    """The smaller one; NaN if one is NaN."""
    return binary("minimum", x, y)


@accepts_natives
def equal(x: TensorOrNumber, y: TensorOrNumber) -> Tensor:
    """x == y, bool."""
    return binary("equal", x, y)


@accepts_natives
def not_equal(x: TensorOrNumber, y: TensorOrNumber) -> Tensor:
    """x != y, bool."""
    return binary("not_equal", x, y)


@accepts_natives
def less(x: TensorOrNumber, y: TensorOrNumber) -> Tensor:
    """x < y, bool."""
    return binary("less", x, y)


@accepts_natives
def less_equal(x: TensorOrNumber, y: TensorOrNumber) -> Tensor:
    """x <= y, bool."""
    return binary("less_equal", x, y)


@accepts_natives
def greater(x: TensorOrNumber, y: TensorOrNumber) -> Tensor:
    """x > y, bool."""
    return binary("greater", x, y)


@accepts_natives
def greater_equal(x: TensorOrNumber, y: TensorOrNumber) -> Tensor:
    """x >= y, bool."""
    return binary("greater_equal", x, y)


@accepts_natives
def bitwise_and(x: TensorOrNumber, y: TensorOrNumber) -> Tensor:
    """Bits set in both; on bool the logical and."""
    return binary("bitwise_and", x, y)


@accepts_natives
def bitwise_or(x: TensorOrNumber, y: TensorOrNumber) -> Tensor:
    """Bits set in one or both; on bool the logical or."""
    return binary("bitwise_or", x, y)


@accepts_natives
def bitwise_xor(x: TensorOrNumber, y: TensorOrNumber) -> Tensor:
    """Bits set in one; on bool the exclusive or."""
    return binary("bitwise_xor", x, y)


@accepts_natives
def negative(x: TensorOrNumber) -> Tensor:
    """-x."""
    return unary("negative", x)


@accepts_natives
def abs(x: TensorOrNumber) -> Tensor:
    """|x|."""
    return unary("abs", x)


@accepts_natives
def sign(x: TensorOrNumber) -> Tensor:
    """-1, 0 or 1."""
    return unary("sign", x)


@accepts_natives
def square(x: TensorOrNumber) -> Tensor:
    """x * x."""
    return unary("square", x)


@accepts_natives
def sqrt(x: TensorOrNumber) -> Tensor:
    """The square root."""
    return unary("sqrt", x)


@accepts_natives
def exp(x: TensorOrNumber) -> Tensor:
    """e to the x."""
    return unary("exp", x)


@accepts_natives
def expm1(x: TensorOrNumber) -> Tensor:
    """exp(x) - 1, exact near 0."""
    return unary("expm1", x)


@accepts_natives
def log(x: TensorOrNumber) -> Tensor:
    """The natural logarithm."""
    return unary("log", x)


@accepts_natives
def log1p(x: TensorOrNumber) -> Tensor:
    """log(1 + x), exact near 0."""
    return unary("log1p", x)


@accepts_natives
def sin(x: TensorOrNumber) -> Tensor:
    """The sine of radians."""
    return unary("sin", x)


@accepts_natives
def cos(x: TensorOrNumber) -> Tensor:
    """The cosine of radians."""
    return unary("cos", x)


@accepts_natives
def tanh(x: TensorOrNumber) -> Tensor:
    """The hyperbolic tangent."""
    return unary("tanh", x)


@accepts_natives
def erf(x: TensorOrNumber) -> Tensor:
    """The error function."""
    return unary("erf", x)


@accepts_natives
def floor(x: TensorOrNumber) -> Tensor:
    """The next whole number towards minus infinity."""
    return unary("floor", x)


@accepts_natives
def ceil(x: TensorOrNumber) -> Tensor:
    """The next whole number towards infinity."""
    return unary("ceil", x)


@accepts_natives
def round(x: TensorOrNumber) -> Tensor:
    """The nearest whole number; halves go to the even one."""
    return unary("round", x)


@accepts_natives
def isnan(x: TensorOrNumber) -> Tensor:
    """Whether it is not a number, bool."""
    return unary("isnan", x)


@accepts_natives
def isfinite(x: TensorOrNumber) -> Tensor:
    """Whether it is neither NaN nor infinite, bool."""
    return unary("isfinite", x)


@accepts_natives
def logical_not(x: TensorOrNumber) -> Tensor:
    """The opposite of the truth of each element, bool."""
    return unary("logical_not", x)


@accepts_natives
def logical_and(x: TensorOrNumber, y: TensorOrNumber) -> Tensor:
    """Whether both are true, bool."""
    return binary("bitwise_and", not_equal(x, 0), not_equal(y, 0))


@accepts_natives
def logical_or(x: TensorOrNumber, y: TensorOrNumber) -> Tensor:
    """Whether one or both are true, bool."""
    return binary("bitwise_or", not_equal(x, 0), not_equal(y, 0))


@accepts_natives
def bitwise_left_shift(x: TensorOrNumber, bits: int) -> Tensor:
    """x * 2**bits, without the bits that fall off.

    Raises:
        ArgumentError: `bits` is negative.
    """
    x = as_tensor(x)
    return wrap(x.backend.bitwise_left_shift(x.native, _checked_bits(bits)), x.backend)


@accepts_natives
def bitwise_right_shift(x: TensorOrNumber, bits: int) -> Tensor:
    """floor(x / 2**bits): arithmetic, the sign stays.

    Raises:
        ArgumentError: `bits` is negative.
    """
    x = as_tensor(x)
    return wrap(x.backend.bitwise_right_shift(x.native, _checked_bits(bits)), x.backend)


def _checked_bits(bits: int) -> int:
    if bits < 0:
        raise ArgumentError(f"A shift goes by 0 or more bits, and {bits} came. Shift the other way instead.")
    return bits


@accepts_natives
def astype(x: TensorOrNumber, dtype: str) -> Tensor:
    """The values in another type; floats are cut towards zero when they become integers.

    Raises:
        DTypeError: There is no such type.
    """
    return as_tensor(x).astype(dtype)


@accepts_natives
def clip(x: TensorOrNumber, low: float | None = None, high: float | None = None) -> Tensor:
    """The values, not below `low` and not above `high`."""
    x = as_tensor(x)
    if low is not None:
        x = binary("maximum", x, low)
    return x if high is None else binary("minimum", x, high)


@accepts_natives
def where(condition: TensorOrNumber, x: TensorOrNumber, y: TensorOrNumber) -> Tensor:
    """x where the condition holds, else y. The three broadcast; x and y promote to one type."""
    backend = find_backend((condition, x, y))
    condition = as_tensor(condition, backend)
    first, second = _same_type(x, y, backend)
    return wrap(backend.where(as_bool(condition.native, backend), first, second), backend)


def _same_type(x: Any, y: Any, backend: Any) -> tuple[Any, Any]:
    weak = (bool, int, float)
    if isinstance(x, weak) and isinstance(y, weak):
        x = as_tensor(x, backend)
    x = x if isinstance(x, weak) else as_tensor(x, backend)
    y = y if isinstance(y, weak) else as_tensor(y, backend)
    if not isinstance(x, TensorLike):
        dtype = promote_scalar(y.dtype, x)
        return x, y.astype(dtype).native
    if not isinstance(y, TensorLike):
        dtype = promote_scalar(x.dtype, y)
        return x.astype(dtype).native, y
    dtype = promote(x.dtype, y.dtype)
    return x.astype(dtype).native, y.astype(dtype).native


@accepts_natives
def stop_gradient(x: TensorLike) -> Tensor:
    """The value as a constant: no gradient flows through."""
    x = as_tensor(x)
    return wrap(x.backend.stop_gradient(x.native), x.backend)
