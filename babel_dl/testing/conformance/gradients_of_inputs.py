"""Promises of `contract.Transforms` about gradients with respect to tensors, and about gradients of these gradients."""

from typing import Any

import numpy as np
import pytest

from babel_dl.backend import Backend
from babel_dl.testing.conformance.gradients import PlannedError
from babel_dl.testing.conformance.judge import expect, expect_native, expect_same
from babel_dl.testing.conformance.steps import expect_variable, increment, total, variable

W, X = np.array([0.5, -1.5]), np.array([1.0, 2.0])


class InputGradientConformance:
    """`value_and_grad` with inputs, eagerly and compiled."""

    def test_inputs_arrive_in_their_order_and_their_gradients_follow_those_of_variables(self, backend: Backend) -> None:
        weight, x, y = variable(backend, 3.0), tensor(backend, [1.0, 2.0]), tensor(backend, [5.0, 7.0])

        def loss(first: Any, second: Any) -> tuple[Any, Any]:
            difference = backend.subtract(backend.square(first), second)
            return total(backend, backend.multiply(difference, backend.read(weight))), (first, second)

        value, seen, gradients = backend.value_and_grad(loss, [weight], [x, y])
        expect_native(backend, value, np.array(-21.0), "float32")
        expect_same(len(gradients), 3, "number of gradients")
        for got, wanted in zip([*seen, *gradients], ([1, 2], [5, 7], np.array(-7.0), [6, 12], [-3, -3]), strict=True):
            expect_native(backend, got, wanted, "float32")

    def test_the_input_itself_stays_a_constant(self, backend: Backend) -> None:
        weight, x = variable(backend, 3.0), tensor(backend, [1.0, 2.0])
        backend.value_and_grad(lambda x: (total(backend, backend.square(x)), None), [], [x])
        expect_native(backend, x, [1, 2], "float32")
        _, _, (gradient,) = backend.value_and_grad(lambda: (backend.multiply(total(backend, x), backend.read(weight)), None), [weight])
        expect_native(backend, gradient, np.array(3.0), "float32")

    def test_only_the_way_through_the_argument_counts(self, backend: Backend) -> None:
        x = tensor(backend, [1.0, 2.0])
        _, _, (gradient,) = backend.value_and_grad(lambda y: (total(backend, backend.multiply(x, y)), None), [], [x])
        expect_native(backend, gradient, [1, 2], "float32")
        _, _, gradients = backend.value_and_grad(lambda y, z: (total(backend, backend.multiply(backend.square(y), z)), None), [], [x, x])
        expect_native(backend, gradients[0], [2, 8], "float32")
        expect_native(backend, gradients[1], [1, 4], "float32")

    def test_the_gradient_of_an_input_without_effect_is_none(self, backend: Backend) -> None:
        x, y = tensor(backend, [1.0, 2.0]), tensor(backend, 3.0)

        def loss(x: Any, y: Any) -> tuple[Any, Any]:
            return total(backend, backend.square(x)), backend.square(y)

        _, aux, gradients = backend.value_and_grad(loss, [], [x, y])
        expect_native(backend, aux, np.array(9.0), "float32")
        expect_native(backend, gradients[0], [2, 4], "float32")
        expect(gradients[1] is None, f"got {gradients[1]!r} for an input that only a by-product depends on.")
        _, _, gradients = backend.value_and_grad(lambda x: (total(backend, backend.stop_gradient(x)), None), [], [x])
        expect_same(gradients, [None], "gradients through a stop")

    def test_the_gradient_of_picked_rows_is_dense(self, backend: Backend) -> None:
        x, rows = tensor(backend, [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), backend.asarray(np.array([2, 0, 2]), "int32")
        _, _, (gradient,) = backend.value_and_grad(lambda x: (total(backend, backend.square(backend.take(x, rows, 0))), None), [], [x])
        expect_native(backend, gradient, [[2, 4], [0, 0], [20, 24]], "float32")

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
    def test_a_narrow_input_has_a_narrow_gradient(self, backend: Backend, dtype: str) -> None:
        x = backend.asarray(np.array([1.0, 2.0]), dtype)
        _, _, (gradient,) = backend.value_and_grad(lambda x: (total(backend, backend.square(x)), None), [], [x])
        expect_native(backend, gradient, [2, 4], dtype)

    def test_writes_made_with_an_input_hold_afterwards(self, backend: Backend) -> None:
        counter, last = variable(backend, 0, "int32", False), variable(backend, [0.0, 0.0], trainable=False)

        def loss(x: Any) -> tuple[Any, None]:
            increment(backend, counter)
            backend.assign(last, x)
            return total(backend, backend.square(x)), None

        for call in (1, 2):
            _, _, (gradient,) = backend.value_and_grad(loss, [], [tensor(backend, X * call)])
            expect_native(backend, gradient, 2 * X * call, "float32")
            expect_variable(backend, counter, np.array(call), "int32")
            expect_variable(backend, last, X * call)

    def test_an_error_inside_leaves_the_input_usable(self, backend: Backend) -> None:
        x = tensor(backend, [1.0, 2.0])

        def fail(x: Any) -> tuple[Any, None]:
            backend.square(x)
            raise PlannedError("planned")

        with pytest.raises(PlannedError, match="planned"):
            backend.value_and_grad(fail, [], [x])
        _, _, (gradient,) = backend.value_and_grad(lambda x: (total(backend, backend.square(x)), None), [], [x])
        expect_native(backend, gradient, [2, 4], "float32")

    def test_a_penalty_of_an_inputs_gradient_is_differentiated_in_every_mode(self, backend: Backend) -> None:
        for mode in ("auto", "off", *backend.compile_modes):
            weight = variable(backend, W)

            def step(x: Any, weight: Any = weight) -> Any:
                return backend.value_and_grad(lambda: (penalty(backend, weight, x), None), [weight])[::2]

            compiled = backend.compile(step, mode)
            for scale in (1.0, 2.0, 1.0):
                wanted_value, wanted_gradient = penalty_in_numpy(W, X * scale)
                value, (gradient,) = compiled(np.float32(X * scale))
                expect_native(backend, value, wanted_value, "float32")
                expect_native(backend, gradient, wanted_gradient, "float32")

    def test_a_gradient_carries_on_to_what_the_input_was_computed_from(self, backend: Backend) -> None:
        weight = variable(backend, W)

        def loss() -> tuple[Any, None]:
            x = backend.sin(backend.read(weight))
            value, square, (slope,) = backend.value_and_grad(lambda x: (total(backend, cube(backend, x)), backend.square(x)), [], [x])
            return backend.add(backend.add(value, total(backend, square)), total(backend, slope)), None

        def step() -> Any:
            return backend.value_and_grad(loss, [weight])[::2]

        x = np.sin(W)
        for mode in ("off", "auto"):
            value, (gradient,) = backend.compile(step, mode)()
            expect_native(backend, value, np.sum(x**3 + x**2 + 3 * x**2), "float32")
            expect_native(backend, gradient, np.cos(W) * (3 * x**2 + 2 * x + 6 * x), "float32")

    def test_the_gradient_of_a_gradients_gradient(self, backend: Backend) -> None:
        def gradient_of(function: Any) -> Any:
            return lambda x: backend.value_and_grad(lambda x: (total(backend, function(x)), None), [], [x])[2][0]

        third = backend.compile(gradient_of(gradient_of(gradient_of(backend.sin))))(np.float32(X))
        expect_native(backend, third, -np.cos(X), "float32")

    def test_gradients_are_taken_where_outer_ones_are_not_recorded(self, backend: Backend) -> None:
        weight = variable(backend, W)

        def loss() -> tuple[Any, None]:
            with backend.without_gradients():
                x = backend.square(backend.read(weight))
                _, _, (slope,) = backend.value_and_grad(lambda x: (total(backend, cube(backend, x)), None), [], [x])
            return total(backend, backend.multiply(slope, backend.read(weight))), None

        for mode in ("off", "auto"):
            _, (gradient,) = backend.compile(lambda: backend.value_and_grad(loss, [weight])[::2], mode)()
            expect_native(backend, gradient, 3 * W**4, "float32")

    def test_what_is_read_in_such_a_gradient_is_constant_outside(self, backend: Backend) -> None:
        weight, x = variable(backend, W), tensor(backend, X)

        def loss() -> tuple[Any, None]:
            def inner(x: Any) -> tuple[Any, Any]:
                product = backend.multiply(x, backend.read(weight))
                return total(backend, product), product

            with backend.without_gradients():
                value, product, (slope,) = backend.value_and_grad(inner, [], [x])
            constant = backend.add(backend.add(slope, product), value)
            return total(backend, backend.multiply(constant, backend.read(weight))), None

        for mode in ("off", "auto"):
            _, (gradient,) = backend.compile(lambda: backend.value_and_grad(loss, [weight])[::2], mode)()
            expect_native(backend, gradient, W + X * W + np.sum(X * W), "float32")

    def test_gradients_are_taken_in_evaluation(self, backend: Backend) -> None:
        def step(x: Any) -> Any:
            return backend.value_and_grad(lambda x: (total(backend, cube(backend, x)), None), [], [x])[::2]

        for mode in ("off", "auto"):
            with backend.without_gradients():
                value, (slope,) = backend.compile(step, mode)(np.float32(X))
            expect_native(backend, value, np.sum(X**3), "float32")
            expect_native(backend, slope, 3 * X**2, "float32")


def tensor(backend: Backend, value: Any) -> Any:
    """A float32 tensor."""
    return backend.asarray(np.asarray(value), "float32")


def cube(backend: Backend, x: Any) -> Any:
    """Each element to the third."""
    return backend.multiply(x, backend.square(x))


def penalty(backend: Backend, weight: Any, x: Any) -> Any:
    """(1 - |slope|)**2 for the slope of sum(sin(x * weight)) in `x`."""

    def inner(x: Any) -> tuple[Any, None]:
        return total(backend, backend.sin(backend.multiply(x, backend.read(weight)))), None

    _, _, (slope,) = backend.value_and_grad(inner, [], [x])
    return backend.square(backend.subtract(backend.sqrt(total(backend, backend.square(slope))), 1.0))


def penalty_in_numpy(w: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The value of `penalty` and its gradient with respect to the weight, differentiated by hand."""
    cos, sin = np.cos(w * x), np.sin(w * x)
    length = np.sqrt(np.sum((w * cos) ** 2))
    return (length - 1) ** 2, 2 * (length - 1) / length * (w * cos) * (cos - w * x * sin)
