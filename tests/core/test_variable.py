"""Variables: values that outlive a step."""

import copy
import gc
import weakref

import numpy as np
import pytest

from babel_dl import ops, use_backend
from babel_dl.backend import Backend
from babel_dl.core import Tensor, Variable
from babel_dl.core.variable import dry_run
from babel_dl.errors import ArgumentError, DTypeError, ShapeError


def test_a_variable_works_wherever_a_tensor_does(backend: Backend) -> None:
    v = Variable(np.array([[1.0, 2.0], [3.0, 4.0]]), path="/w")
    assert (v.shape, v.dtype, v.ndim, v.size, v.backend, v.trainable) == ((2, 2), "float32", 2, 4, backend, True)
    for result in (v + 1, 1 - v, v @ v, ops.exp(v), v.sum(), v[0], -v):
        assert isinstance(result, Tensor)
    np.testing.assert_array_equal((2 * v).numpy(), [[2.0, 4.0], [6.0, 8.0]])
    np.testing.assert_array_equal(np.asarray(v), v.numpy())


def test_an_assigned_value_stays(backend: Backend) -> None:
    v = Variable([1.0, 2.0])
    for value in (np.array([3.0, 4.0]), ops.asarray([3.0, 4.0]), [3.0, 4.0], Variable([3.0, 4.0]), np.array([3, 4])):
        v.assign([0.0, 0.0])
        v.assign(value)
        assert v.numpy().tolist() == [3.0, 4.0]
        assert v.dtype == "float32"


def test_a_value_read_before_does_not_change_with_the_variable(backend: Backend) -> None:
    v = Variable([1.0, 2.0])
    before, copied, host = v.value, v.copy(), v.numpy()
    v.assign([5.0, 6.0])
    assert before.numpy().tolist() == copied.numpy().tolist() == host.tolist() == [1.0, 2.0]


def test_a_variable_keeps_nothing_of_the_array_it_came_from(backend: Backend) -> None:
    array = np.zeros(64, np.float32)
    v = Variable(array)
    array[:] = 7
    assert not v.numpy().any()
    v.assign(array)
    array[:] = 9
    assert v.numpy().tolist() == [7.0] * 64


def test_another_shape_is_refused_and_the_variable_is_named(backend: Backend) -> None:
    v = Variable([1.0, 2.0], path="/net/bias")
    with pytest.raises(ShapeError, match=r"Variable '/net/bias' has shape \(2,\), and a value of shape \(1,\) was assigned.\n  The shape"):
        v.assign([1.0])
    assert v.numpy().tolist() == [1.0, 2.0]


@pytest.mark.parametrize("dtype", ("int32", "bool", "uint8"))
def test_only_floats_can_be_trained(backend: Backend, dtype: str) -> None:
    with pytest.raises(ArgumentError, match=f"Variable '/count' is {dtype} and cannot be trained: pass trainable=False"):
        Variable(np.ones(2), path="/count", dtype=dtype)
    assert Variable(np.ones(2), dtype=dtype, trainable=False).dtype == dtype


def test_a_type_that_does_not_exist_is_refused(backend: Backend) -> None:
    with pytest.raises(DTypeError, match="There is no element type 'float31'. Did you mean 'float"):
        Variable([1], dtype="float31", trainable=False)


def test_a_frozen_parameter_can_be_thawed_and_a_statistic_never_trains(backend: Backend) -> None:
    parameter, statistic = Variable([1.0]), Variable([1.0], trainable=False, path="/bn/running_mean")
    parameter.trainable = False
    assert not parameter.trainable and parameter.is_parameter
    parameter.trainable = True
    assert parameter.trainable
    with pytest.raises(ArgumentError, match="Variable '/bn/running_mean' is state that layers keep, not a parameter"):
        statistic.trainable = True


def test_augmented_assignment_changes_the_variable_in_place(backend: Backend) -> None:
    v = same = Variable([6.0])
    v += 2
    v -= ops.asarray([1.0])
    v *= 3
    v /= np.float32(7)
    assert v is same
    assert same.numpy().tolist() == [3.0]


def test_nothing_is_written_in_a_dry_run(backend: Backend) -> None:
    v = Variable([1.0])
    with dry_run():
        v.assign([2.0])
    assert v.numpy().tolist() == [1.0]


def test_a_variable_stays_on_the_backend_it_was_made_on(backend: Backend, backend_name: str) -> None:
    with use_backend("jax" if backend_name != "jax" else "torch"):
        v = Variable([1.0], backend=backend)
        assert (v + 1).backend is backend


def test_a_deep_copy_is_a_variable_of_its_own(backend: Backend) -> None:
    v = Variable([1.0], path="/w")
    v.trainable = False
    twin = copy.deepcopy(v)
    twin.assign([9.0])
    assert v.numpy().tolist() == [1.0]
    assert (twin.backend, twin.path, twin.trainable, twin.is_parameter) == (backend, "/w", False, True)


def test_variables_are_hashed_by_identity(backend: Backend) -> None:
    v, w = Variable([1.0]), Variable([1.0])
    assert {v: 1, w: 2}[w] == 2


def test_a_variable_that_nobody_holds_is_freed(backend: Backend) -> None:
    class Held(Variable):
        """A variable that can be watched."""

        __slots__ = ("__weakref__",)

    watched = weakref.ref(Held(np.ones(4)))
    gc.collect()
    assert watched() is None, "babilim kept every variable alive in a global dictionary (D15)"


def test_the_printed_form_shows_path_and_shape(backend: Backend) -> None:
    assert repr(Variable([1.0], path="/w")) == f"Variable('/w', shape=(1,), dtype=float32, trainable, backend={backend.name})"
    assert "not trainable" in repr(Variable([1.0], trainable=False))


@pytest.mark.parametrize("backend_name", ["torch", "tensorflow"])  # JAX has 64 bits only when it is told at its start
@pytest.mark.parametrize(("dtype", "value"), [("float64", 1 / 3), ("int64", 2**40 + 1)])
def test_wide_values_are_assigned_without_passing_through_32_bits(backend: Backend, dtype: str, value: float) -> None:
    variable = Variable(np.zeros(2, dtype), trainable=False, dtype=dtype)
    variable.assign(np.full(2, value, dtype))
    assert variable.numpy().tolist() == [value, value]
