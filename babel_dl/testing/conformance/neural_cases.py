"""The table of the primitives of neural networks."""

import math
from typing import Any

import numpy as np

from babel_dl.testing.conformance import references
from babel_dl.testing.conformance.cases import FLOATS, PLAIN, Case

NARROW = ("float32", "float16", "bfloat16")


def _numbers(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def _case(name: str, arguments: tuple[Any, ...], note: str = "", **settings: Any) -> Case:
    return Case(name, arguments, getattr(references, name), note, **{"differentiable": True, **settings})


def _convolution(
    note: str, x: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...], padding: Any, dilation: tuple[int, ...],
    groups: int = 1, bias: bool = True, **settings: Any,
) -> Case:
    arrays = _numbers(1, *x), _numbers(2, *kernel), _numbers(3, kernel[-1]) if bias else None
    return _case("convolution", (*arrays, stride, padding, dilation, groups), note, **settings)


X1, X2, NONE1, NONE2 = (2, 7, 4), (2, 5, 6, 4), ((0, 0),), ((0, 0), (0, 0))

CONVOLUTIONS = [
    _convolution("1d", X1, (3, 4, 6), (1,), NONE1, (1,), dtypes=NARROW),
    _convolution("1d_stride", X1, (3, 4, 6), (2,), ((1, 1),), (1,)),
    _convolution("1d_dilation", X1, (2, 4, 6), (1,), ((2, 0),), (3,)),
    _convolution("1d_groups", X1, (3, 2, 6), (1,), ((0, 1),), (1,), 2),
    _convolution("1d_depthwise", X1, (3, 1, 4), (1,), ((2, 0),), (2,), 4),
    _convolution("1d_even_window_without_bias", X1, (4, 4, 3), (3,), ((1, 2),), (1,), bias=False),
    _convolution("2d", X2, (3, 3, 4, 6), (1, 1), NONE2, (1, 1), dtypes=(*NARROW, "float64")),
    _convolution("2d_without_bias", X2, (3, 3, 4, 2), (1, 1), ((1, 1), (1, 1)), (1, 1), bias=False),
    _convolution("2d_one_by_one", X2, (1, 1, 4, 3), (1, 1), NONE2, (1, 1)),
    _convolution("2d_one_by_one_stride", X2, (1, 1, 4, 3), (2, 2), NONE2, (1, 1)),
    _convolution("2d_stride_leaves_a_rest", X2, (2, 3, 4, 3), (2, 3), NONE2, (1, 1)),
    _convolution("2d_different_strides", X2, (3, 2, 4, 3), (1, 2), ((1, 0), (0, 1)), (1, 1)),
    _convolution("2d_dilation", X2, (2, 3, 4, 3), (1, 1), ((1, 1), (2, 1)), (3, 2)),
    _convolution("2d_dilation_and_stride", X2, (2, 2, 4, 3), (2, 2), ((1, 2), (0, 1)), (2, 3)),
    _convolution("2d_padding_before", X2, (3, 3, 4, 3), (1, 1), ((2, 0), (1, 0)), (1, 1)),
    _convolution("2d_padding_after", X2, (3, 3, 4, 3), (2, 2), ((0, 1), (0, 1)), (1, 1)),
    _convolution("2d_groups", X2, (3, 3, 2, 6), (1, 1), ((1, 1), (1, 1)), (1, 1), 2),
    _convolution("2d_groups_stride_dilation", X2, (2, 2, 2, 4), (2, 1), ((1, 0), (0, 2)), (1, 2), 2),
    _convolution("2d_depthwise", X2, (3, 3, 1, 4), (1, 1), ((1, 1), (1, 1)), (1, 1), 4),
    _convolution("2d_depthwise_two_each", X2, (2, 2, 1, 8), (2, 2), ((0, 1), (1, 0)), (1, 1), 4),
    _convolution("2d_one_channel", (2, 5, 5, 1), (3, 3, 1, 4), (1, 1), NONE2, (1, 1)),
    _convolution("2d_empty_batch", (0, 5, 6, 4), (3, 3, 4, 6), (1, 1), NONE2, (1, 1), differentiable=False),
]

def _transposed(
    note: str, x: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...], padding: Any, dilation: tuple[int, ...],
    groups: int = 1, bias: bool = True, **settings: Any,
) -> Case:
    arrays = _numbers(25, *x), _numbers(26, *kernel), _numbers(27, kernel[-1]) if bias else None
    return _case("convolution_transpose", (*arrays, stride, padding, dilation, groups), note, **settings)


T1, T2 = (2, 5, 4), (2, 3, 4, 4)

TRANSPOSED = [
    _transposed("1d", T1, (3, 4, 6), (2,), NONE1, (1,), dtypes=NARROW),
    _transposed("1d_cut", T1, (4, 4, 6), (2,), ((1, 1),), (1,)),
    _transposed("1d_dilation_groups", T1, (3, 2, 6), (2,), ((1, 2),), (2,), 2),
    _transposed("1d_window_larger_than_the_input", (2, 2, 3), (5, 3, 2), (2,), ((2, 1),), (1,)),
    _transposed("2d", T2, (3, 2, 4, 6), (1, 1), NONE2, (1, 1), dtypes=(*NARROW, "float64")),
    _transposed("2d_stride", T2, (4, 4, 4, 3), (2, 2), ((1, 1), (1, 1)), (1, 1), dtypes=NARROW),
    _transposed("2d_same", T2, (3, 3, 4, 3), (2, 2), ((0, 1), (0, 1)), (1, 1), bias=False),
    _transposed("2d_same_at_both_ends", T2, (5, 5, 4, 3), (2, 2), ((1, 2), (1, 2)), (1, 1)),
    _transposed("2d_different_strides", T2, (3, 4, 4, 3), (3, 1), ((1, 0), (0, 2)), (1, 1)),
    _transposed("2d_places_added", T2, (3, 3, 4, 3), (2, 2), ((1, 0), (1, 0)), (1, 1)),
    _transposed("2d_places_nothing_writes_to", T2, (2, 2, 4, 3), (3, 2), ((0, -1), (0, -2)), (1, 1)),
    _transposed("2d_cut_and_added", T2, (3, 3, 4, 3), (1, 2), ((2, 0), (0, -1)), (1, 1)),
    _transposed("2d_cut_beyond_the_window", T2, (2, 2, 4, 3), (2, 2), ((3, 2), (3, 1)), (1, 1)),
    _transposed("2d_dilation", T2, (2, 3, 4, 3), (2, 1), ((1, 0), (0, 1)), (2, 3)),
    _transposed("2d_groups", T2, (3, 3, 2, 6), (2, 2), ((1, 1), (0, 1)), (1, 1), 2),
    _transposed("2d_depthwise", T2, (3, 3, 1, 4), (2, 2), ((1, 0), (1, 0)), (1, 1), 4, bias=False),
    _transposed("2d_window_larger_than_the_image", (2, 2, 3, 4), (5, 4, 4, 3), (2, 2), ((2, 1), (1, 1)), (1, 1)),
    _transposed("2d_window_much_larger_than_the_image", (2, 1, 1, 4), (4, 5, 4, 3), (3, 2), ((1, -1), (0, 2)), (1, 1)),
    _transposed("2d_empty_batch", (0, 3, 4, 4), (3, 3, 4, 6), (2, 2), NONE2, (1, 1), differentiable=False),
]

RESIZES = [
    *(_case("upsample", (_numbers(28, *shape), factors), f"{len(factors)}d_by_{factors}", dtypes=PLAIN)
      for shape, factors in (
          (X1, (2,)), (X1, (5,)), (X2, (2, 2)), (X2, (3, 1)), (X2, (1, 2)), ((2, 1, 1, 3), (4, 7)), ((1, 3, 2, 1), (2, 2)))),
    _case("upsample", (np.zeros((0, 2, 3, 4)), (2, 3)), "empty_batch", differentiable=False),
    *(_case("interpolate", (_numbers(29, *shape), size), f"{len(size)}d_{shape[1:-1]}_to_{size}", dtypes=dtypes)
      for shape, size, dtypes in (
          (X1, (14,), FLOATS), (X1, (4,), ("float32",)), (X2, (10, 12), FLOATS), (X2, (3, 9), ("float32",)), (X2, (5, 2), ("float32",)),
          (X2, (40, 1), ("float32",)), ((2, 1, 1, 3), (4, 3), ("float32",)), ((2, 32, 30, 1), (28, 28), ("float32",)))),
    _case("interpolate", (np.zeros((0, 2, 3, 4)), (4, 5)), "empty_batch", differentiable=False),
]

POOLS = [
    _case("max_pool", (_numbers(4, *X1) - 5, (2,), (2,), NONE1, (1,)), "1d", dtypes=NARROW),
    _case("max_pool", (_numbers(4, *X1) - 5, (3,), (1,), ((2, 1),), (1,)), "1d_asymmetric_padding"),
    _case("max_pool", (_numbers(4, *X1) - 5, (2,), (2,), ((1, 0),), (3,)), "1d_dilation"),
    _case("max_pool", (_numbers(5, *X2) - 5, (2, 2), (2, 2), NONE2, (1, 1)), "2d", dtypes=FLOATS),
    _case("max_pool", (_numbers(5, *X2) - 5, (3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1)), "2d_padding"),
    _case("max_pool", (_numbers(5, *X2) - 5, (3, 2), (1, 3), ((2, 0), (0, 1)), (1, 1)), "2d_asymmetric_padding"),
    _case("max_pool", (_numbers(5, *X2) - 5, (2, 2), (1, 1), ((1, 0), (0, 1)), (2, 3)), "2d_dilation"),
    *(_case("average_pool", (_numbers(6, *X1), *settings, count), f"1d_{note}_{'counted' if count else 'not_counted'}")
      for count in (True, False) for note, settings in (
          ("plain", ((2,), (2,), NONE1)), ("padding", ((3,), (2,), ((1, 1),))), ("asymmetric", ((3,), (1,), ((2, 1),))))),
    *(_case("average_pool", (_numbers(7, *X2), *settings, count), f"2d_{note}_{'counted' if count else 'not_counted'}", dtypes=NARROW)
      for count in (True, False) for note, settings in (
          ("plain", ((2, 3), (2, 3), NONE2)), ("padding", ((3, 3), (2, 2), ((1, 1), (1, 1)))),
          ("asymmetric", ((2, 3), (1, 2), ((0, 1), (2, 0)))))),
]

SCALE, OFFSET, MEAN, VARIANCE = _numbers(8, 4), _numbers(9, 4), _numbers(10, 4), np.abs(_numbers(11, 4)) + 0.5

NORMALIZATIONS = [
    *(_case("batch_norm", (_numbers(12, *shape) * 2 + 3, scale, offset, 1e-5), f"{len(shape)}_axes{note}")
      for shape in ((6, 4), X1, X2) for note, scale, offset in (
          ("", SCALE, OFFSET), ("_no_scale", None, OFFSET), ("_no_offset", SCALE, None), ("_bare", None, None))),
    _case("batch_norm", (_numbers(12, *X2), SCALE, OFFSET, 0.5), "large_eps"),
    *(_case("normalize", (_numbers(13, *shape), MEAN, VARIANCE, scale, offset, 1e-3), f"{len(shape)}_axes{note}")
      for shape in ((3, 4), X2) for note, scale, offset in (("", SCALE, OFFSET), ("_no_scale", None, OFFSET), ("_bare", None, None))),
    *(_case("layer_norm", (_numbers(14, 3, 5, 4), num_axes, scale, offset, 1e-5), note)
      for note, num_axes, scale, offset in (
          ("one_axis", 1, SCALE, OFFSET), ("two_axes", 2, _numbers(15, 5, 4), _numbers(16, 5, 4)), ("no_scale", 1, None, OFFSET),
          ("no_offset", 1, SCALE, None), ("bare", 2, None, None), ("all_axes", 3, _numbers(17, 3, 5, 4), None))),
]

LOGITS = _numbers(18, 4, 5) * 2
LABELS = np.array([0, 4, 2, 2])
HUGE = np.array([[1e4, -1e4, 0.0], [1e4, 1e4, 1e4 - 1], [-1e4, -1e4, -1e4]])
MASKED = np.array([[0.5, -np.inf, 1.0], [-np.inf, -np.inf, 2.0]])
SPREAD = np.array([-5.0, -1.0, -0.25, 0.5, 2.0, 4.0])


def _softmax(x: np.ndarray, axis: int) -> np.ndarray:
    return np.exp(references.log_softmax(x, axis))


def _erf(x: np.ndarray) -> np.ndarray:
    return np.vectorize(math.erf)(x)


def _labels(dtype: str) -> np.ndarray:
    return LABELS.astype(dtype)


ACTIVATIONS = [
    Case("relu", (SPREAD,), lambda x: np.maximum(x, 0), dtypes=FLOATS, differentiable=True, elementwise=True),
    Case("relu", (np.zeros((0, 3)),), lambda x: np.maximum(x, 0), "empty"),
    *(Case("leaky_relu", (SPREAD, slope), lambda x, slope: np.where(x > 0, x, slope * x), str(slope), dtypes=FLOATS, differentiable=True,
           elementwise=True) for slope in (0.01, 0.2)),
    *(Case("elu", (SPREAD, alpha), lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))), str(alpha), dtypes=FLOATS,
           differentiable=True, elementwise=True) for alpha in (1.0, 0.3)),
    Case("gelu", (SPREAD, False), lambda x, _: x * 0.5 * (1 + _erf(x / np.sqrt(2))), "exact", dtypes=FLOATS, differentiable=True),
    Case("gelu", (SPREAD, True), lambda x, _: x * 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))), "approximate",
         dtypes=FLOATS, differentiable=True),
    Case("silu", (SPREAD,), lambda x: x / (1 + np.exp(-x)), dtypes=FLOATS, differentiable=True),
    Case("silu", (np.array([-1e3, -100.0, 100.0, 1e3]),), lambda x: x / (1 + np.exp(-x)), "ends", dtypes=("float32", "bfloat16")),
    Case("sigmoid", (SPREAD,), lambda x: 1 / (1 + np.exp(-x)), dtypes=FLOATS, differentiable=True, elementwise=True),
    Case("sigmoid", (np.array([-100.0, 0.0, 100.0]),), lambda x: 1 / (1 + np.exp(-x)), "ends", dtypes=FLOATS),
    Case("softplus", (SPREAD,), lambda x: np.logaddexp(0, x), dtypes=FLOATS, differentiable=True),
    Case("softplus", (np.array([-100.0, 100.0, 1e4, -1e4]),), lambda x: np.logaddexp(0, x), "ends", dtypes=FLOATS),
    Case("softplus", (np.array([-80.0]),), lambda x: np.logaddexp(0, x), "far_below_zero", dtypes=("float32", "bfloat16")),
    Case("softplus", (np.array([-17.0]),), lambda x: np.logaddexp(0, x), "below_zero"),
    *(Case(name, (_numbers(19, 2, 3, 4), axis), function, str(axis), dtypes=FLOATS, differentiable=True)
      for name, function in (("softmax", _softmax), ("log_softmax", references.log_softmax)) for axis in (0, 1, 2)),
    *(Case(name, (HUGE, 1), function, "huge", dtypes=("float32", "float16", "float64"))
      for name, function in (("softmax", _softmax), ("log_softmax", references.log_softmax))),
    *(Case(name, (MASKED, 1), function, "masked", dtypes=FLOATS)
      for name, function in (("softmax", _softmax), ("log_softmax", references.log_softmax))),
    Case("softmax", (np.zeros((0, 3)), 1), _softmax, "empty"),
]

ENTROPIES = [
    *(_case("sparse_cross_entropy", (LOGITS, _labels(dtype)), f"{dtype}_labels", dtypes=FLOATS)
      for dtype in ("uint8", "int8", "int16", "int32")),
    _case("sparse_cross_entropy", (_numbers(20, 2, 3, 5), np.array([[0, 1, 2], [3, 4, 0]], np.int32)), "two_batch_axes"),
    _case("sparse_cross_entropy", (_numbers(21, 5), np.array(3, np.int32)), "no_batch_axis"),
    _case("sparse_cross_entropy", (HUGE, np.array([1, 0, 2], np.int32)), "huge", differentiable=False),
    _case("sparse_cross_entropy", (LOGITS, np.array([5, -1, -100, 2], np.int32)), "outside_int32", differentiable=False),
    _case("sparse_cross_entropy", (LOGITS, np.array([255, 5, 0, 2], np.uint8)), "outside_uint8", differentiable=False),
    _case("sparse_cross_entropy", (LOGITS, np.array([-128, 4, 127, -5], np.int8)), "outside_int8", differentiable=False),
]

LINEARS = [
    _case("linear", (_numbers(22, *shape, 3), _numbers(23, 3, 5), _numbers(24, 5) if bias else None),
          f"{len(shape)}_batch_axes{'' if bias else '_no_bias'}", dtypes=FLOATS)
    for shape in ((), (4,), (2, 3), (2, 2, 2)) for bias in (True, False)
]
LINEARS.append(_case("linear", (np.zeros((0, 3)), _numbers(23, 3, 5), _numbers(24, 5)), "empty_batch", differentiable=False))

ALL = [*LINEARS, *CONVOLUTIONS, *TRANSPOSED, *RESIZES, *POOLS, *NORMALIZATIONS, *ACTIVATIONS, *ENTROPIES]
