"""Reductions, positions and orders, against numpy; and what they refuse."""

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.errors import ShapeError

VALUES = np.array([[[3.0, 1.0], [2.0, 2.0], [0.5, 4.0]], [[0.0, 5.0], [4.0, -1.0], [2.0, 2.0]]], np.float32)


@pytest.mark.parametrize("name", ("sum", "mean", "prod", "max", "min", "any", "all"))
@pytest.mark.parametrize("axis", (None, 0, -1, (0, 2), (2, 1, 0), [1], np.int64(1)))
def test_a_reduction_agrees_with_numpy(backend: Backend, name: str, axis: object) -> None:
    wanted = getattr(np, name)(VALUES, axis=tuple(axis) if isinstance(axis, list) else axis)
    result = getattr(ops, name)(ops.asarray(VALUES), axis)
    assert result.shape == wanted.shape
    np.testing.assert_allclose(result.numpy(), wanted, rtol=1e-6)


@pytest.mark.parametrize("name", ("sum", "prod", "max", "min"))
def test_a_reduction_of_integers_agrees_with_numpy(backend: Backend, name: str) -> None:
    values = np.array([[3, -1], [2, 7]], np.int32)
    result = getattr(ops, name)(ops.asarray(values), 1)
    assert result.dtype == "int32"
    np.testing.assert_array_equal(result.numpy(), getattr(np, name)(values, 1))


@pytest.mark.parametrize("name", ("sum", "mean", "max", "argmax", "argsort", "cumulative_sum"))
def test_an_axis_that_does_not_exist_is_refused_with_what_does(backend: Backend, name: str) -> None:
    with pytest.raises(ShapeError, match=rf"ops.{name} was asked for axis 3 of a tensor with 3 axes. Allowed: -3 to 2"):
        getattr(ops, name)(ops.asarray(VALUES), axis=3)
    with pytest.raises(ShapeError, match=rf"ops.{name} was asked for axis -1 of a tensor with 0 axes. It is a single number"):
        getattr(ops, name)(ops.asarray(1.0), axis=-1)


def test_an_axis_named_twice_is_refused(backend: Backend) -> None:
    with pytest.raises(ShapeError, match=r"ops.sum got an axis twice: \(0, -3\)"):
        ops.sum(ops.asarray(VALUES), (0, -3))


@pytest.mark.parametrize("name", ("max", "min", "mean"))
def test_nothing_has_no_largest_and_no_mean(backend: Backend, name: str) -> None:
    with pytest.raises(ShapeError, match=rf"ops.{name} over no elements has no value; the shape is \(0, 3\)"):
        getattr(ops, name)(ops.zeros((0, 3)), axis=0)
    assert getattr(ops, name)(ops.zeros((0, 3)), axis=1).shape == (0,)


def test_the_sum_of_nothing_is_zero_and_its_product_one(backend: Backend) -> None:
    assert ops.sum(ops.zeros((0, 2)), 0).numpy().tolist() == [0.0, 0.0]
    assert ops.prod(ops.zeros((0, 2)), 0).numpy().tolist() == [1.0, 1.0]
    assert not ops.any(ops.zeros((0,))) and ops.all(ops.zeros((0,)))


@pytest.mark.parametrize("name", ("sum", "mean", "max", "logsumexp"))
def test_a_number_reduces_to_itself(backend: Backend, name: str) -> None:
    result = getattr(ops, name)(ops.asarray(2.5))
    assert (result.shape, result.item()) == ((), 2.5)


@pytest.mark.parametrize("name", ("argmax", "argmin"))
@pytest.mark.parametrize("axis", (0, 1, -1))
def test_positions_are_numpys_and_the_first_of_equals(backend: Backend, name: str, axis: int) -> None:
    result = getattr(ops, name)(ops.asarray(VALUES), axis)
    assert result.dtype == "int32"
    np.testing.assert_array_equal(result.numpy(), getattr(np, name)(VALUES, axis))


@pytest.mark.parametrize("descending", (False, True))
def test_sorting_keeps_the_order_of_equals(backend: Backend, descending: bool) -> None:
    values = np.array([[2.0, 1.0, 2.0, 0.0, 1.0], [5.0, 5.0, 5.0, 5.0, 5.0]], np.float32)
    order = ops.argsort(ops.asarray(values), descending=descending)
    assert order.dtype == "int32"
    np.testing.assert_array_equal(order.numpy(), np.argsort(-values if descending else values, kind="stable"))


@pytest.mark.parametrize("axis", (0, 1, -1))
def test_running_sums_agree_with_numpy(backend: Backend, axis: int) -> None:
    np.testing.assert_allclose(ops.cumulative_sum(ops.asarray(VALUES), axis).numpy(), np.cumsum(VALUES, axis), rtol=1e-6)
