"""Promises of `contract.State`."""

from typing import Any

import numpy as np
import pytest

from babel_dl.backend import Backend
from babel_dl.testing.conformance.judge import expect, expect_array, expect_native, expect_same, numpy_dtype
from babel_dl.testing.conformance.steps import expect_variable, increment, total, variable

DTYPES = ("float32", "float16", "bfloat16", "int8", "int32", "uint8", "bool")


class StateConformance:
    """Variables outside of any trace."""

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_a_variable_holds_its_first_value_in_its_dtype(self, backend: Backend, dtype: str) -> None:
        trainable = dtype in ("float32", "float16", "bfloat16")
        for shape in ((), (3,), (0, 2), (2, 3), (3, 4, 8), (3, 3, 4, 8), (2, 3, 1, 2)):
            value = (np.arange(np.prod(shape)) % 5).reshape(shape)
            expect_native(
                backend, backend.read(backend.variable(value, dtype, trainable, "v")), value.astype(numpy_dtype(dtype)), dtype, 0.0
            )

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_assign_replaces_the_value_and_keeps_the_dtype(self, backend: Backend, dtype: str) -> None:
        for shape in ((), (2, 3), (3, 3, 4, 8)):
            storage = backend.variable(np.zeros(shape), dtype, False, "v")
            backend.assign(storage, backend.full(shape, True if dtype == "bool" else 3, dtype))
            expect_native(backend, backend.read(storage), np.full(shape, dtype == "bool" or 3), dtype, 0.0)

    def test_a_variable_shares_no_memory_with_its_first_value(self, backend: Backend) -> None:
        for count in (3, 100_000):
            source = np.ones(count, np.float32)
            storage = variable(backend, source)
            source[:] = 0
            expect_variable(backend, storage, np.ones(count))

    def test_a_convolution_kernel_is_read_in_the_order_it_was_given(self, backend: Backend) -> None:
        value = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
        storage = variable(backend, value)
        expect_variable(backend, storage, value)
        moved = backend.permute_dims(backend.asarray(value.transpose(3, 2, 0, 1), "float32"), (2, 3, 1, 0))
        backend.assign(storage, backend.multiply(moved, 2.0))
        expect_variable(backend, storage, value * 2)
        expect(backend.to_numpy(backend.read(storage)).flags.c_contiguous, "values on the host are not C-contiguous.")

    def test_a_value_that_was_read_stays_when_the_variable_changes(self, backend: Backend) -> None:
        storage = variable(backend, [1.0, 2.0])
        before = backend.read(storage)
        increment(backend, storage, 10)
        expect_native(backend, before, [1, 2], "float32")
        expect_variable(backend, storage, [11, 12])

    def test_an_array_from_to_numpy_stays_when_the_variable_changes(self, backend: Backend) -> None:
        for count in (2, 100_000):
            storage = variable(backend, np.ones(count))
            array = backend.to_numpy(backend.read(storage))
            increment(backend, storage)
            expect_array(array, np.ones(count))
            array[:] = 9
            expect_variable(backend, storage, np.full(count, 2))

    def test_variables_given_the_same_value_stay_apart(self, backend: Backend) -> None:
        first, second = variable(backend, [1.0, 2.0]), variable(backend, [0.0, 0.0])
        backend.assign(second, backend.read(first))
        increment(backend, first)
        expect_variable(backend, first, [2, 3])
        expect_variable(backend, second, [1, 2])

    def test_a_tensor_stays_when_the_variable_it_was_assigned_to_changes(self, backend: Backend) -> None:
        storage, value = variable(backend, [0.0, 0.0]), backend.asarray(np.array([5.0, 6.0]), "float32")
        backend.assign(storage, value)
        increment(backend, storage)
        expect_native(backend, value, [5, 6], "float32")

    def test_variables_of_one_name_are_two_variables(self, backend: Backend) -> None:
        first, second = (backend.variable(np.zeros(1), "float32", True, "same") for _ in range(2))
        increment(backend, first)
        expect_variable(backend, first, [1])
        expect_variable(backend, second, [0])

    def test_any_text_names_a_variable(self, backend: Backend) -> None:
        for name in ("/linear/0/weight", "", "a b:0", "ö"):
            expect_variable(backend, backend.variable(np.ones(1), "float32", True, name), [1])

    def test_no_gradient_flows_into_the_past_of_an_assigned_value(self, backend: Backend) -> None:
        weight, kept = variable(backend, 2.0), variable(backend, 0.0, trainable=False)

        def loss() -> tuple[Any, None]:
            backend.assign(kept, backend.multiply(backend.read(weight), 3.0))
            return backend.multiply(backend.read(kept), backend.read(weight)), None

        for _ in range(2):
            value, _, (gradient,) = backend.value_and_grad(loss, [weight])
            expect_native(backend, value, np.array(12.0), "float32")
            expect_native(backend, gradient, np.array(6.0), "float32")
        expect_variable(backend, kept, np.array(6.0))

    def test_a_variable_can_be_frozen_and_trained_again(self, backend: Backend) -> None:
        first, second = variable(backend, [1.0, 2.0]), variable(backend, [3.0, 4.0], trainable=False)

        def loss() -> tuple[Any, None]:
            return total(backend, backend.multiply(backend.read(first), backend.read(second))), None

        for trained, frozen in ((first, second), (second, first), (first, second)):
            backend.set_trainable(trained, True)
            backend.set_trainable(frozen, False)
            _, _, gradients = backend.value_and_grad(loss, [trained])
            expect_same(len(gradients), 1, "number of gradients")
            expect_native(backend, gradients[0], backend.to_numpy(backend.read(frozen)), "float32")

    def test_freezing_keeps_the_value(self, backend: Backend) -> None:
        storage = variable(backend, [1.0, 2.0])
        increment(backend, storage)
        backend.set_trainable(storage, False)
        expect_variable(backend, storage, [2, 3])
        increment(backend, storage)
        expect_variable(backend, storage, [3, 4])
