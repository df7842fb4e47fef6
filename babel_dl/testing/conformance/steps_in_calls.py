"""Promises of `contract.Transforms.compile_steps`: many runs in one call are the same runs."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from babel_dl.backend import Backend
from babel_dl.testing.conformance.gradients import PlannedError
from babel_dl.testing.conformance.judge import Mismatch, expect, expect_array, expect_same
from babel_dl.testing.conformance.steps import NumpyRegression, Regression, batch, expect_regression, expect_variable, increment, variable

COUNT = 7


def stacked_batches(count: int = COUNT) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (count, 8, 3) and targets (count, 8, 2)."""
    inputs, targets = zip(*[batch(8, seed) for seed in range(count)], strict=True)
    return np.stack(inputs), np.stack(targets)


def run_in_calls(backend: Backend, step: Callable[[Any, Any], Any], stacked: Any, ends: Sequence[int], constants: Any = ()) -> list[Any]:
    """The results of each call; where the backend has no loop, or refuses the function, those of one compiled call for each step."""
    run, single = backend.compile_steps(step), backend.compile(step)
    found, start = [], 0
    for end in ends:
        results = None if run is None else run(stacked, start, end, constants)
        if results is None:
            singles = [single(tuple([array[place] for array in stacked]), constants) for place in range(start, end)]
            results = {name: backend.stack([one[name] for one in singles], 0) for name in singles[0]}
        found.append({name: backend.to_numpy(value)[: end - start] for name, value in results.items()})
        start = end
    return found


class StepsInCallsConformance:
    """What a run assigns the next one reads, whatever number of runs a call makes."""

    def test_steps_in_one_call_are_steps_one_after_the_other(self, backend: Backend) -> None:
        model, twin = Regression(backend), NumpyRegression()
        stacked = stacked_batches()
        [results] = run_in_calls(backend, lambda slices, _: model.step(*slices), stacked, [COUNT])
        wanted = [twin.step(x, y) for x, y in zip(*stacked, strict=True)]
        for name in ("loss", "steps"):
            expect_array(results[name], np.array([one[name] for one in wanted]), 1e-5)
        expect_regression(backend, model, twin)

    @pytest.mark.parametrize("ends", [[1, 2, 3, 4, 5, 6, 7], [3, 7], [1, 6, 7]])
    def test_how_many_steps_a_call_makes_changes_no_bit(self, backend: Backend, ends: list[int]) -> None:
        stacked, found = stacked_batches(), []
        for split in ([COUNT], ends):
            model = Regression(backend)
            losses = [call["loss"] for call in run_in_calls(backend, lambda slices, _, m=model: m.step(*slices), stacked, split)]
            found.append((np.concatenate(losses), backend.to_numpy(backend.read(model.weight))))
        for one, other in zip(*found, strict=True):
            expect(np.array_equal(one, other), f"{ends} steps to a call give other bits than {COUNT}.")

    def test_a_variable_made_inside_is_made_once(self, backend: Backend) -> None:
        model = Regression(backend)
        run_in_calls(backend, lambda slices, _: model.step(*slices), stacked_batches(), [2, COUNT])
        expect_same(model.num_bias_made, 1, "times the variable was made")
        expect(not backend.is_traced(backend.read(model.bias)), "the variable made inside is symbolic outside.")

    def test_constants_lead_to_another_program(self, backend: Backend) -> None:
        counter = variable(backend, 0.0)

        def step(slices: Any, constants: Any) -> dict[str, Any]:
            increment(backend, counter, 10 if constants[0] else 1)
            return {"count": backend.add(backend.read(counter), slices[0])}

        ones = (np.ones(3, np.float32),)
        for flag, wanted in ((True, [11, 21, 31]), (False, [32, 33, 34]), (True, [44, 54, 64])):
            [results] = run_in_calls(backend, step, ones, [3], (flag,))
            expect_array(results["count"], np.array(wanted, np.float32))

    def test_a_variable_that_the_host_assigns_between_calls_is_read(self, backend: Backend) -> None:
        scale = variable(backend, 1.0, trainable=False)
        run = backend.compile_steps(lambda slices, _: {"y": backend.multiply(slices[0], backend.read(scale))})
        if run is None:
            return
        stacked = (np.arange(4, dtype=np.float32),)
        for number in (1.0, 3.0, -2.0):
            backend.fill(scale, number)
            results = run(stacked, 1, 3, ())
            if results is None:
                raise Mismatch("a product is refused.")
            expect_array(backend.to_numpy(results["y"])[:2], np.array([number, 2 * number], np.float32))

    def test_an_error_comes_through_and_undoes_what_was_assigned(self, backend: Backend) -> None:
        counter = variable(backend, 5.0)

        def step(slices: Any, _: Any) -> dict[str, Any]:
            increment(backend, counter)
            raise PlannedError

        with pytest.raises(PlannedError):
            run_in_calls(backend, step, (np.ones(3, np.float32),), [3])
        expect_variable(backend, counter, 5.0)

    def test_convolutions_are_the_same_in_a_call_of_many(self, backend: Backend) -> None:
        kernel = variable(backend, np.full((3, 3, 1, 2), 0.1))
        images = np.random.default_rng(0).standard_normal((3, 2, 6, 6, 1)).astype(np.float32)

        def step(slices: Any, _: Any) -> dict[str, Any]:
            y = backend.convolution(slices[0], backend.read(kernel), None, (1, 1), ((1, 1), (1, 1)), (1, 1), 1)
            increment(backend, kernel, 0.5)
            return {"mean": backend.mean(y, (0, 1, 2, 3), False)}

        [together] = run_in_calls(backend, step, (images,), [3])
        backend.assign(kernel, backend.asarray(np.full((3, 3, 1, 2), 0.1), "float32"))
        apart = run_in_calls(backend, step, (images,), [1, 2, 3])
        expect_array(together["mean"], np.concatenate([call["mean"] for call in apart]), 1e-5)

    def test_off_has_no_loop(self, backend: Backend) -> None:
        expect(backend.compile_steps(lambda slices, _: {}, "off") is None, "compile_steps loops with mode off.")

    def test_results_may_be_any_tree(self, backend: Backend) -> None:
        run = backend.compile_steps(lambda slices, _: {"a": [slices[0]], "b": (backend.add(slices[0], 1), None)})
        if run is None:
            return
        results = run((np.arange(3, dtype=np.float32),), 0, 2, ())
        if results is None or results["b"][1] is not None:
            raise Mismatch(f"the tree of results came back as {results!r}.")
        expect_array(backend.to_numpy(results["a"][0])[:2], np.array([0, 1], np.float32))
