"""Promises of `contract.Transforms.compile` about variables, and of `trace_shapes`."""

from typing import Any

import numpy as np
import pytest

from babel_dl.backend import Backend
from babel_dl.testing.conformance.gradients import PlannedError, gradient_penalty, penalty_in_numpy
from babel_dl.testing.conformance.judge import expect, expect_array, expect_native, expect_same
from babel_dl.testing.conformance.steps import (
    NumpyRegression,
    Regression,
    batch,
    expect_regression,
    expect_variable,
    increment,
    total,
    variable,
)

ONES = np.ones(2, np.float32)


class CompilationConformance:
    """A compiled function is the same function: its variables live on, whatever shape or error comes."""

    def test_modes_are_words_besides_auto_and_off(self, backend: Backend) -> None:
        modes = backend.compile_modes
        expect(type(modes) is tuple and all(type(mode) is str for mode in modes), f"compile_modes is {modes!r}.")
        expect(not {"auto", "off"} & set(modes), f"compile_modes repeats auto or off: {modes!r}.")

    def test_every_mode_gives_the_same_numbers(self, backend: Backend) -> None:
        for mode in ("auto", "off", *backend.compile_modes):
            model, twin = Regression(backend), NumpyRegression()
            step = backend.compile(model.step, mode)
            for seed in range(5):
                got, wanted = step(*batch(8, seed)), twin.step(*batch(8, seed))
                expect_native(backend, got["loss"], wanted["loss"], "float32")
                expect_native(backend, got["steps"], np.array(wanted["steps"]), "int32")
            expect_regression(backend, model, twin)

    def test_a_new_shape_keeps_the_state(self, backend: Backend) -> None:
        model, twin = Regression(backend), NumpyRegression()
        step = backend.compile(model.step)
        for seed, size in enumerate((8, 8, 5, 8, 1, 5)):
            got, wanted = step(*batch(size, seed)), twin.step(*batch(size, seed))
            expect_native(backend, got["loss"], wanted["loss"], "float32")
            expect_regression(backend, model, twin)

    def test_a_variable_made_inside_is_made_once(self, backend: Backend) -> None:
        model = Regression(backend)
        step = backend.compile(model.step)
        for size in (4, 4, 6):
            step(*batch(size))
        expect_same(model.num_bias_made, 1, "times the variable was made")
        expect(not backend.is_traced(backend.read(model.bias)), "the variable made inside is symbolic outside.")

    def test_variables_made_in_later_traces_are_kept_too(self, backend: Backend) -> None:
        made: dict[int, Any] = {}

        def step(x: Any, key: int) -> Any:
            if key not in made:
                made[key] = variable(backend, [10.0 * key, 0.0])
            increment(backend, made[key])
            return backend.add(x, backend.read(made[key]))

        compiled = backend.compile(step)
        for key, wanted in ((1, [12, 2]), (2, [22, 2]), (1, [13, 3]), (2, [23, 3])):
            expect_native(backend, compiled(ONES, key), wanted, "float32")

    def test_a_variable_is_not_baked_in(self, backend: Backend) -> None:
        storage = variable(backend, [1.0, 2.0])
        compiled = backend.compile(lambda x: backend.multiply(x, backend.read(storage)))
        for value in ([1.0, 2.0], [3.0, 4.0], [-1.0, 0.0]):
            backend.assign(storage, backend.asarray(np.array(value), "float32"))
            expect_native(backend, compiled(ONES), value, "float32")
            expect_native(backend, compiled(ONES), value, "float32")

    def test_two_compiled_functions_share_a_variable(self, backend: Backend) -> None:
        storage = variable(backend, [1.0, 2.0])
        read = backend.compile(lambda x: backend.multiply(x, backend.read(storage)))
        write = backend.compile(lambda x: backend.assign(storage, backend.add(backend.read(storage), x)))
        for call in (1, 2, 3):
            expect_same(write(ONES), None, "result of a function that only writes")
            expect_native(backend, read(ONES), [1 + call, 2 + call], "float32")

    def test_reads_and_writes_happen_in_their_order(self, backend: Backend) -> None:
        storage = variable(backend, [3.0, 3.0])

        def step(x: Any) -> tuple[Any, Any, Any]:
            first = backend.read(storage)
            backend.assign(storage, backend.multiply(first, 2.0))
            second = backend.read(storage)
            backend.assign(storage, backend.add(second, x))
            return first, second, backend.read(storage)

        compiled = backend.compile(step)
        value = 3.0
        for _ in range(3):
            for got, wanted in zip(compiled(ONES), (value, 2 * value, 2 * value + 1), strict=True):
                expect_native(backend, got, [wanted, wanted], "float32")
            value = 2 * value + 1
            expect_variable(backend, storage, [value, value])

    def test_values_swap_between_variables(self, backend: Backend) -> None:
        first, second = variable(backend, [1.0, 1.0]), variable(backend, [2.0, 2.0])

        def swap(x: Any) -> Any:
            old = backend.read(first)
            backend.assign(first, backend.read(second))
            backend.assign(second, old)
            return x

        compiled = backend.compile(swap)
        for call in range(3):
            compiled(ONES)
            expect_variable(backend, first, [2, 2] if call % 2 == 0 else [1, 1])
            expect_variable(backend, second, [1, 1] if call % 2 == 0 else [2, 2])

    def test_variables_that_hold_one_value_are_written_apart(self, backend: Backend) -> None:
        first, second = variable(backend, [1.0, 1.0]), variable(backend, [2.0, 2.0])
        backend.assign(second, backend.read(first))

        def step(x: Any) -> Any:
            increment(backend, first)
            increment(backend, second, 5)
            return x

        compiled = backend.compile(step)
        for _ in range(2):
            compiled(ONES)
        expect_variable(backend, first, [3, 3])
        expect_variable(backend, second, [11, 11])

    def test_results_stay_when_the_function_runs_again(self, backend: Backend) -> None:
        storage = variable(backend, [1.0, 1.0])

        def step(x: Any) -> tuple[Any, Any]:
            increment(backend, storage)
            return backend.read(storage), x

        compiled, x = backend.compile(step), backend.asarray(ONES, "float32")
        results = [compiled(x) for _ in range(3)]
        for call, (value, same) in enumerate(results):
            expect_native(backend, value, [call + 2, call + 2], "float32")
            expect_native(backend, same, ONES, "float32")
        expect_native(backend, x, ONES, "float32")

    def test_a_value_that_was_read_outside_stays_when_the_function_runs(self, backend: Backend) -> None:
        storage = variable(backend, [1.0, 1.0])
        compiled = backend.compile(lambda x: increment(backend, storage))
        for call in range(3):
            before = backend.read(storage)
            compiled(ONES)
            expect_native(backend, before, [call + 1, call + 1], "float32")

    def test_arrays_on_the_host_stay_when_the_function_runs_again(self, backend: Backend) -> None:
        storage = variable(backend, np.ones(100_000))
        compiled = backend.compile(lambda x: increment(backend, storage))
        compiled(ONES)
        array = backend.to_numpy(backend.read(storage))
        compiled(ONES)
        compiled(ONES)
        expect_array(array, np.full(100_000, 2))

    def test_two_updates_in_one_step_see_one_another(self, backend: Backend) -> None:
        a, b = variable(backend, 0.5), variable(backend, -1.0)

        def update(storage: Any, target: float) -> Any:
            def loss() -> tuple[Any, None]:
                return backend.square(backend.subtract(backend.multiply(backend.read(a), backend.read(b)), target)), None

            value, _, (gradient,) = backend.value_and_grad(loss, [storage])
            backend.assign(storage, backend.subtract(backend.read(storage), backend.multiply(gradient, 0.1)))
            return value

        compiled = backend.compile(lambda: [update(a, 1.0), update(b, -2.0)])
        x, y = 0.5, -1.0
        for _ in range(4):
            first = (x * y - 1) ** 2
            x -= 0.1 * 2 * (x * y - 1) * y
            second = (x * y + 2) ** 2
            y -= 0.1 * 2 * (x * y + 2) * x
            for got, wanted in zip(compiled(), (first, second), strict=True):
                expect_native(backend, got, np.array(wanted), "float32")
        expect_variable(backend, a, np.array(x))
        expect_variable(backend, b, np.array(y))

    def test_a_gradient_can_be_differentiated_again_inside(self, backend: Backend) -> None:
        weight, x = variable(backend, [0.5, -1.5]), variable(backend, [1.0, 2.0])
        compiled = backend.compile(lambda: backend.value_and_grad(lambda: (gradient_penalty(backend, weight, x), None), [weight])[2][0])
        for value in ([0.5, -1.5], [1.0, 0.25]):
            backend.assign(weight, backend.asarray(np.array(value), "float32"))
            expect_native(backend, compiled(), penalty_in_numpy(np.array(value), np.array([1.0, 2.0]))[1], "float32")

    def test_constants_of_gradients_hold_inside(self, backend: Backend) -> None:
        storage, unread = variable(backend, 3.0), variable(backend, 1.0)

        def loss() -> tuple[Any, None]:
            with backend.without_gradients():
                constant = backend.square(backend.read(storage))
            stopped = backend.stop_gradient(backend.read(storage))
            return backend.multiply(backend.multiply(constant, stopped), backend.read(storage)), None

        gradient, missing = backend.compile(lambda: backend.value_and_grad(loss, [storage, unread])[2])()
        expect_native(backend, gradient, np.array(27.0), "float32")
        expect_same(missing, None, "gradient of an unread variable")

    @pytest.mark.parametrize("moment", ["before", "after"])
    def test_an_error_inside_leaves_variables_as_they_were(self, backend: Backend, moment: str) -> None:
        storage = variable(backend, [1.0, 2.0])

        def step(x: Any, fail: bool) -> Any:
            if fail and moment == "before":
                raise PlannedError("planned")
            increment(backend, storage)
            if fail:
                raise PlannedError("planned")
            return backend.add(x, backend.read(storage))

        compiled = backend.compile(step)
        for call in (1, 2):
            with pytest.raises(PlannedError, match="planned"):
                compiled(ONES, True)
            expect_variable(backend, storage, [call, call + 1])
            expect_native(backend, compiled(ONES, False), [call + 2, call + 3], "float32")
            expect_variable(backend, storage, [call + 1, call + 2])

    def test_an_error_at_the_first_call_does_not_break_the_next_one(self, backend: Backend) -> None:
        made: dict[str, Any] = {}
        failures = [PlannedError("planned")]

        def step(x: Any) -> Any:
            if "v" not in made:
                made["v"] = variable(backend, [1.0, 2.0])
            if failures:
                raise failures.pop()
            increment(backend, made["v"])
            return total(backend, backend.multiply(x, backend.read(made["v"])))

        compiled = backend.compile(step)
        with pytest.raises(PlannedError, match="planned"):
            compiled(ONES)
        expect_variable(backend, made["v"], [1, 2])
        expect_native(backend, compiled(ONES), np.array(5.0), "float32")


class TraceShapesConformance:
    """`trace_shapes` brings variables to life and changes none."""

    def test_variables_made_while_tracing_shapes_hold_their_first_value(self, backend: Backend) -> None:
        model = Regression(backend)
        expect_same(backend.trace_shapes(model.step, *batch(4)), None, "result")  # type: ignore[func-returns-value]
        expect_same(model.num_bias_made, 1, "times the variable was made")
        expect(not backend.is_traced(backend.read(model.bias)), "the variable is symbolic.")
        expect_regression(backend, model, NumpyRegression())

    def test_variables_made_while_tracing_shapes_can_be_trained(self, backend: Backend) -> None:
        model, twin = Regression(backend), NumpyRegression()
        backend.trace_shapes(model.step, *batch(4))
        step = backend.compile(model.step)
        for size in (4, 3):
            step(*batch(size))
            twin.step(*batch(size))
        expect_regression(backend, model, twin)

    def test_shapes_and_dtypes_of_the_arguments_are_those_of_the_arrays(self, backend: Backend) -> None:
        seen: list[Any] = []

        def look(x: Any, y: Any) -> None:
            seen.append((backend.is_native(x), backend.dtype(x), backend.shape(x)[1:], backend.dtype(y), backend.shape(y)))

        backend.trace_shapes(look, np.ones((4, 28, 28), np.uint8), np.array(1, np.float32))
        expect_same(seen[0], (True, "uint8", (28, 28), "float32", ()), "what the function saw")

    def test_an_error_while_tracing_shapes_reaches_the_caller(self, backend: Backend) -> None:
        storage = variable(backend, [1.0, 2.0])

        def fail(x: Any) -> None:
            increment(backend, storage)
            raise PlannedError("planned")

        with pytest.raises(PlannedError, match="planned"):
            backend.trace_shapes(fail, ONES)
        expect_variable(backend, storage, [1, 2])
