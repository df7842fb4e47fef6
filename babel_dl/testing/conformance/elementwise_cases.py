"""The table of functions of each element."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from babel_dl.testing.conformance.cases import FLOATS, INTEGERS, SIGNED, Case

X = np.array([[-3.5], [-1.25], [0.0], [0.5], [2.0]])
Y = np.array([[-2.0, -0.75, 0.25, 1.0, 3.0, 0.125]])
POSITIVE = np.array([[0.25, 0.5, 1.0, 1.5, 3.0, 0.75]])
EDGES = np.array([-math.inf, -2.0, 0.0, 2.0, math.inf, math.nan])
QUOTIENTS = np.array([[-7.5], [-7.0], [-1.0], [0.5], [7.0], [7.5]])
DIVISORS = np.array([[2.0, -2.0, 0.5, -0.5, 3.5]])
I = np.array([[-7], [-3], [0], [5], [7]])  # noqa: E741
J = np.array([[-3, -2, 1, 2, 3]])
BITS = np.array([[0b0101], [0b0011], [-1], [0], [100]])
TINY = np.array([-1e-7, -1e-5, 1e-8, 3e-6], np.float32)
HALVES = np.array([-2.5, -1.5, -0.5, -0.25, 0.5, 1.5, 2.5, 3.5, 2.75])
BOOLS = np.array([[True], [False]])
CONDITION = np.array([[True], [False], [True], [True], [False]])


def _binary(name: str, function: Callable[..., Any], x: Any, y: Any, note: str = "", **settings: Any) -> Case:
    return Case(name, (x, y), function, note, **{"dtypes": FLOATS, "elementwise": True, **settings})


def _unary(name: str, function: Callable[..., Any], x: Any, note: str = "", **settings: Any) -> Case:
    return Case(name, (x,), function, note, **{"dtypes": FLOATS, "elementwise": True, **settings})


def _remainder_of_floor(x: Any, y: Any) -> Any:
    return x - np.floor(np.divide(x, y)) * y


ARITHMETIC = [
    _binary("add", np.add, X, Y, differentiable=True),
    _binary("add", np.add, X, 0.1, "number", differentiable=True),
    _binary("add", np.add, 2, X, "whole_number_first"),
    _binary("subtract", np.subtract, X, Y, differentiable=True),
    _binary("subtract", np.subtract, 1.5, X, "number_first", differentiable=True),
    _binary("multiply", np.multiply, X, Y, differentiable=True),
    _binary("multiply", np.multiply, -2, X, "number_first", differentiable=True),
    _binary("divide", np.divide, X, POSITIVE, differentiable=True),
    _binary("divide", np.divide, X, 3, "number", differentiable=True),
    _binary("divide", np.divide, 1, POSITIVE, "number_first", differentiable=True),
    _binary("divide", np.divide, EDGES, 0.0, "by_zero"),
    _binary("floor_divide", np.floor_divide, QUOTIENTS, DIVISORS),
    _binary("floor_divide", np.floor_divide, QUOTIENTS, -2, "number"),
    _binary("floor_divide", np.floor_divide, 7.5, DIVISORS, "number_first"),
    _binary("remainder", _remainder_of_floor, QUOTIENTS, DIVISORS),
    _binary("remainder", _remainder_of_floor, QUOTIENTS, -2, "number"),
    _binary("remainder", _remainder_of_floor, -7.5, DIVISORS, "number_first"),
    _binary("power", np.power, POSITIVE, X, differentiable=True),
    _binary("power", np.power, X, 2, "square", differentiable=True),
    _binary("power", np.power, X, 3.0, "cube", differentiable=True),
    _binary("power", np.power, POSITIVE, -0.5, "inverse_root", differentiable=True),
    _binary("power", np.power, 2.0, X, "number_first", differentiable=True),
    _binary("power", np.power, X, 0, "zero_exponent"),
    _binary("power", np.power, X, np.array([[0.0, 2.0, 3.0]]), "negative_base"),
    _binary("maximum", np.maximum, X, Y, differentiable=True),
    _binary("maximum", np.maximum, X, 0.3, "number", differentiable=True),
    _binary("maximum", np.maximum, EDGES[:, None], EDGES, "nan_wins"),
    _binary("maximum", np.maximum, 0, EDGES, "nan_beats_a_number"),
    _binary("minimum", np.minimum, X, Y, differentiable=True),
    _binary("minimum", np.minimum, 0.3, X, "number_first", differentiable=True),
    _binary("minimum", np.minimum, EDGES[:, None], EDGES, "nan_wins"),
    _binary("minimum", np.minimum, EDGES, 0, "nan_beats_a_number"),
    _binary("add", np.add, np.zeros((0, 3)), np.ones(3), "empty"),
    _binary("multiply", np.multiply, np.array(3.0), np.array(-2.0), "no_axis", differentiable=True),
]

INTEGER_ARITHMETIC = [
    *(_binary(name, getattr(np, name), I, J, dtypes=INTEGERS) for name in
      ("add", "subtract", "multiply", "floor_divide", "remainder", "maximum", "minimum")),
    *(_binary(name, getattr(np, name), I, 3, "number", dtypes=INTEGERS) for name in
      ("add", "subtract", "multiply", "floor_divide", "remainder", "power", "maximum", "minimum")),
    *(_binary(name, getattr(np, name), -3, J, "number_first", dtypes=SIGNED) for name in
      ("add", "subtract", "multiply", "floor_divide", "remainder", "maximum", "minimum")),
    _binary("power", np.power, np.array([[0], [1], [3], [5]]), np.array([[0, 1, 2, 3]]), dtypes=INTEGERS),
    *(_binary(name, getattr(np, name), np.array(x, dtype), np.array(y, dtype), f"wraps_{dtype}", dtypes=(dtype,))
      for name in ("add", "subtract", "multiply")
      for dtype, x, y in (("int8", [127, -128, 100], [1, -1, 3]), ("uint8", [255, 0, 200], [1, 2, 3]),
                          ("int32", [2**31 - 1, -(2**31), 2**30], [1, 2, 7]), ("int16", [32767, -32768, 300], [1, 1, 300]))),
]

COMPARISONS = [
    *(_binary(name, getattr(np, name), EDGES[:, None], EDGES, "edges", dtypes=FLOATS, result="bool") for name in
      ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")),
    *(_binary(name, getattr(np, name), I, J, "integers", dtypes=INTEGERS, result="bool") for name in
      ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")),
    *(_binary(name, getattr(np, name), EDGES, 2, "number", dtypes=FLOATS, result="bool") for name in
      ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")),
    *(_binary(name, getattr(np, name), 2, I, "number_first", dtypes=INTEGERS, result="bool") for name in
      ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")),
    *(_binary(name, getattr(np, name), BOOLS, BOOLS.T, "bools", dtypes=("bool",)) for name in ("equal", "not_equal")),
]

BITWISE = [
    *(_binary(name, getattr(np, name), BITS, BITS.T, dtypes=INTEGERS) for name in ("bitwise_and", "bitwise_or", "bitwise_xor")),
    *(_binary(name, getattr(np, name), BITS, 6, "number", dtypes=INTEGERS) for name in ("bitwise_and", "bitwise_or", "bitwise_xor")),
    *(_binary(name, getattr(np, name), BOOLS, BOOLS.T, "bools", dtypes=("bool",)) for name in ("bitwise_and", "bitwise_or", "bitwise_xor")),
    *(_binary(name, getattr(np, name), BOOLS, True, "bool_and_number", dtypes=("bool",)) for name in
      ("bitwise_and", "bitwise_or", "bitwise_xor")),
    *(_binary("bitwise_left_shift", np.left_shift, BITS, count, str(count), dtypes=INTEGERS) for count in (0, 1, 7)),
    *(_binary("bitwise_right_shift", np.right_shift, np.array([-128, -5, -1, 0, 1, 5, 100]), count, str(count), dtypes=INTEGERS)
      for count in (0, 1, 3, 7)),
    _binary("bitwise_left_shift", np.left_shift, np.array([1, -1, 3], np.int32), 31, "to_the_sign", dtypes=("int32",)),
    _binary("bitwise_right_shift", np.right_shift, np.array([2**31 - 1, -(2**31), -5], np.int32), 31, "to_the_sign", dtypes=("int32",)),
    _unary("logical_not", np.logical_not, BOOLS, dtypes=("bool",)),
]

UNARY = [
    *(_unary(name, function, X, differentiable=name != "sign") for name, function in
      {"negative": np.negative, "sign": np.sign, "square": np.square, "exp": np.exp, "expm1": np.expm1, "sin": np.sin, "cos": np.cos,
       "tanh": np.tanh, "erf": np.vectorize(math.erf, otypes=[float])}.items()),
    *(_unary(name, getattr(np, name), I, "integers", dtypes=INTEGERS) for name in ("negative", "abs", "sign", "square")),
    _unary("abs", np.abs, Y, differentiable=True),
    *(_unary(name, getattr(np, name), POSITIVE, differentiable=True) for name in ("sqrt", "log", "log1p")),
    *(_unary(name, getattr(np, name), TINY, "exact_near_zero", dtypes=("float32",)) for name in ("expm1", "log1p")),
    *(_unary(name, getattr(np, name), EDGES, "edges") for name in
      ("negative", "abs", "square", "sqrt", "exp", "expm1", "log", "log1p", "tanh", "floor", "ceil", "round")),
    *(_unary(name, getattr(np, name), HALVES) for name in ("floor", "ceil", "round")),
    _unary("round", np.round, np.array([0.49999997, 8388609.0, -0.50000006], np.float32), "close_to_half", dtypes=("float32",)),
    *(_unary(name, getattr(np, name), EDGES, result="bool") for name in ("isnan", "isfinite")),
    _unary("exp", np.exp, np.zeros((2, 0)), "empty"),
]

WHERE = [
    Case("where", (CONDITION, X, Y), np.where, dtypes=FLOATS, differentiable=True, elementwise=True),
    Case("where", (CONDITION, X, 0.5), np.where, "number", dtypes=FLOATS, differentiable=True, elementwise=True),
    Case("where", (CONDITION, 1, X), np.where, "number_first", dtypes=FLOATS, differentiable=True, elementwise=True),
    Case("where", (CONDITION, I, J), np.where, "integers", dtypes=INTEGERS),
    Case("where", (CONDITION, I, 3), lambda c, x, y: np.where(c, x, np.array(y, x.dtype)), "integers_and_number", dtypes=INTEGERS),
    Case("where", (CONDITION, BOOLS.T, CONDITION), np.where, "bools", dtypes=("bool",)),
    Case("where", (np.array(True), X, Y), np.where, "condition_without_axis", differentiable=True),
]

ALL = [*ARITHMETIC, *INTEGER_ARITHMETIC, *COMPARISONS, *BITWISE, *UNARY, *WHERE]
