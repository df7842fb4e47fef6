"""Which element type a result has: the table of the Python array API standard, with weak Python numbers."""

import operator

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.backend.dtypes import BOOL, FLOATS, INTEGERS, promote, promote_scalar
from babel_dl.errors import DTypeError

ON_ALL_BACKENDS = ("bool", "uint8", "int8", "int16", "int32", "float16", "float32")
"""Types that PyTorch calculates with and that JAX has in its 32-bit mode."""


@pytest.mark.parametrize("second", (BOOL, *INTEGERS))
@pytest.mark.parametrize("first", (BOOL, *INTEGERS))
def test_two_integer_types_meet_where_numpy_says(first: str, second: str) -> None:
    wanted = np.promote_types(first, second).name
    if wanted == "float64":
        with pytest.raises(DTypeError, match=f"no integer type that holds both .*{second}|no integer type that holds both .*{first}"):
            promote(first, second)
    else:
        assert promote(first, second) == promote(second, first) == wanted


@pytest.mark.parametrize("second", ("float16", "float32", "float64"))
@pytest.mark.parametrize("first", ("float16", "float32", "float64"))
def test_two_float_types_meet_where_numpy_says(first: str, second: str) -> None:
    assert promote(first, second) == np.promote_types(first, second).name


@pytest.mark.parametrize("other", ("float32", "float64"))
def test_bfloat16_widens_to_the_larger_float(other: str) -> None:
    assert promote("bfloat16", other) == promote(other, "bfloat16") == other


def test_the_two_half_precisions_meet_in_float32() -> None:
    assert promote("bfloat16", "float16") == "float32"


@pytest.mark.parametrize("real", FLOATS)
@pytest.mark.parametrize("whole", (BOOL, *INTEGERS))
def test_an_integer_tensor_takes_the_type_of_the_float_tensor(whole: str, real: str) -> None:
    assert promote(whole, real) == promote(real, whole) == real


@pytest.mark.parametrize(
    ("dtype", "number", "wanted"),
    [
        ("float16", 2, "float16"), ("float32", 2.5, "float32"), ("float64", True, "float64"), ("int8", 2, "int8"), ("uint8", 2, "uint8"),
        ("int8", 2.5, "float32"), ("int32", True, "int32"), ("bool", True, "bool"), ("bool", 2, "int32"), ("bool", 2.5, "float32"),
    ],
)  # fmt: skip
def test_a_python_number_is_weak(dtype: str, number: float, wanted: str) -> None:
    assert promote_scalar(dtype, number) == wanted


@pytest.mark.parametrize("second", ON_ALL_BACKENDS)
@pytest.mark.parametrize("first", ON_ALL_BACKENDS)
def test_the_backends_follow_the_table(backend: Backend, first: str, second: str) -> None:
    x, y = ops.asarray([1, 0], first), ops.asarray([1, 1], second)
    wanted = promote(first, second)
    arithmetic = "int32" if wanted == "bool" else wanted
    assert [(x + y).dtype, (x * y).dtype, (x - y).dtype] == [arithmetic] * 3
    assert (x + y).numpy().dtype.name == arithmetic
    assert [ops.where(x > 0, x, y).dtype, ops.concat([x, y]).dtype, ops.stack([x, y]).dtype] == [wanted] * 3
    assert [(x < y).dtype, (x == y).dtype] == ["bool", "bool"]
    np.testing.assert_array_equal((x + y).numpy(), [2, 1])


@pytest.mark.parametrize("dtype", ("uint8", "int8", "int16", "int32", "float16", "float32"))
@pytest.mark.parametrize("action", (operator.add, operator.sub, operator.mul, operator.floordiv, operator.mod, operator.pow))
def test_a_whole_python_number_keeps_the_type_on_both_sides(backend: Backend, action: object, dtype: str) -> None:
    x = ops.asarray([1, 2, 3], dtype)
    assert action(x, 2).dtype == dtype
    assert action(7, x).dtype == dtype
    np.testing.assert_array_equal(action(x, 2).numpy(), action(np.array([1, 2, 3], "int64"), 2).astype(dtype))
    np.testing.assert_array_equal(action(7, x).numpy(), action(7, np.array([1, 2, 3])).astype(dtype))


@pytest.mark.parametrize("dtype", ("bool", "uint8", "int8", "int32"))
def test_a_fraction_turns_integers_into_float32(backend: Backend, dtype: str) -> None:
    x = ops.asarray([1, 0], dtype)
    assert [(x * 0.5).dtype, (0.5 + x).dtype, (x / 2).dtype, (1.5 - x).dtype] == ["float32"] * 4
    np.testing.assert_array_equal((x * 0.5).numpy(), [0.5, 0.0])


@pytest.mark.parametrize(("dtype", "number"), [("int8", 128), ("int8", -129), ("uint8", 256), ("uint8", -1), ("int32", 2**31)])
def test_a_number_too_large_for_the_type_is_refused(backend: Backend, dtype: str, number: int) -> None:
    x = ops.asarray([1, 2], dtype)
    with pytest.raises(DTypeError, match=rf"^{number} does not fit into {dtype}.* Cast the tensor with astype first"):
        x + number
    with pytest.raises(DTypeError, match=rf"^{number} does not fit into {dtype}"):
        number * x


@pytest.mark.parametrize(("dtype", "number"), [("int8", 127), ("int8", -128), ("uint8", 255), ("int32", -(2**31)), ("int32", 2**31 - 1)])
def test_the_largest_and_smallest_numbers_of_a_type_are_accepted(backend: Backend, dtype: str, number: int) -> None:
    assert (ops.zeros(2, dtype) + number).numpy().tolist() == [number, number]


def test_integers_wrap_around_as_in_numpy(backend: Backend) -> None:
    values = np.array([2**31 - 1, -(2**31), 123456789], np.int32)
    np.testing.assert_array_equal((ops.asarray(values) * 3).numpy(), values * np.int32(3))


@pytest.mark.parametrize(
    "name", ("divide", "exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tanh", "erf", "mean", "sigmoid", "softplus", "var")
)
@pytest.mark.parametrize("dtype", ("int32", "uint8", "bool"))
def test_functions_without_a_whole_result_give_float32_for_integers(backend: Backend, name: str, dtype: str) -> None:
    x = ops.asarray([1, 1], dtype)
    assert getattr(ops, name)(*(x, x) if name == "divide" else (x,)).dtype == "float32"


@pytest.mark.parametrize("dtype", ("float16", "bfloat16", "float32"))
@pytest.mark.parametrize(
    "name", ("exp", "sqrt", "sigmoid", "softmax", "gelu", "elu", "silu", "relu", "leaky_relu", "logsumexp", "mean", "sum", "var")
)
def test_functions_keep_the_float_type(backend: Backend, name: str, dtype: str) -> None:
    assert getattr(ops, name)(ops.asarray([0.5, 1.5], dtype)).dtype == dtype


def test_bools_count_as_int32_when_they_are_added_up(backend: Backend) -> None:
    total = ops.sum(ops.asarray([True, False, True]))
    assert (total.dtype, total.item()) == ("int32", 2)


def test_sums_of_integers_keep_their_type(backend: Backend) -> None:
    assert ops.asarray([1, 2], "uint8").sum().dtype == "uint8"


def test_a_cast_to_an_unknown_type_offers_the_nearest_name(backend: Backend) -> None:
    with pytest.raises(DTypeError, match="There is no element type 'flaot32'. Did you mean 'float32'"):
        ops.ones(2).astype("flaot32")


def test_a_cast_cuts_towards_zero(backend: Backend) -> None:
    assert ops.asarray([-1.7, 1.7]).astype("int32").numpy().tolist() == [-1, 1]


def test_float64_is_there_for_those_who_ask_where_the_backend_has_it(backend: Backend) -> None:
    try:
        x = ops.asarray([1.0], "float64")
    except DTypeError as error:
        assert "float64" in str(error)
    else:
        assert [(x + 1).dtype, (x * ops.ones(1)).dtype, (x * 0.5).dtype, ops.exp(x).dtype] == ["float64"] * 4
