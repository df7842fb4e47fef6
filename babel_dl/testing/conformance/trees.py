"""Promises of `contract.Transforms.compile` about what goes in and comes out."""

from typing import Any, NamedTuple

import numpy as np

from babel_dl.backend import Backend
from babel_dl.testing.conformance.judge import expect, expect_native, expect_same
from babel_dl.testing.conformance.steps import increment, variable

ONES = np.ones((2, 3), np.float32)


class Sample(NamedTuple):
    """A batch as datasets make it."""

    image: Any
    label: Any


class TreeConformance:
    """Arguments and results are trees; leaves that are no tensors are constants."""

    def test_arguments_keep_their_structure(self, backend: Backend) -> None:
        def step(sample: Any, options: Any, rest: Any) -> Any:
            expect_same(type(sample), Sample, "type of a named tuple")
            expect_same((type(options), list(options)), (dict, ["scale", "none", "name", "deep"]), "dict")
            expect_same((options["none"], options["name"], options["deep"][1]), (None, "x", ()), "constants")
            expect_same((type(rest), type(rest[1]), rest[2]), (list, tuple, 2.5), "nested lists")
            leaves = (*sample, options["scale"], options["deep"][0], rest[0], rest[1][0])
            expect(all(backend.is_native(leaf) for leaf in leaves), "a leaf is no tensor.")
            image = backend.multiply(backend.astype(sample.image, "float32"), options["scale"])
            return backend.add(backend.add(image, rest[0]), backend.multiply(rest[1][0], rest[2]))

        compiled = backend.compile(step)
        for image in (1, 2):
            options = {"scale": np.array(3, np.float32), "none": None, "name": "x", "deep": [np.ones(1, np.float32), ()]}
            got = compiled(Sample(np.full((2, 3), image, np.uint8), np.zeros(2, np.int32)), options, [ONES, (ONES,), 2.5])
            expect_native(backend, got, np.full((2, 3), 3 * image + 3.5), "float32")

    def test_results_keep_their_structure(self, backend: Backend) -> None:
        def step(x: Any) -> Any:
            y = backend.multiply(x, 2.0)
            return {"z": y, "a": [Sample(y, None), (x, "text", 3, 1.5, True)], "m": (), "n": None}

        compiled = backend.compile(step)
        for value in (1.0, 4.0):
            got = compiled(ONES * value)
            expect_same(list(got), ["z", "a", "m", "n"], "keys in their order")
            sample, constants = got["a"]
            expect_same((type(got["a"]), type(sample), type(constants)), (list, Sample, tuple), "types")
            expect_same((sample.label, constants[1:], got["m"], got["n"]), (None, ("text", 3, 1.5, True), (), None), "constants")
            expect_same([type(x) for x in constants[1:]], [str, int, float, bool], "types of constants")
            for native, wanted in ((got["z"], 2 * value), (sample.image, 2 * value), (constants[0], value)):
                expect_native(backend, native, np.full((2, 3), wanted), "float32")

    def test_tensors_and_arrays_are_taken_alike(self, backend: Backend) -> None:
        compiled = backend.compile(lambda x, y: backend.subtract(x, y))
        native = backend.asarray(ONES * 3, "float32")
        for x, y, wanted in ((native, ONES, 2), (ONES, native, -2), (native, native, 0), (ONES[::-1], ONES.T.copy().T, 0)):
            expect_native(backend, compiled(x, y), np.full((2, 3), wanted), "float32")

    def test_an_array_may_be_filled_anew_as_soon_as_the_call_returns(self, backend: Backend) -> None:
        compiled, source = backend.compile(lambda x: backend.multiply(backend.sin(x), 2.0)), np.ones(1_000_000, np.float32)
        result = compiled(source)
        source[:] = 7
        expect_native(backend, result, np.full(1_000_000, 2 * np.sin(1)), "float32")

    def test_every_dtype_goes_in_and_comes_out(self, backend: Backend) -> None:
        compiled = backend.compile(lambda x: (x, backend.reshape(x, (3, 1))))
        for dtype in ("float32", "float16", "int8", "int32", "uint8", "bool"):
            values = np.array([0, 1, 5]).astype(dtype)
            for got, wanted in zip(compiled(values), (values, values.reshape(3, 1)), strict=True):
                expect_native(backend, got, wanted, dtype, 0.0)

    def test_a_new_dtype_leads_to_a_new_trace(self, backend: Backend) -> None:
        compiled = backend.compile(lambda x: (backend.add(x, 1), backend.dtype(x)))
        for dtype in ("float32", "int32", "uint8", "float32"):
            value, name = compiled(np.ones(2, dtype))
            expect_same(name, dtype, "dtype inside")
            expect_native(backend, value, [2, 2], dtype)

    def test_a_changed_constant_leads_to_a_new_trace(self, backend: Backend) -> None:
        compiled = backend.compile(lambda x, c: (backend.multiply(x, 2 if c is None or isinstance(c, str) else c), repr(c)))
        for constant, wanted in ((2, 2), (3, 3), (2.5, 2.5), (2, 2), (None, 2), ("a", 2), ("b", 2)):
            value, text = compiled(ONES, constant)
            expect_same(text, repr(constant), "constant inside")
            expect_native(backend, value, ONES * wanted, "float32")

    def test_equal_constants_of_different_types_are_different(self, backend: Backend) -> None:
        compiled = backend.compile(lambda x, c: (x, type(c).__name__))
        for constant in (1, True, 1.0, 0, False, 0.0, 1):
            expect_same(compiled(ONES, constant)[1], type(constant).__name__, "type of the constant inside")

    def test_a_changed_structure_leads_to_a_new_trace(self, backend: Backend) -> None:
        compiled = backend.compile(lambda tree: (type(tree).__name__, len(tree)))
        for tree in ([ONES], (ONES,), {"a": ONES}, [ONES, ONES], Sample(ONES, ONES), (ONES, ONES), (ONES, None)):
            expect_same(compiled(tree), (type(tree).__name__, len(tree)), "structure inside")

    def test_keys_of_a_dict_belong_to_the_structure(self, backend: Backend) -> None:
        compiled = backend.compile(lambda tree: {key: backend.multiply(x, 2.0) for key, x in tree.items()})
        for keys in (("a", "b"), ("b", "a"), ("c", "d")):
            got = compiled({key: ONES * i for i, key in enumerate(keys)})
            expect_same(list(got), list(keys), "keys")
            for i, key in enumerate(keys):
                expect_native(backend, got[key], ONES * 2 * i, "float32")

    def test_a_function_that_was_traced_does_not_run_again(self, backend: Backend) -> None:
        storage, runs, traced = variable(backend, 0, "int32", False), [], []

        def step(x: Any) -> Any:
            runs.append(1)
            traced.append(backend.is_traced(x))
            increment(backend, storage)
            return backend.multiply(x, 2.0)

        compiled = backend.compile(step)
        compiled(ONES)
        compiled(ONES * 2)
        after_two = len(runs)
        for value in (3, 4):
            expect_native(backend, compiled(ONES * value), ONES * 2 * value, "float32")
        if any(traced):
            expect_same(len(runs), after_two, "runs of a traced function after two more calls")
        expect_native(backend, backend.read(storage), np.array(4), "int32")

    def test_off_runs_the_function_itself_at_every_call(self, backend: Backend) -> None:
        runs: list[bool] = []

        def step(x: Any) -> Any:
            runs.append(backend.is_traced(x))
            return backend.multiply(x, 2.0)

        compiled = backend.compile(step, "off")
        for value in (1, 2, 3):
            expect_native(backend, compiled(ONES * value), ONES * 2 * value, "float32")
        expect_same(runs, [False, False, False], "whether the tensor was symbolic, for each run")

    def test_a_tensor_outside_of_a_trace_is_not_symbolic(self, backend: Backend) -> None:
        x = backend.asarray(ONES, "float32")
        for tensor in (x, backend.multiply(x, 2.0), backend.compile(lambda v: v)(x), backend.read(variable(backend, 1.0))):
            expect(not backend.is_traced(tensor), "a tensor with values is symbolic.")

    def test_a_function_without_arguments_and_results_runs(self, backend: Backend) -> None:
        storage = variable(backend, 0.0)
        compiled = backend.compile(lambda: increment(backend, storage))
        for call in (1, 2, 3):
            expect_same(compiled(), None, "result")
            expect_native(backend, backend.read(storage), np.array(float(call)), "float32")
