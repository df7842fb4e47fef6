"""Functions of each element. Most are one kernel; the rest fill what TensorFlow has no kernel for."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from babel_dl.backend.contract import Elementwise, Native
from babel_dl.backend.contract.elementwise import Operand
from babel_dl_tensorflow.constants import scalar
from babel_dl_tensorflow.dtypes import UNSIGNED
from babel_dl_tensorflow.narrow import in_float32

raw: Any = tf.raw_ops

_NUMBERS = (float, int)
_BFLOAT16, _FLOAT16 = tf.bfloat16, tf.float16


def _pair(x: Operand, y: Operand) -> tuple[Native, Native]:
    """Two tensors of one type: a graph would take a leading Python number for a float32 or int32."""
    if isinstance(y, _NUMBERS):
        return x, scalar(y, x.dtype)
    if isinstance(x, _NUMBERS):
        return scalar(x, y.dtype), y
    return x, y


def _spreads_narrow(x: Operand, y: Operand) -> bool:
    """Whether both are tensors of a narrow float, and one is broadcast: its gradient adds up."""
    if isinstance(x, _NUMBERS) or isinstance(y, _NUMBERS):
        return False
    dtype = x.dtype
    return (dtype is _BFLOAT16 or dtype is _FLOAT16) and x.shape != y.shape


def _ordered(x: Operand, y: Operand) -> tuple[Native, Native]:
    """As `_pair`, in a type that has an order: bool has none in TensorFlow."""
    x, y = _pair(x, y)
    if x.dtype is tf.bool:
        return raw.Cast(x=x, DstT=tf.uint8), raw.Cast(x=y, DstT=tf.uint8)
    return x, y


class TensorFlowElementwise(Elementwise):
    """Arithmetic, comparisons and elementary functions."""

    def add(self, x: Operand, y: Operand) -> Native:
        """`AddV2`; on bool the logical or."""
        if _spreads_narrow(x, y):
            return in_float32(self.add, x, y)
        x, y = _pair(x, y)
        return raw.LogicalOr(x=x, y=y) if x.dtype is tf.bool else raw.AddV2(x=x, y=y)

    def subtract(self, x: Operand, y: Operand) -> Native:
        """`Sub`."""
        if _spreads_narrow(x, y):
            return in_float32(self.subtract, x, y)
        x, y = _pair(x, y)
        return raw.Sub(x=x, y=y)

    def multiply(self, x: Operand, y: Operand) -> Native:
        """`Mul`; on bool the logical and."""
        if _spreads_narrow(x, y):
            return in_float32(self.multiply, x, y)
        x, y = _pair(x, y)
        return raw.LogicalAnd(x=x, y=y) if x.dtype is tf.bool else raw.Mul(x=x, y=y)

    def divide(self, x: Operand, y: Operand) -> Native:
        """`RealDiv`."""
        if _spreads_narrow(x, y):
            return in_float32(self.divide, x, y)
        x, y = _pair(x, y)
        return raw.RealDiv(x=x, y=y)

    def floor_divide(self, x: Operand, y: Operand) -> Native:
        """`FloorDiv`."""
        x, y = _pair(x, y)
        return raw.FloorDiv(x=x, y=y)

    def remainder(self, x: Operand, y: Operand) -> Native:
        """`FloorMod`."""
        x, y = _pair(x, y)
        return raw.FloorMod(x=x, y=y)

    def power(self, x: Operand, y: Operand) -> Native:
        """`Pow`; that of unsigned integers in int64."""
        x, y = _pair(x, y)
        dtype = x.dtype
        if dtype not in UNSIGNED:
            return raw.Pow(x=x, y=y)
        # Products wrap around alike, whatever the sign and above 2**width.
        return raw.Cast(x=raw.Pow(x=raw.Cast(x=x, DstT=tf.int64), y=raw.Cast(x=y, DstT=tf.int64)), DstT=dtype)

    def maximum(self, x: Operand, y: Operand) -> Native:
        """`Maximum`; on bool the logical or."""
        x, y = _pair(x, y)
        return raw.LogicalOr(x=x, y=y) if x.dtype is tf.bool else _both_ways(raw.Maximum, x, y)

    def minimum(self, x: Operand, y: Operand) -> Native:
        """`Minimum`; on bool the logical and."""
        x, y = _pair(x, y)
        return raw.LogicalAnd(x=x, y=y) if x.dtype is tf.bool else _both_ways(raw.Minimum, x, y)

    def equal(self, x: Operand, y: Operand) -> Native:
        """`Equal`, also with a number on one side."""
        x, y = _pair(x, y)
        return raw.Equal(x=x, y=y)

    def not_equal(self, x: Operand, y: Operand) -> Native:
        """`NotEqual`, also with a number on one side."""
        x, y = _pair(x, y)
        return raw.NotEqual(x=x, y=y)

    def less(self, x: Operand, y: Operand) -> Native:
        """`Less`; bool is compared as uint8."""
        x, y = _ordered(x, y)
        return raw.Less(x=x, y=y)

    def less_equal(self, x: Operand, y: Operand) -> Native:
        """`LessEqual`; bool is compared as uint8."""
        x, y = _ordered(x, y)
        return raw.LessEqual(x=x, y=y)

    def greater(self, x: Operand, y: Operand) -> Native:
        """`Greater`; bool is compared as uint8."""
        x, y = _ordered(x, y)
        return raw.Greater(x=x, y=y)

    def greater_equal(self, x: Operand, y: Operand) -> Native:
        """`GreaterEqual`; bool is compared as uint8."""
        x, y = _ordered(x, y)
        return raw.GreaterEqual(x=x, y=y)

    def bitwise_and(self, x: Operand, y: Operand) -> Native:
        """`BitwiseAnd`; on bool `LogicalAnd`."""
        x, y = _pair(x, y)
        return raw.LogicalAnd(x=x, y=y) if x.dtype is tf.bool else raw.BitwiseAnd(x=x, y=y)

    def bitwise_or(self, x: Operand, y: Operand) -> Native:
        """`BitwiseOr`; on bool `LogicalOr`."""
        x, y = _pair(x, y)
        return raw.LogicalOr(x=x, y=y) if x.dtype is tf.bool else raw.BitwiseOr(x=x, y=y)

    def bitwise_xor(self, x: Operand, y: Operand) -> Native:
        """`BitwiseXor`; on bool `NotEqual`."""
        x, y = _pair(x, y)
        return raw.NotEqual(x=x, y=y) if x.dtype is tf.bool else raw.BitwiseXor(x=x, y=y)

    def bitwise_left_shift(self, x: Native, y: int) -> Native:
        """`LeftShift` by a tensor of the type of `x`."""
        return raw.LeftShift(x=x, y=scalar(y, x.dtype))

    def bitwise_right_shift(self, x: Native, y: int) -> Native:
        """`RightShift` by a tensor of the type of `x`."""
        return raw.RightShift(x=x, y=scalar(y, x.dtype))

    def logical_not(self, x: Native) -> Native:
        """`LogicalNot`."""
        return raw.LogicalNot(x=x)

    def negative(self, x: Native) -> Native:
        """`Neg`; an unsigned integer is taken from 0, and wraps around."""
        return raw.Sub(x=scalar(0, x.dtype), y=x) if x.dtype in UNSIGNED else raw.Neg(x=x)

    def abs(self, x: Native) -> Native:
        """`Abs`; an unsigned integer is its own."""
        return x if x.dtype in UNSIGNED else raw.Abs(x=x)

    def sign(self, x: Native) -> Native:
        """`Sign`; of an unsigned integer the smaller one of it and 1."""
        return raw.Minimum(x=x, y=scalar(1, x.dtype)) if x.dtype in UNSIGNED else raw.Sign(x=x)

    def square(self, x: Native) -> Native:
        """`Square`."""
        return raw.Square(x=x)

    def sqrt(self, x: Native) -> Native:
        """`Sqrt`."""
        return raw.Sqrt(x=x)

    def exp(self, x: Native) -> Native:
        """`Exp`."""
        return raw.Exp(x=x)

    def expm1(self, x: Native) -> Native:
        """`Expm1`."""
        return raw.Expm1(x=x)

    def log(self, x: Native) -> Native:
        """`Log`."""
        return raw.Log(x=x)

    def log1p(self, x: Native) -> Native:
        """`Log1p`."""
        return raw.Log1p(x=x)

    def sin(self, x: Native) -> Native:
        """`Sin`."""
        return raw.Sin(x=x)

    def cos(self, x: Native) -> Native:
        """`Cos`."""
        return raw.Cos(x=x)

    def tanh(self, x: Native) -> Native:
        """`Tanh`."""
        return raw.Tanh(x=x)

    def erf(self, x: Native) -> Native:
        """`Erf`."""
        return raw.Erf(x=x)

    def floor(self, x: Native) -> Native:
        """`Floor`; integers are whole already."""
        return raw.Floor(x=x) if x.dtype.is_floating else x

    def ceil(self, x: Native) -> Native:
        """`Ceil`; integers are whole already."""
        return raw.Ceil(x=x) if x.dtype.is_floating else x

    def round(self, x: Native) -> Native:
        """`Round`, which takes halves to the even one; integers are whole already."""
        return raw.Round(x=x) if x.dtype.is_floating else x

    def isnan(self, x: Native) -> Native:
        """`IsNan`; no integer is."""
        return raw.IsNan(x=x) if x.dtype.is_floating else tf.zeros_like(x, tf.bool)

    def isfinite(self, x: Native) -> Native:
        """`IsFinite`; every integer is."""
        return raw.IsFinite(x=x) if x.dtype.is_floating else tf.ones_like(x, tf.bool)

    def where(self, condition: Native, x: Operand, y: Operand) -> Native:
        """`SelectV2`, which broadcasts."""
        x, y = _pair(x, y)
        return raw.SelectV2(condition=condition, t=x, e=y)


def _both_ways(extreme: Callable[..., Native], x: Native, y: Native) -> Native:
    """The extreme, whose gradient is shared where both are equal: TensorFlow gives all of it to its first argument."""
    if not x.dtype.is_floating:
        return extreme(x=x, y=y)
    half = tf.constant(0.5, x.dtype)
    return half * extreme(x=x, y=y) + half * extreme(x=y, y=x)
