"""The handle: what it tells about its tensor, and its methods."""

import copy

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.errors import ShapeError
from babel_dl.ops import ITensor, Tensor

VALUES = np.array([[3.0, 1.0, 2.0], [0.0, 5.0, 4.0]], np.float32)


def test_a_tensor_tells_shape_type_and_place(backend: Backend) -> None:
    x = ops.asarray(VALUES)
    assert (x.shape, x.ndim, x.size, x.dtype, x.device, len(x)) == ((2, 3), 2, 6, "float32", "cpu", 2)
    assert x.backend is backend
    assert backend.is_native(x.native)
    assert isinstance(x, ITensor)


def test_a_tensor_holds_no_attributes_of_its_own(backend: Backend) -> None:
    with pytest.raises(AttributeError, match="note"):
        ops.ones(1).note = "a handle costs two references, no dictionary"


@pytest.mark.parametrize("name", ("sum", "mean", "prod", "max", "min"))
@pytest.mark.parametrize("axis", (None, 0, -1, (0, 1)))
@pytest.mark.parametrize("keepdims", (False, True))
def test_a_reducing_method_agrees_with_numpy(backend: Backend, name: str, axis: object, keepdims: bool) -> None:
    result = getattr(ops.asarray(VALUES), name)(axis=axis, keepdims=keepdims)
    wanted = getattr(VALUES, name)(axis=axis, keepdims=keepdims)
    assert result.shape == np.shape(wanted)
    np.testing.assert_allclose(result.numpy(), wanted, rtol=1e-6)


def test_positions_agree_with_numpy(backend: Backend) -> None:
    x = ops.asarray(VALUES)
    np.testing.assert_array_equal(x.argmax().numpy(), VALUES.argmax(-1))
    np.testing.assert_array_equal(x.argmin(axis=0).numpy(), VALUES.argmin(0))
    assert x.argmax(axis=1, keepdims=True).shape == (2, 1)


def test_any_and_all_are_tensors_that_python_can_ask(backend: Backend) -> None:
    x = ops.asarray(VALUES)
    assert x.any() and not x.all()
    assert (x.any().dtype, x.all(axis=0).numpy().tolist()) == ("bool", [False, True, True])


def test_item_is_a_python_number(backend: Backend) -> None:
    for value, kind in ((1.5, float), (3, int), (True, bool)):
        assert type(ops.asarray([[value]]).item()) is kind
        assert ops.asarray(value).item() == value
    with pytest.raises(ShapeError, match=r"item\(\) needs a tensor with one element; this one has shape \(2, 3\). Index it, or call numpy"):
        ops.asarray(VALUES).item()


def test_numbers_come_out_by_conversion(backend: Backend) -> None:
    assert (float(ops.asarray(2)), int(ops.asarray(2.7)), f"{float(ops.asarray([1.25])):.1f}") == (2.0, 2, "1.2")


def test_a_tensor_iterates_over_its_first_axis(backend: Backend) -> None:
    rows = [row.numpy() for row in ops.asarray(VALUES)]
    np.testing.assert_array_equal(np.stack(rows), VALUES)
    first, second = ops.asarray([1.0, 2.0])
    assert (first.item(), second.item()) == (1.0, 2.0)


def test_a_number_has_no_length(backend: Backend) -> None:
    with pytest.raises(ShapeError, match="A tensor without axes has no length"):
        len(ops.asarray(1.0))
    with pytest.raises(ShapeError, match="A tensor without axes has no length"):
        list(ops.asarray(1.0))


def test_a_copy_has_memory_of_its_own(backend: Backend) -> None:
    x = ops.asarray(VALUES)
    twin = x.copy()
    assert twin.native is not x.native
    assert np.from_dlpack(twin).ctypes.data != np.from_dlpack(x).ctypes.data
    np.testing.assert_array_equal(twin.numpy(), VALUES)


def test_a_deep_copy_stays_on_its_backend(backend: Backend) -> None:
    twin = copy.deepcopy({"x": [ops.asarray(VALUES)]})["x"][0]
    assert twin.backend is backend
    np.testing.assert_array_equal((twin + ops.asarray(VALUES)).numpy(), 2 * VALUES)


def test_reshape_takes_sizes_one_by_one_or_together(backend: Backend) -> None:
    x = ops.asarray(VALUES)
    for result in (x.reshape(3, 2), x.reshape((3, 2)), x.reshape([3, 2]), x.reshape(-1, 2)):
        np.testing.assert_array_equal(result.numpy(), VALUES.reshape(3, 2))
    assert x.reshape(-1).shape == (6,)


def test_the_transpose_is_of_matrices(backend: Backend) -> None:
    np.testing.assert_array_equal(ops.asarray(VALUES).T.numpy(), VALUES.T)
    with pytest.raises(ShapeError, match=r"T needs a matrix; this tensor has shape \(2,\). Use ops.permute_dims"):
        _ = ops.ones(2).T


def test_a_tensor_moves_to_the_device_it_is_on(backend: Backend) -> None:
    np.testing.assert_array_equal(ops.asarray(VALUES).to("cpu").numpy(), VALUES)


def test_the_printed_form_shows_values_shape_and_backend(backend: Backend) -> None:
    assert repr(ops.asarray([1.0, 2.0])) == f"Tensor([1. 2.], shape=(2,), dtype=float32, backend={backend.name})"
    assert len(repr(ops.zeros((1000, 1000)))) < 500


def test_numpy_sees_an_array(backend: Backend) -> None:
    x = ops.asarray(VALUES)
    np.testing.assert_array_equal(np.asarray(x), VALUES)
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    assert np.stack([x, x]).shape == (2, 2, 3)


def test_a_handle_around_a_native_is_its_tensor(backend: Backend) -> None:
    native = backend.asarray(VALUES, "float32")
    assert Tensor(native, backend).native is native
