"""What comes in from the host: numpy arrays, numbers and lists, in at most 32 bit; and what is made from nothing."""

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.backend import Backend, load_backend
from babel_dl.core import Variable
from babel_dl.errors import DTypeError


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (1, "int32"), (1.5, "float32"), (True, "bool"), ([1, 2], "int32"), ([[1.0], [2.0]], "float32"), ([True, False], "bool"),
        ([1, 2.5], "float32"), (np.float64(1.5), "float32"), (np.int64(1), "int32"), (np.float32(1), "float32"), (np.int8(1), "int8"),
        (np.bool_(True), "bool"), (np.ones(2), "float32"), (np.ones(2, np.int64), "int32"), (np.ones(2, np.uint64), "int32"),
        (np.ones(2, np.uint8), "uint8"), (np.ones(2, np.float16), "float16"), (np.ones(2, np.int16), "int16"), ([], "float32"),
        ((1.0, 2.0), "float32"),
    ],
)  # fmt: skip
def test_host_values_come_in_at_most_32_bit(backend: Backend, value: object, wanted: str) -> None:
    tensor = ops.asarray(value)
    assert tensor.dtype == wanted
    assert tensor.numpy().dtype.name == wanted
    np.testing.assert_array_equal(tensor.numpy(), np.asarray(value))


@pytest.mark.parametrize(
    "formula",
    [
        lambda x: x + np.ones(3), lambda x: np.ones(3) * x, lambda x: x - np.float64(1), lambda x: np.float64(0.1) * x, lambda x: x**0.5,
        lambda x: ops.where(x > 0, x, np.zeros(3)), lambda x: ops.maximum(x, np.zeros(3)), lambda x: ops.concat([x, np.zeros(3)]),
        lambda x: x @ np.ones((3, 2)), lambda x: ops.clip(x, 0.0, 1.0), lambda x: x / np.int64(2),
    ],
)  # fmt: skip
@pytest.mark.parametrize("dtype", ("float32", "int32"))
def test_float64_never_comes_by_accident(backend: Backend, formula: object, dtype: str) -> None:
    result = formula(ops.asarray([1, 2, 3], dtype))
    assert result.dtype in ("float32", "int32")


@pytest.mark.parametrize("number", (2**31, -(2**31) - 1, 2**40))
def test_whole_numbers_beyond_32_bit_are_never_cut(backend: Backend, number: int) -> None:
    with pytest.raises(DTypeError, match=rf"Whole numbers from {number} to {number} do not fit into int32.*\n.*dtype=\"int64\""):
        ops.asarray(number)
    with pytest.raises(DTypeError, match="do not fit into int32"):
        ops.asarray(np.array([number]))
    with pytest.raises(DTypeError, match="do not fit into int32"):
        ops.full((2,), number)
    with pytest.raises(DTypeError, match="do not fit into int32"):
        Variable(number, trainable=False)


@pytest.mark.parametrize(("value", "named"), [("text", "str"), (np.array(["a"]), "str"), (1j, "complex"), (None, "object")])
def test_values_that_are_no_numbers_are_refused_with_their_type(backend: Backend, value: object, named: str) -> None:
    with pytest.raises(DTypeError, match=f"There is no element type '{named}"):
        ops.asarray(value)


def test_a_type_that_does_not_exist_is_refused(backend: Backend) -> None:
    with pytest.raises(DTypeError, match="no element type 'int33'. Did you mean 'int32'"):
        ops.zeros((2,), "int33")


def test_a_tensor_comes_back_as_it_is(backend: Backend) -> None:
    x = ops.ones(2)
    assert ops.asarray(x) is x
    assert ops.asarray(x, "int32").dtype == "int32"


def test_a_tensor_does_not_see_later_changes_of_the_array(backend: Backend) -> None:
    array = np.zeros(8, np.float32)
    x = ops.asarray(array)
    array[:] = 7
    np.testing.assert_array_equal(x.numpy(), np.zeros(8))


def test_numpy_gives_memory_of_its_own(backend: Backend) -> None:
    x = ops.zeros(8)
    x.numpy()[:] = 7
    np.testing.assert_array_equal(x.numpy(), np.zeros(8))


@pytest.mark.parametrize(
    "array", [np.arange(12).reshape(3, 4).T, np.arange(12)[::-2], np.asfortranarray(np.ones((2, 3))), np.zeros((0, 3))]
)
def test_arrays_of_every_memory_order_come_in(backend: Backend, array: np.ndarray) -> None:
    np.testing.assert_array_equal(ops.asarray(array).numpy(), array)


def test_a_read_only_array_comes_in(backend: Backend) -> None:
    array = np.ones(4, np.float32)
    array.flags.writeable = False
    np.testing.assert_array_equal((ops.asarray(array) + 1).numpy(), np.full(4, 2.0))


@pytest.mark.parametrize("dtype", ("float32", "int32", "uint8", "bool"))
def test_tensors_from_nothing(backend: Backend, dtype: str) -> None:
    for made, value in ((ops.zeros((2, 3), dtype), 0), (ops.ones((2, 3), dtype), 1), (ops.full((2, 3), 1, dtype), 1)):
        assert made.dtype == dtype
        np.testing.assert_array_equal(made.numpy(), np.full((2, 3), value, dtype))
    like = ops.ones_like(ops.zeros((4, 1), dtype))
    assert (like.shape, like.dtype, like.backend) == ((4, 1), dtype, backend)
    assert ops.zeros_like(like, "float32").dtype == "float32"


def test_a_size_alone_is_a_shape_of_one_axis(backend: Backend) -> None:
    assert (ops.zeros(3).shape, ops.ones(0).shape, ops.full(2, 1.5).dtype) == ((3,), (0,), "float32")


@pytest.mark.parametrize("bounds", [(5,), (2, 7), (2, 9, 3), (7, 2, -2), (0, 0), (5, 2)])
def test_arange_counts_as_range_does(backend: Backend, bounds: tuple[int, ...]) -> None:
    counted = ops.arange(*bounds)
    assert counted.dtype == "int32"
    assert counted.numpy().tolist() == list(range(*bounds))


def test_a_tensor_can_be_made_on_a_backend_that_is_not_in_force(backend: Backend, backend_names: tuple[str, ...]) -> None:
    for name in backend_names:
        assert ops.asarray([1.0], backend=load_backend(name)).backend.name == name
