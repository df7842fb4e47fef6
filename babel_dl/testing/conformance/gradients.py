"""Promises of `contract.Transforms` about gradients."""

from typing import Any, NamedTuple

import numpy as np
import pytest

from babel_dl.backend import Backend
from babel_dl.testing.conformance.judge import expect, expect_native, expect_same
from babel_dl.testing.conformance.steps import expect_variable, increment, total, variable


class Parts(NamedTuple):
    """By-products of a loss."""

    square: Any
    nothing: None
    label: str


class PlannedError(Exception):
    """Raised by tests inside a differentiated or compiled function."""


class GradientConformance:
    """`value_and_grad`, `stop_gradient`, `without_gradients`, eagerly."""

    def test_value_and_gradients_come_in_the_order_of_the_variables(self, backend: Backend) -> None:
        first, second = variable(backend, [1.0, 2.0]), variable(backend, [[3.0], [5.0]])

        def loss() -> tuple[Any, None]:
            return total(backend, backend.multiply(backend.read(first), backend.read(second))), None

        for storages, wanted in (([first, second], ([8, 8], [[3], [3]])), ((second, first), ([[3], [3]], [8, 8]))):
            value, aux, gradients = backend.value_and_grad(loss, storages)
            expect_native(backend, value, np.array(24.0), "float32")
            expect_same((aux, type(gradients), len(gradients)), (None, list, 2), "by-products and gradients")
            for gradient, reference in zip(gradients, wanted, strict=True):
                expect_native(backend, gradient, reference, "float32")

    def test_the_function_runs_once(self, backend: Backend) -> None:
        storage, calls = variable(backend, 3.0), []

        def loss() -> tuple[Any, None]:
            calls.append(1)
            return backend.square(backend.read(storage)), None

        for _ in range(3):
            _, _, (gradient,) = backend.value_and_grad(loss, [storage])
            expect_native(backend, gradient, np.array(6.0), "float32")
        expect_same(len(calls), 3, "runs in three calls")

    def test_only_the_variables_asked_for_get_gradients(self, backend: Backend) -> None:
        asked, other = variable(backend, 2.0), variable(backend, 5.0)
        _, _, gradients = backend.value_and_grad(lambda: (backend.multiply(backend.read(asked), backend.read(other)), None), [asked])
        expect_same(len(gradients), 1, "number of gradients")
        expect_native(backend, gradients[0], np.array(5.0), "float32")

    def test_the_gradient_of_an_unread_variable_is_none(self, backend: Backend) -> None:
        read, unread = variable(backend, 2.0), variable(backend, [1.0, 1.0])
        _, _, gradients = backend.value_and_grad(lambda: (backend.square(backend.read(read)), None), [unread, read])
        expect(gradients[0] is None, f"got {gradients[0]!r} for a variable that is not read.")
        expect_native(backend, gradients[1], np.array(4.0), "float32")

    def test_the_gradient_of_a_variable_that_the_value_ignores_is_none(self, backend: Backend) -> None:
        used, ignored = variable(backend, 2.0), variable(backend, 7.0)

        def loss() -> tuple[Any, Any]:
            return backend.square(backend.read(used)), backend.square(backend.read(ignored))

        _, aux, gradients = backend.value_and_grad(loss, [used, ignored])
        expect_native(backend, aux, np.array(49.0), "float32")
        expect(gradients[1] is None, f"got {gradients[1]!r} for a variable that only a by-product depends on.")

    def test_a_constant_value_has_no_gradients(self, backend: Backend) -> None:
        storage = variable(backend, 2.0)
        value, _, gradients = backend.value_and_grad(lambda: (backend.full((), 3, "float32"), None), [storage])
        expect_native(backend, value, np.array(3.0), "float32")
        expect_same(gradients, [None], "gradients")

    def test_no_variables_are_allowed(self, backend: Backend) -> None:
        storage = variable(backend, 2.0)
        value, _, gradients = backend.value_and_grad(lambda: (backend.square(backend.read(storage)), None), [])
        expect_native(backend, value, np.array(4.0), "float32")
        expect_same(gradients, [], "gradients")

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
    def test_a_narrow_variable_has_a_narrow_gradient(self, backend: Backend, dtype: str) -> None:
        storage = variable(backend, [1.0, 2.0], dtype)
        value, _, (gradient,) = backend.value_and_grad(lambda: (total(backend, backend.square(backend.read(storage))), None), [storage])
        expect_native(backend, value, np.array(5.0), dtype)
        expect_native(backend, gradient, [2, 4], dtype)

    def test_by_products_keep_their_structure(self, backend: Backend) -> None:
        storage = variable(backend, 3.0)

        def loss() -> tuple[Any, Any]:
            square = backend.square(backend.read(storage))
            return square, {"parts": Parts(square, None, "name"), "list": [square, 2, (1.5,)], "none": None}

        value, aux, _ = backend.value_and_grad(loss, [storage])
        expect_same(list(aux), ["parts", "list", "none"], "keys")
        expect_same(type(aux["parts"]), Parts, "type of a named tuple")
        expect_same((aux["parts"][1:], aux["list"][1:], aux["none"]), ((None, "name"), [2, (1.5,)], None), "constants")
        for native in (value, aux["parts"].square, aux["list"][0]):
            expect_native(backend, native, np.array(9.0), "float32")

    def test_writes_made_inside_hold_afterwards(self, backend: Backend) -> None:
        weight, counter, last = variable(backend, 3.0), variable(backend, 0, "int32", False), variable(backend, 0.0, trainable=False)

        def loss() -> tuple[Any, Any]:
            increment(backend, counter)
            value = backend.square(backend.read(weight))
            backend.assign(last, value)
            return value, backend.read(counter)

        for call in (1, 2, 3):
            _, seen, (gradient,) = backend.value_and_grad(loss, [weight])
            expect_native(backend, seen, np.array(call), "int32")
            expect_native(backend, gradient, np.array(6.0), "float32")
            expect_variable(backend, counter, np.array(call), "int32")
        expect_variable(backend, last, np.array(9.0))

    def test_a_variable_may_be_written_after_the_value_used_it(self, backend: Backend) -> None:
        weight, center = variable(backend, 3.0), variable(backend, 2.0, trainable=False)

        def loss() -> tuple[Any, None]:
            value = backend.square(backend.multiply(backend.read(weight), backend.read(center)))
            increment(backend, center)
            backend.assign(weight, backend.multiply(backend.read(weight), 2.0))
            return value, None

        w, c = 3.0, 2.0
        for _ in range(2):
            value, _, (gradient,) = backend.value_and_grad(loss, [weight])
            expect_native(backend, value, np.array((w * c) ** 2), "float32")
            expect_native(backend, gradient, np.array(2 * w * c**2), "float32")
            w, c = 2 * w, c + 1
            expect_variable(backend, weight, np.array(w))
            expect_variable(backend, center, np.array(c))

    def test_gradients_of_two_calls_do_not_add_up(self, backend: Backend) -> None:
        storage = variable(backend, 2.0)
        for _ in range(3):
            _, _, (gradient,) = backend.value_and_grad(lambda: (backend.square(backend.read(storage)), None), [storage])
            expect_native(backend, gradient, np.array(4.0), "float32")
        backend.assign(storage, backend.full((), 5, "float32"))
        _, _, (gradient,) = backend.value_and_grad(lambda: (backend.square(backend.read(storage)), None), [storage])
        expect_native(backend, gradient, np.array(10.0), "float32")

    def test_a_variable_read_twice_gets_the_sum_of_both_gradients(self, backend: Backend) -> None:
        storage = variable(backend, 3.0)

        def loss() -> tuple[Any, None]:
            return backend.add(backend.square(backend.read(storage)), backend.multiply(backend.read(storage), 4.0)), None

        _, _, (gradient,) = backend.value_and_grad(loss, [storage])
        expect_native(backend, gradient, np.array(10.0), "float32")

    def test_a_gradient_can_be_differentiated_again(self, backend: Backend) -> None:
        weight, x = variable(backend, [0.5, -1.5]), variable(backend, [1.0, 2.0])
        value, _, (gradient,) = backend.value_and_grad(lambda: (gradient_penalty(backend, weight, x), None), [weight])
        wanted_value, wanted_gradient = penalty_in_numpy(np.array([0.5, -1.5]), np.array([1.0, 2.0]))
        expect_native(backend, value, wanted_value, "float32")
        expect_native(backend, gradient, wanted_gradient, "float32")

    def test_an_error_inside_reaches_the_caller_and_leaves_variables_usable(self, backend: Backend) -> None:
        storage = variable(backend, 2.0)

        def fail() -> tuple[Any, None]:
            backend.square(backend.read(storage))
            raise PlannedError("planned")

        with pytest.raises(PlannedError, match="planned"):
            backend.value_and_grad(fail, [storage])
        expect_variable(backend, storage, np.array(2.0))
        _, _, (gradient,) = backend.value_and_grad(lambda: (backend.square(backend.read(storage)), None), [storage])
        expect_native(backend, gradient, np.array(4.0), "float32")

    def test_stop_gradient_makes_a_constant_of_the_same_value(self, backend: Backend) -> None:
        storage = variable(backend, [2.0, 3.0])

        def loss() -> tuple[Any, Any]:
            stopped = backend.stop_gradient(backend.square(backend.read(storage)))
            return total(backend, backend.multiply(stopped, backend.read(storage))), stopped

        value, stopped, (gradient,) = backend.value_and_grad(loss, [storage])
        expect_native(backend, value, np.array(35.0), "float32")
        expect_native(backend, stopped, [4, 9], "float32")
        expect_native(backend, gradient, [4, 9], "float32")

    def test_without_gradients_what_is_read_and_computed_is_constant(self, backend: Backend) -> None:
        storage = variable(backend, 3.0)

        def loss() -> tuple[Any, None]:
            with backend.without_gradients():
                constant = backend.square(backend.read(storage))
            return backend.multiply(constant, backend.read(storage)), None

        _, _, (gradient,) = backend.value_and_grad(loss, [storage])
        expect_native(backend, gradient, np.array(9.0), "float32")

    def test_without_gradients_what_is_computed_from_earlier_reads_is_constant(self, backend: Backend) -> None:
        storage = variable(backend, 3.0)

        def loss() -> tuple[Any, None]:
            early = backend.read(storage)
            with backend.without_gradients():
                constant = backend.square(early)
            return backend.multiply(constant, early), None

        _, _, (gradient,) = backend.value_and_grad(loss, [storage])
        expect_native(backend, gradient, np.array(9.0), "float32")

    def test_gradients_are_recorded_again_after_an_error_without_gradients(self, backend: Backend) -> None:
        storage = variable(backend, 3.0)
        with pytest.raises(PlannedError, match="planned"), backend.without_gradients(), backend.without_gradients():
            raise PlannedError("planned")
        _, _, (gradient,) = backend.value_and_grad(lambda: (backend.square(backend.read(storage)), None), [storage])
        expect_native(backend, gradient, np.array(6.0), "float32")


def gradient_penalty(backend: Backend, weight: Any, x: Any) -> Any:
    """The squared length of the gradient of sum(sin(x * weight)) with respect to `x`; two variables."""

    def inner() -> tuple[Any, None]:
        return total(backend, backend.sin(backend.multiply(backend.read(x), backend.read(weight)))), None

    _, _, (slope,) = backend.value_and_grad(inner, [x])
    return total(backend, backend.square(slope))


def penalty_in_numpy(w: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The value of `gradient_penalty` and its gradient with respect to the weight, differentiated by hand."""
    cos, sin = np.cos(w * x), np.sin(w * x)
    return np.sum((w * cos) ** 2), 2 * w * cos**2 - 2 * w**2 * x * cos * sin
