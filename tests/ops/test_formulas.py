"""Functions of each element and activations, against numpy and PyTorch."""

import math

import numpy as np
import pytest
import torch

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.core import Variable, value_and_grad
from babel_dl.errors import ArgumentError, DTypeError, ShapeError

X = np.array([-30.0, -3.0, -1.0, -0.5, -1e-3, 0.0, 1e-3, 0.5, 1.0, 2.5, 30.0], np.float32)
POSITIVE = np.array([1e-3, 0.5, 1.0, 2.5, 30.0], np.float32)

UNARY = {
    "negative": np.negative, "abs": np.abs, "sign": np.sign, "square": np.square, "exp": np.exp, "expm1": np.expm1, "sin": np.sin,
    "cos": np.cos, "tanh": np.tanh, "floor": np.floor, "ceil": np.ceil, "round": np.round, "isnan": np.isnan, "isfinite": np.isfinite,
    "logical_not": np.logical_not, "erf": np.vectorize(math.erf, otypes=[np.float32]),
}  # fmt: skip
ACTIVATIONS = {
    "relu": torch.relu, "sigmoid": torch.sigmoid, "softplus": torch.nn.functional.softplus, "silu": torch.nn.functional.silu,
    "gelu": torch.nn.functional.gelu, "leaky_relu": torch.nn.functional.leaky_relu, "elu": torch.nn.functional.elu,
    "hard_sigmoid": torch.nn.functional.hardsigmoid, "selu": torch.nn.functional.selu, "softmax": lambda x: torch.softmax(x, -1),
    "log_softmax": lambda x: torch.log_softmax(x, -1),
    "logsumexp": lambda x: torch.logsumexp(x, -1),
}  # fmt: skip


@pytest.mark.parametrize("name", UNARY)
def test_a_function_of_each_element_agrees_with_numpy(backend: Backend, name: str) -> None:
    np.testing.assert_allclose(getattr(ops, name)(ops.asarray(X)).numpy(), UNARY[name](X), rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("name", ("log", "log1p", "sqrt"))
def test_a_function_of_positive_elements_agrees_with_numpy(backend: Backend, name: str) -> None:
    np.testing.assert_allclose(getattr(ops, name)(ops.asarray(POSITIVE)).numpy(), getattr(np, name)(POSITIVE), rtol=2e-6, atol=1e-7)


def test_halves_are_rounded_to_the_even_neighbour(backend: Backend) -> None:
    values = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], np.float32)
    assert ops.round(ops.asarray(values)).numpy().tolist() == [-2.0, -2.0, 0.0, 0.0, 2.0, 2.0]


@pytest.mark.parametrize("name", ("isnan", "isfinite"))
def test_questions_about_infinities_agree_with_numpy(backend: Backend, name: str) -> None:
    for values in (np.array([np.nan, np.inf, -np.inf, 1.0], np.float32), np.array([1, 2], np.int32)):
        np.testing.assert_array_equal(getattr(ops, name)(ops.asarray(values)).numpy(), getattr(np, name)(values))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_agrees_with_pytorch(backend: Backend, name: str) -> None:
    wanted = ACTIVATIONS[name](torch.tensor(X)).numpy()
    np.testing.assert_allclose(getattr(ops, name)(ops.asarray(X)).numpy(), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_gradient_of_an_activation_agrees_with_pytorch(backend: Backend, name: str) -> None:
    values = np.concatenate([X, [3.0]]).astype(np.float32)  # with -3, 0 and 3, where some bend
    weights = np.linspace(1.0, 2.0, len(values), dtype=np.float32)
    judge = torch.tensor(values, requires_grad=True)
    (ACTIVATIONS[name](judge) * torch.tensor(weights)).sum().backward()
    v = Variable(values)
    _, (gradient,) = value_and_grad(lambda: ops.sum(getattr(ops, name)(v) * ops.asarray(weights)), v)
    np.testing.assert_allclose(gradient.numpy(), judge.grad.numpy(), rtol=1e-4, atol=1e-5)


def test_the_approximate_gelu_agrees_with_pytorch(backend: Backend) -> None:
    wanted = torch.nn.functional.gelu(torch.tensor(X), approximate="tanh").numpy()
    np.testing.assert_allclose(ops.gelu(ops.asarray(X), approximate=True).numpy(), wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("alpha", (0.5, 2.0))
def test_slopes_can_be_chosen(backend: Backend, alpha: float) -> None:
    x = ops.asarray(X)
    np.testing.assert_allclose(ops.elu(x, alpha).numpy(), torch.nn.functional.elu(torch.tensor(X), alpha).numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ops.leaky_relu(x, alpha).numpy(), torch.nn.functional.leaky_relu(torch.tensor(X), alpha).numpy(), rtol=1e-5)


@pytest.mark.parametrize("values", [[1000.0, 1000.0], [-1000.0, -1001.0], [np.inf, 1.0], [-np.inf, 1.0], [-np.inf, -np.inf], [3.0]])
def test_logsumexp_neither_overflows_nor_loses_infinities(backend: Backend, values: list[float]) -> None:
    np.testing.assert_allclose(ops.logsumexp(ops.asarray(values)).item(), torch.logsumexp(torch.tensor(values), 0).item(), rtol=1e-6)


@pytest.mark.parametrize("axis", (None, 0, 1, (0, 1)))
@pytest.mark.parametrize("keepdims", (False, True))
def test_logsumexp_reduces_like_the_others(backend: Backend, axis: object, keepdims: bool) -> None:
    values = np.linspace(-2, 2, 6, dtype=np.float32).reshape(2, 3)
    wanted = np.log(np.sum(np.exp(values), axis=axis, keepdims=keepdims))
    result = ops.logsumexp(ops.asarray(values), axis, keepdims)
    assert result.shape == wanted.shape
    np.testing.assert_allclose(result.numpy(), wanted, rtol=1e-6)


@pytest.mark.parametrize("axis", (None, 0, -1, (0, 2)))
@pytest.mark.parametrize("correction", (0, 1))
def test_variance_agrees_with_numpy(backend: Backend, axis: object, correction: int) -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, (3, 4, 5)).astype(np.float32)
    for keepdims in (False, True):
        wanted = values.var(axis=axis, ddof=correction, keepdims=keepdims)
        result = ops.var(ops.asarray(values), axis, keepdims, correction)
        assert result.shape == np.shape(wanted)
        np.testing.assert_allclose(result.numpy(), wanted, rtol=1e-5)


@pytest.mark.parametrize("bounds", [(-1.0, 1.0), (None, 0.5), (0.5, None), (None, None)])
def test_clip_agrees_with_numpy(backend: Backend, bounds: tuple[float | None, ...]) -> None:
    low, high = bounds
    wanted = np.clip(X, -np.inf if low is None else low, np.inf if high is None else high)
    np.testing.assert_array_equal(ops.clip(ops.asarray(X), low, high).numpy(), wanted)


@pytest.mark.parametrize(("x", "y"), [(X, -X), (X, 0.0), (0, X), (1, 2.5), (True, X)])
def test_where_agrees_with_numpy(backend: Backend, x: object, y: object) -> None:
    left, right = (ops.asarray(v) if isinstance(v, np.ndarray) else v for v in (x, y))
    np.testing.assert_array_equal(ops.where(ops.asarray(X) > 0, left, right).numpy(), np.where(X > 0, x, y))


def test_where_broadcasts_and_takes_numbers_for_truth(backend: Backend) -> None:
    result = ops.where(ops.asarray([[2], [0]]), ops.asarray([1.0, 2.0, 3.0]), ops.asarray(0.0))
    assert result.numpy().tolist() == [[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]]


def test_a_gradient_through_where_takes_the_chosen_side_alone(backend: Backend) -> None:
    v = Variable([-1.0, 4.0])
    _, (gradient,) = value_and_grad(lambda: ops.sum(ops.where(v > 0, ops.sqrt(ops.maximum(v, 1e-6)), 3 * v)), v)
    np.testing.assert_allclose(gradient.numpy(), [3.0, 0.25], rtol=1e-6)


def test_not_a_number_wins_over_every_number(backend: Backend) -> None:
    x = ops.asarray([np.nan, 1.0])
    for result in (ops.maximum(x, 0.0), ops.minimum(0.0, x), ops.maximum(ops.asarray([0.0, 1.0]), x)):
        assert np.isnan(result.numpy()[0]) and not np.isnan(result.numpy()[1])


@pytest.mark.parametrize("dtype", ("float32", "int32", "bool"))
def test_one_hot_agrees_with_numpy_and_gives_zeros_outside(backend: Backend, dtype: str) -> None:
    indices = np.array([[0, 2], [3, -1]])
    wanted = np.array([[[1, 0, 0], [0, 0, 1]], [[0, 0, 0], [0, 0, 0]]]).astype(dtype)
    result = ops.one_hot(ops.asarray(indices), 3, dtype)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result.numpy(), wanted)


def test_one_hot_takes_whole_numbers_of_every_type_and_nothing_else(backend: Backend) -> None:
    for dtype in ("uint8", "int8", "int16", "int32"):
        assert ops.one_hot(ops.asarray([1], dtype), 2).numpy().tolist() == [[0.0, 1.0]]
    with pytest.raises(DTypeError, match="ops.one_hot needs whole numbers, and got float32. Cast them"):
        ops.one_hot(ops.asarray([1.7]), 3)


@pytest.mark.parametrize("bits", (0, 1, 5, 31))
def test_shifts_agree_with_numpy(backend: Backend, bits: int) -> None:
    values = np.array([1, -1, 123456789, -(2**31)], np.int32)
    np.testing.assert_array_equal(ops.bitwise_left_shift(ops.asarray(values), bits).numpy(), np.left_shift(values, np.int32(bits)))
    np.testing.assert_array_equal(ops.bitwise_right_shift(ops.asarray(values), bits).numpy(), np.right_shift(values, np.int32(bits)))


def test_a_negative_shift_is_refused(backend: Backend) -> None:
    for shift in (ops.bitwise_left_shift, ops.bitwise_right_shift):
        with pytest.raises(ArgumentError, match="A shift goes by 0 or more bits, and -1 came. Shift the other way"):
            shift(ops.asarray([1]), -1)


def test_logic_takes_numbers_for_truth(backend: Backend) -> None:
    x, y = ops.asarray([0.0, 2.0, 0.0, 3.0]), ops.asarray([0, 0, 5, 5])
    assert ops.logical_and(x, y).numpy().tolist() == [False, False, False, True]
    assert ops.logical_or(x, y).numpy().tolist() == [False, True, True, True]
    assert ops.logical_not(x).numpy().tolist() == [True, False, True, False]


def test_no_gradient_flows_through_a_stopped_value(backend: Backend) -> None:
    v = Variable([2.0])
    _, (gradient,) = value_and_grad(lambda: ops.sum(v * ops.stop_gradient(v)), v)
    assert gradient.numpy().tolist() == [2.0]


@pytest.mark.parametrize("name", ("maximum", "minimum"))
@pytest.mark.parametrize("other", (1.0, np.ones(1, np.float32)))
def test_two_equal_elements_share_the_gradient(backend: Backend, name: str, other: object) -> None:
    judge = torch.ones(1, requires_grad=True)
    getattr(torch, name)(judge, torch.ones(1)).sum().backward()
    v = Variable([1.0])
    _, (gradient,) = value_and_grad(lambda: ops.sum(getattr(ops, name)(v, other)), v)
    np.testing.assert_array_equal(gradient.numpy(), judge.grad.numpy())


def test_the_largest_of_equals_share_the_gradient(backend: Backend) -> None:
    v = Variable([3.0, 1.0, 3.0])
    _, (gradient,) = value_and_grad(lambda: ops.max(v), v)
    np.testing.assert_allclose(gradient.numpy(), [0.5, 0.0, 0.5])


@pytest.mark.parametrize("name", ("softmax", "log_softmax"))
def test_a_softmax_needs_an_axis_that_exists(backend: Backend, name: str) -> None:
    np.testing.assert_allclose(ops.softmax(ops.zeros((2, 4)), axis=0).numpy(), np.full((2, 4), 0.5), rtol=1e-6)
    with pytest.raises(ShapeError, match=f"ops.{name} was asked for axis 2 of a tensor with 2 axes. Allowed: -2 to 1"):
        getattr(ops, name)(ops.zeros((2, 4)), axis=2)
