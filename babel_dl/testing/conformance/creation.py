"""Promises of `contract.Creation` and `contract.Devices`."""

from typing import Any

import numpy as np
import pytest

from babel_dl.backend import Backend, use_backend
from babel_dl.backend.dtypes import DTYPES
from babel_dl.errors import BackendError, DTypeError
from babel_dl.testing.conformance.judge import expect, expect_array, expect_native, expect_same, numpy_dtype, supports

EVERY_BACKEND_HAS = ("bool", "int8", "int16", "int32", "uint8", "float16", "bfloat16", "float32")
VALUES = np.array([[0.0, 1.0, 2.0], [5.0, 100.0, 7.0]])


class CreationConformance:
    """Tensors from nothing, from the host, and back to it."""

    @pytest.mark.parametrize("dtype", EVERY_BACKEND_HAS)
    def test_every_backend_has_the_common_types(self, backend: Backend, dtype: str) -> None:
        expect(supports(backend, dtype), f"{backend.name} refuses {dtype}.")

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_values_come_back_from_the_device_unchanged(self, backend: Backend, dtype: str) -> None:
        if supports(backend, dtype):
            values = VALUES.astype(numpy_dtype(dtype))
            expect_native(backend, backend.asarray(values, dtype), values, dtype, 0.0)

    @pytest.mark.parametrize("dtype", [name for name in DTYPES if name not in EVERY_BACKEND_HAS])
    def test_a_type_is_kept_or_refused_and_never_replaced(self, backend: Backend, dtype: str) -> None:
        x = backend.asarray(VALUES, "float32")
        makers = {
            "asarray": lambda: backend.asarray(VALUES, dtype), "full": lambda: backend.full((2,), 1, dtype),
            "arange": lambda: backend.arange(0, 3, 1, dtype), "astype": lambda: backend.astype(x, dtype),
            "variable": lambda: backend.read(backend.variable(VALUES, dtype, False, "v")),
        }
        supported = supports(backend, dtype)
        for name, make in makers.items():
            if supported:
                expect_same(backend.dtype(make()), dtype, f"dtype of {name}")
            else:
                with pytest.raises(DTypeError, match=dtype):
                    make()

    @pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int32", "uint8"])
    def test_asarray_takes_numbers_and_arrays_of_any_layout(self, backend: Backend, dtype: str) -> None:
        block = np.arange(24).reshape(2, 3, 4)
        read_only = np.arange(3)
        read_only.flags.writeable = False
        for value in (3, 2.0, np.float32(4), np.int64(5), np.array(6.0), block.transpose(2, 0, 1), block[:, ::-1, ::2], block[:, :0],
                      np.asfortranarray(block), read_only):
            expect_native(backend, backend.asarray(value, dtype), np.asarray(value), dtype, 0.0)

    def test_asarray_takes_bools_and_special_numbers(self, backend: Backend) -> None:
        expect_native(backend, backend.asarray(True, "bool"), np.array(True), "bool")
        expect_native(backend, backend.asarray(np.array([True, False]), "float32"), [1.0, 0.0], "float32", 0.0)
        expect_native(backend, backend.asarray(float("nan"), "float16"), np.array(np.nan), "float16", 0.0)
        expect_native(backend, backend.asarray(np.array([np.inf, -np.inf]), "float32"), [np.inf, -np.inf], "float32", 0.0)

    def test_asarray_shares_no_memory_with_the_host(self, backend: Backend) -> None:
        for count in (3, 100_000):
            for dtype in ("float32", "int32", "uint8", "bool"):
                source = np.ones(count, dtype)
                x = backend.asarray(source, dtype)
                source[:] = 0
                expect_native(backend, x, np.ones(count), dtype)

    def test_to_numpy_returns_an_array_of_its_own(self, backend: Backend) -> None:
        for count in (3, 100_000):
            x = backend.asarray(np.ones(count), "float32")
            array = backend.to_numpy(x)
            expect(array.flags.writeable, "the array cannot be written.")
            array[:] = 7
            expect_native(backend, x, np.ones(count), "float32")

    def test_to_numpy_returns_rows_in_order_for_moved_axes(self, backend: Backend) -> None:
        block = np.arange(24.0).reshape(2, 3, 4)
        moved_here = backend.permute_dims(backend.asarray(block, "float32"), (2, 0, 1))
        moved_before = backend.asarray(block.transpose(2, 0, 1), "float32")
        for x in (moved_here, moved_before):
            array = backend.to_numpy(x)
            expect(array.flags.c_contiguous, "the array is not C-contiguous.")
            expect_array(array, block.transpose(2, 0, 1))

    def test_to_numpy_refuses_a_symbolic_tensor(self, backend: Backend) -> None:
        def look(x: Any) -> Any:
            if backend.is_traced(x):
                with pytest.raises(BackendError, match=r"(?i)symbolic|traced|compil|no value"):
                    backend.to_numpy(x)
            return x

        expect_native(backend, backend.compile(look)(np.ones(2, np.float32)), [1, 1], "float32")

    def test_asarray_in_a_compiled_function_is_a_constant(self, backend: Backend) -> None:
        compiled = backend.compile(lambda x: backend.add(x, backend.asarray(np.array([1.0, 2.0]), "float32")))
        for value in (1.0, 5.0):
            expect_native(backend, compiled(np.full(2, value, np.float32)), [value + 1, value + 2], "float32")

    @pytest.mark.parametrize("dtype", EVERY_BACKEND_HAS)
    def test_full_repeats_one_value(self, backend: Backend, dtype: str) -> None:
        for shape in ((), (3,), (2, 0), (2, 3)):
            value = True if dtype == "bool" else 3
            expect_native(backend, backend.full(shape, value, dtype), np.full(shape, value), dtype, 0.0)

    def test_full_takes_special_numbers(self, backend: Backend) -> None:
        for value in (float("inf"), float("-inf"), float("nan"), -0.1):
            expect_native(backend, backend.full((2,), value, "float32"), np.full(2, value, np.float32), "float32", 0.0)
        expect_native(backend, backend.full((2,), False, "bool"), [False, False], "bool")

    @pytest.mark.parametrize("dtype", ["int32", "uint8", "float32", "bfloat16"])
    def test_arange_counts_up_to_and_without_stop(self, backend: Backend, dtype: str) -> None:
        for start, stop, step in ((0, 5, 1), (2, 11, 3), (2, 12, 3), (4, 4, 1), (5, 2, 1)):
            expect_native(backend, backend.arange(start, stop, step, dtype), np.arange(start, stop, step), dtype, 0.0)

    def test_is_native_knows_tensors_from_everything_else(self, backend: Backend) -> None:
        expect(backend.is_native(backend.full((), 1, "float32")), "a tensor is not native.")
        for other in (None, 1, 1.0, True, "x", [1.0], (), {}, np.ones(2), np.float32(1)):
            expect(not backend.is_native(other), f"{other!r} is native.")

    def test_a_traced_tensor_is_native_and_tells_dtype_and_shape(self, backend: Backend) -> None:
        def look(x: Any, y: Any) -> Any:
            expect(backend.is_native(x) and backend.is_native(y), "a tensor in a compiled function is not native.")
            expect_same((backend.dtype(x), backend.dtype(y)), ("uint8", "float32"), "dtypes in a compiled function")
            expect_same((len(backend.shape(x)), backend.shape(y)), (2, ()), "shapes in a compiled function")
            return backend.add(backend.astype(x, "float32"), y)

        expect_native(backend, backend.compile(look)(np.ones((2, 3), np.uint8), np.array(1, np.float32)), np.full((2, 3), 2), "float32")

    def test_shape_is_a_tuple_of_integers(self, backend: Backend) -> None:
        for wanted in ((), (3,), (2, 0, 4)):
            got = backend.shape(backend.full(wanted, 0, "float32"))
            expect(type(got) is tuple and all(type(size) is int for size in got), f"shape is {got!r}.")
            expect_same(got, wanted, "shape")


class CastConformance:
    """`astype`, `copy` and memory of other frameworks."""

    @pytest.mark.parametrize("source", EVERY_BACKEND_HAS)
    def test_astype_changes_the_type_and_keeps_the_values(self, backend: Backend, source: str) -> None:
        values = VALUES.astype(numpy_dtype(source))
        compiled = backend.compile(lambda x: [backend.astype(x, target) for target in EVERY_BACKEND_HAS])
        for target, got in zip(EVERY_BACKEND_HAS, compiled(backend.asarray(values, source)), strict=True):
            expect_native(backend, got, values.astype(numpy_dtype(target)), target, 0.0)

    def test_astype_cuts_floats_towards_zero(self, backend: Backend) -> None:
        for source in ("float32", "float16", "bfloat16"):
            x = backend.asarray(np.array([-2.75, -1.5, -0.5, 0.5, 1.5, 2.75]), source)
            for target in ("int8", "int16", "int32"):
                expect_native(backend, backend.astype(x, target), [-2, -1, 0, 0, 1, 2], target)

    def test_astype_wraps_integers(self, backend: Backend) -> None:
        values = np.array([300, -1, 2**31 - 1, -129], np.int32)
        for target in ("int8", "uint8", "int16"):
            expect_native(backend, backend.astype(backend.asarray(values, "int32"), target), values.astype(target), target)

    def test_astype_rounds_to_the_nearest_narrow_float(self, backend: Backend) -> None:
        values = np.array([1.00390625, 1.01171875, 0.1, -3.14159, 1e-6], np.float32)
        for target in ("float16", "bfloat16"):
            got = backend.astype(backend.asarray(values, "float32"), target)
            expect_native(backend, got, values.astype(numpy_dtype(target)), target, 0.0)

    def test_every_number_but_zero_is_true(self, backend: Backend) -> None:
        for dtype, values in (("float32", [0.0, 0.5, -1.0]), ("int32", [0, 256, -1]), ("uint8", [0, 2, 255])):
            expect_native(backend, backend.astype(backend.asarray(np.array(values), dtype), "bool"), [False, True, True], "bool")

    def test_gradient_flows_through_a_change_of_float_type(self, backend: Backend) -> None:
        storage = backend.variable(np.array([1.0, 2.0]), "float32", True, "x")

        def loss() -> tuple[Any, None]:
            narrow = backend.multiply(backend.astype(backend.read(storage), "bfloat16"), 3.0)
            return backend.sum(backend.astype(narrow, "float32"), (0,), False), None

        _, _, (gradient,) = backend.value_and_grad(loss, [storage])
        expect_native(backend, gradient, [3.0, 3.0], "float32", 0.0)

    @pytest.mark.parametrize("dtype", ["float32", "int32", "uint8"])
    def test_from_dlpack_takes_the_tensor_of_another_framework(self, backend: Backend, dtype: str) -> None:
        values = np.arange(24).reshape(2, 3, 4).astype(dtype)
        expect_native(backend, backend.from_dlpack(values), values, dtype)
        expect_native(backend, backend.from_dlpack(backend.asarray(values, dtype)), values, dtype)

    def test_a_copy_has_memory_of_its_own(self, backend: Backend) -> None:
        source = np.ones(100_000, np.float32)
        copy = backend.copy(backend.from_dlpack(source))
        backend.synchronize()
        source[:] = 0
        expect_native(backend, copy, np.ones(100_000), "float32")
        expect_native(backend, backend.copy(backend.full((2, 0), 1, "int8")), np.ones((2, 0)), "int8")


class DeviceConformance:
    """Where tensors live."""

    def test_the_processor_is_always_a_device(self, backend: Backend) -> None:
        names = backend.devices()
        expect(type(names) is tuple and "cpu" in names, f"devices are {names!r}.")

    def test_new_tensors_and_variables_live_on_the_device_in_force(self, backend: Backend) -> None:
        for name in backend.devices():
            with use_backend(backend.name, name):
                made = {
                    "asarray": backend.asarray(1.0, "float32"), "full": backend.full((2,), 1, "float32"),
                    "arange": backend.arange(0, 3, 1, "int32"),
                    "variable": backend.read(backend.variable(np.ones(2), "float32", True, "v")),
                }
            for function, x in made.items():
                expect_same(backend.device(x), name, f"device of {function}")

    def test_asarray_takes_a_device(self, backend: Backend) -> None:
        for name in backend.devices():
            expect_same(backend.device(backend.asarray(np.ones(3), "float32", name)), name, "device")

    def test_a_tensor_moves_between_all_devices_and_keeps_its_values(self, backend: Backend) -> None:
        x = backend.asarray(np.arange(3), "int32")
        for name in backend.devices():
            moved = backend.to_device(x, name)
            expect_same(backend.device(moved), name, "device")
            expect_native(backend, moved, [0, 1, 2], "int32")

    def test_a_tensor_that_is_there_already_stays_itself(self, backend: Backend) -> None:
        x = backend.asarray(1.0, "float32")
        expect(backend.to_device(x, backend.device(x)) is x, "to_device made another tensor.")

    def test_versions_name_the_packages(self, backend: Backend) -> None:
        versions = backend.versions()
        expect(len(versions) > 0, "no package is named.")
        for package, version in versions.items():
            expect(isinstance(package, str) and isinstance(version, str) and version[:1].isdigit(), f"{package!r}: {version!r}")

    def test_synchronize_waits_and_returns_nothing(self, backend: Backend) -> None:
        expect(backend.synchronize() is None, "synchronize returned something.")  # type: ignore[func-returns-value]
