"""Python's operators on tensors, with tensors, numbers, numpy arrays and natives on either side (babilim's D17)."""

import operator

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.errors import ArgumentError, ShapeError
from babel_dl.ops import Tensor

BINARY = (operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow)
COMPARISONS = (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge)
LEFT = np.array([[1.5, -2.0, 3.0], [4.0, 0.5, -6.0]], np.float32)
RIGHT = np.array([[2.0, 3.0, -2.0], [1.0, 2.0, 4.0]], np.float32)


@pytest.mark.parametrize("action", (*BINARY, *COMPARISONS))
def test_an_operator_agrees_with_numpy_on_tensors_and_arrays(backend: Backend, action: object) -> None:
    wanted = action(LEFT, RIGHT)
    for left, right in ((ops.asarray(LEFT), ops.asarray(RIGHT)), (ops.asarray(LEFT), RIGHT), (LEFT, ops.asarray(RIGHT))):
        result = action(left, right)
        assert isinstance(result, Tensor)
        np.testing.assert_allclose(result.numpy(), wanted, rtol=1e-6)


@pytest.mark.parametrize("number", (2, 2.5, np.float32(2.5), np.float64(2.5), np.int64(2), True))
@pytest.mark.parametrize("action", (*BINARY, *COMPARISONS))
def test_an_operator_agrees_with_numpy_on_numbers(backend: Backend, action: object, number: float) -> None:
    values = np.abs(LEFT)
    x = ops.asarray(values)
    right, left = action(x, number), action(number, x)
    assert isinstance(right, Tensor) and isinstance(left, Tensor)
    np.testing.assert_allclose(right.numpy(), action(values, np.float32(number)), rtol=1e-5)
    np.testing.assert_allclose(left.numpy(), action(np.float32(number), values), rtol=1e-5)


def test_one_minus_a_tensor_and_twice_a_tensor(backend: Backend) -> None:
    t = ops.asarray([1.0, 4.0])
    assert (1 - t).numpy().tolist() == [0.0, -3.0]
    assert (2 * t).numpy().tolist() == [2.0, 8.0]
    assert (8 / t).numpy().tolist() == [8.0, 2.0]
    assert (2**t).numpy().tolist() == [2.0, 16.0]


def test_the_matrix_product_takes_arrays_on_both_sides(backend: Backend) -> None:
    wanted = LEFT @ RIGHT.T
    for left, right in ((ops.asarray(LEFT), ops.asarray(RIGHT.T)), (ops.asarray(LEFT), RIGHT.T), (LEFT, ops.asarray(RIGHT.T))):
        np.testing.assert_allclose((left @ right).numpy(), wanted, rtol=1e-6)


@pytest.mark.parametrize("shapes", [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((5, 2, 3), (3, 4)), ((5, 1, 2, 3), (6, 3, 4))])
def test_the_matrix_product_broadcasts_as_in_numpy(backend: Backend, shapes: tuple[tuple[int, ...], ...]) -> None:
    left, right = (np.arange(np.prod(shape), dtype=np.float32).reshape(shape) for shape in shapes)
    product = ops.asarray(left) @ ops.asarray(right)
    assert product.shape == (left @ right).shape
    np.testing.assert_allclose(product.numpy(), left @ right, rtol=1e-5)


@pytest.mark.parametrize("action", (operator.and_, operator.or_, operator.xor))
def test_bit_operators_agree_with_numpy(backend: Backend, action: object) -> None:
    numbers, bools = (np.array([[12, 10, -1], [10, 3, 5]], np.int32), np.array([[True, False], [True, True]]))
    for left, right in (numbers, bools):
        np.testing.assert_array_equal(action(ops.asarray(left), ops.asarray(right)).numpy(), action(left, right))
        np.testing.assert_array_equal(action(left, ops.asarray(right)).numpy(), action(left, right))
    assert action(6, ops.asarray([3])).item() == action(6, 3)


@pytest.mark.parametrize("dtype", ("bool", "int32", "int8", "uint8"))
def test_inversion_is_numpys(backend: Backend, dtype: str) -> None:
    values = np.array([0, 1, 1], dtype)
    inverted = ~ops.asarray(values)
    assert inverted.dtype == dtype
    np.testing.assert_array_equal(inverted.numpy(), ~values)


def test_signs(backend: Backend) -> None:
    x = ops.asarray([-1.5, 2.0])
    assert ((-x).numpy().tolist(), (+x).numpy().tolist(), abs(x).numpy().tolist()) == ([1.5, -2.0], [-1.5, 2.0], [1.5, 2.0])


def test_floor_division_and_remainder_take_pythons_signs(backend: Backend) -> None:
    x = ops.asarray([-7, -7, 7, 7], "int32")
    y = ops.asarray([2, -2, 2, -2], "int32")
    assert (x // y).numpy().tolist() == [-7 // 2, -7 // -2, 7 // 2, 7 // -2]
    assert (x % y).numpy().tolist() == [-7 % 2, -7 % -2, 7 % 2, 7 % -2]


def test_shapes_broadcast_as_in_numpy(backend: Backend) -> None:
    x, y = np.arange(3, dtype=np.float32).reshape(3, 1), np.arange(4, dtype=np.float32)
    np.testing.assert_array_equal((ops.asarray(x) + ops.asarray(y)).numpy(), x + y)


@pytest.mark.parametrize("action", (operator.add, operator.mul, operator.lt))
def test_shapes_that_do_not_fit_are_both_named(backend: Backend, action: object) -> None:
    with pytest.raises(ShapeError, match=r"got shapes \(2, 3\) and \(2, 2\), which do not fit.\n  Aligned at the last axis"):
        action(ops.ones((2, 3)), ops.ones((2, 2)))


@pytest.mark.parametrize("shapes", [((2, 3), (2, 3)), ((3,), (4,)), ((2, 3), ()), ((2, 5, 3), (4, 3, 1))])
def test_matrices_that_do_not_fit_are_both_named(backend: Backend, shapes: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ShapeError, match=r"ops.matmul got shapes \(.*\) and \(.*\), which do not fit"):
        ops.ones(shapes[0]) @ ops.ones(shapes[1])


@pytest.mark.parametrize("stranger", ("text", None, [1.0], {"a": 1}, object()))
def test_strangers_are_refused_by_python_itself(backend: Backend, stranger: object) -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        ops.ones(1) + stranger
    with pytest.raises(TypeError, match="unsupported operand|can only concatenate"):
        stranger - ops.ones(1) if not isinstance(stranger, (str, list)) else stranger + ops.ones(1)
    assert (ops.ones(1) == stranger) is False
    assert (ops.ones(1) != stranger) is True


def test_a_tensor_can_be_hashed(backend: Backend) -> None:
    x, y = ops.ones(2), ops.ones(2)
    assert hash(x) == hash(x)
    assert {x: "x", y: "y"}[y] == "y"
    assert len({x, y, x}) == 2


def test_an_augmented_assignment_makes_a_new_tensor(backend: Backend) -> None:
    x = before = ops.asarray([2.0])
    x /= 2
    assert (x.item(), before.item()) == (1.0, 2.0)


def test_the_truth_of_many_elements_is_refused(backend: Backend) -> None:
    assert bool(ops.asarray([1.0]))
    assert not ops.asarray(0)
    with pytest.raises(ShapeError, match=r"item\(\) needs a tensor with one element; this one has shape \(2,\)"):
        bool(ops.ones(2))


def test_only_a_whole_number_is_an_index(backend: Backend) -> None:
    assert ["a", "b", "c"][ops.asarray(2)] == "c"
    assert list(range(ops.asarray(3))) == [0, 1, 2]
    for dtype in ("float32", "bool"):
        with pytest.raises(ArgumentError, match=f"Only a whole number can be an index; this tensor is {dtype}"):
            ["a", "b"][ops.ones((), dtype)]
