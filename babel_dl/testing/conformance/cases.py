"""What a table of functions consists of, and how a row of it is judged: called eagerly, differentiated, and compiled in every dtype."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from babel_dl.backend import Backend
from babel_dl.testing.conformance.judge import (
    ELEMENTWISE_TOLERANCES,
    TOLERANCES,
    expect,
    expect_native,
    map_arrays,
    mixed_difference,
    numeric_gradients,
    numpy_dtype,
    supports,
)

FLOATS = ("float32", "float16", "bfloat16", "float64")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8")
SIGNED = ("int8", "int16", "int32", "int64")
PLAIN = ("float32", "bfloat16", "int32", "uint8", "bool")
"""Types that functions which only move elements are tried with."""

PROTOTYPES = (np.dtype("float64"), np.dtype("int64"))
"""Arrays of these types in a case stand for every dtype of the case; arrays of all other types (indices, masks) stay as they are."""


@dataclass(frozen=True, eq=False)
class Case:
    """A call of a backend's function, and what numpy says to it.

    Args:
        name: The function of the backend.
        arguments: Arrays become tensors, also inside tuples and lists; everything else is handed over as it is.
        reference: The same function of numpy arrays. It receives floats as float64.
        note: Tells cases of one function apart.
        dtypes: The types to try; arrays of `PROTOTYPES` are cast to each.
        result: The dtype of the result; `None` for the one that is tried.
        differentiable: Whether gradients with respect to all float64 arrays are judged too.
        traceable: Whether it can be compiled; selecting by a mask makes sizes that depend on values.
        elementwise: Whether nothing adds up, so that the tolerance is tighter.
    """

    name: str
    arguments: tuple[Any, ...]
    reference: Callable[..., Any]
    note: str = ""
    dtypes: tuple[str, ...] = ("float32",)
    result: str | None = None
    differentiable: bool = False
    traceable: bool = True
    elementwise: bool = False

    def __str__(self) -> str:
        return f"{self.name}-{self.note}" if self.note else self.name

    def expected(self, dtype: str) -> Any:
        """numpy's result for arguments that were rounded to `dtype`; a tuple where the function returns one."""
        with np.errstate(all="ignore"):
            return self.reference(*map_arrays(lambda a: _lift(_cast(a, dtype)), self.arguments))

    def tolerance(self, dtype: str) -> float:
        """How far the result may be off, relative to its scale."""
        return (ELEMENTWISE_TOLERANCES if self.elementwise else TOLERANCES).get(dtype, 0.0)


def each(cases: Iterable[Case]) -> pytest.MarkDecorator:
    """Runs a test once for each case, as argument `case`."""
    return pytest.mark.parametrize("case", [pytest.param(case, id=f"{case}-{case.dtypes[0]}") for case in cases])


def each_dtype(cases: Iterable[Case]) -> pytest.MarkDecorator:
    """Runs a test once for each dtype that a case of the table has, as argument `dtype`."""
    return pytest.mark.parametrize("dtype", list(dict.fromkeys(dtype for case in cases for dtype in case.dtypes)))


def each_differentiable(cases: Iterable[Case]) -> pytest.MarkDecorator:
    """Runs a test once for each case that has a gradient, as argument `case`."""
    return pytest.mark.parametrize("case", [pytest.param(case, id=str(case)) for case in cases if case.differentiable])


def check_values(backend: Backend, case: Case) -> None:
    """Calls the function eagerly with the first dtype of the case, and compares with numpy.

    Raises:
        Mismatch: Dtype, shape or values differ.
    """
    dtype = case.dtypes[0]
    _compare(backend, case, _call(backend, case, _natives(backend, [case], dtype)), dtype)


def check_gradients(backend: Backend, case: Case) -> None:
    """Compares the gradients in float32 with central differences of numpy's function in float64. They are compiled, as in training.

    Raises:
        Mismatch: A gradient is missing or differs.
    """
    rounded = map_arrays(lambda a: a.astype(np.float32) if a.dtype == np.float64 else a, case.arguments)
    inputs = _floats(rounded)
    storages = [backend.variable(array, "float32", True, f"input_{i}") for i, array in enumerate(inputs)]
    weights = _weights(np.shape(_first(case.expected("float32"))))

    def loss() -> tuple[Any, None]:
        values = iter([backend.read(storage) for storage in storages])
        natives = [next(values) if array.dtype == np.float32 else to_native(backend, array) for array in _arrays(rounded)]
        return weighted_sum(backend, _first(_call(backend, case, natives)), weights), None

    def reference(*arrays: np.ndarray) -> np.ndarray:
        values = iter(arrays)
        return _first(case.reference(*map_arrays(lambda a: next(values) if a.dtype == np.float32 else a, rounded)))

    gradients = backend.compile(lambda: backend.value_and_grad(loss, storages)[2], "auto" if case.traceable else "off")()
    for position, wanted in enumerate(numeric_gradients(reference, inputs, weights)):
        expect(gradients[position] is not None, f"{case}: no gradient for array {position}.")
        expect_native(backend, gradients[position], wanted, "float32")


def check_second_gradients(backend: Backend, case: Case) -> None:
    """Compares the gradient of a gradient in float32 with a mixed second difference of numpy's function in float64.

    Along two random directions u and v: u * d/dx (v * d/dx f(x)), where f is the weighted sum of the result and x all float arrays.

    Raises:
        Mismatch: It differs.
    """
    rounded = map_arrays(lambda a: a.astype(np.float32) if a.dtype == np.float64 else a, case.arguments)
    inputs = _floats(rounded)
    weights = _weights(np.shape(_first(case.expected("float32"))))
    rng = np.random.default_rng(0)
    u, v = ([rng.normal(size=array.shape) for array in inputs] for _ in range(2))

    def value(*natives: Any) -> Any:
        values = iter(natives)
        arguments = [next(values) if array.dtype == np.float32 else to_native(backend, array) for array in _arrays(rounded)]
        return weighted_sum(backend, _first(_call(backend, case, arguments)), weights)

    def reference(*arrays: np.ndarray) -> float:
        values = iter(arrays)
        return np.sum(_first(case.reference(*map_arrays(lambda a: next(values) if a.dtype == np.float32 else a, rounded))) * weights)

    curvature = _along(backend, _along(backend, value, v), u)
    found = float(backend.to_numpy(backend.compile(curvature, "auto" if case.traceable else "off")(*inputs)))
    wanted = mixed_difference(reference, inputs, u, v)
    allowed = 1e-4 * abs(wanted) + 1e-5 * abs(reference(*inputs))
    expect(abs(found - wanted) <= allowed, f"{case}: the second derivative is {found}, and {wanted} was expected.")


def _along(backend: Backend, function: Callable[..., Any], directions: list[np.ndarray]) -> Callable[..., Any]:
    """The derivative of a function of tensors along one direction for each; what it does not depend on adds nothing."""

    def derivative(*natives: Any) -> Any:
        gradients = backend.value_and_grad(lambda *inputs: (function(*inputs), None), [], natives)[2]
        result = backend.full((), 0.0, "float32")
        for gradient, direction in zip(gradients, directions, strict=True):
            if gradient is not None:
                result = backend.add(result, weighted_sum(backend, gradient, direction))
        return result

    return derivative


def check_table(backend: Backend, cases: Iterable[Case], dtype: str) -> None:
    """Compiles one function that calls all cases of a dtype, and compares with numpy; reports every case that differs.

    One function, because compiling is what takes the time. If it cannot be compiled as a whole, each case is called alone, to find which
    one is at fault. A 64 bit type that the backend refuses is judged by its refusal.

    Raises:
        Mismatch: Dtype, shape or values of a case differ, or it fails.
    """
    if not supports(backend, dtype):
        expect(dtype in ("int64", "float64"), f"{dtype} is a type that every backend has.")
        return
    chosen = [case for case in cases if dtype in case.dtypes]
    together = [case for case in chosen if case.traceable]

    def everything(natives: list[Any]) -> list[Any]:
        values = iter(natives)
        return [_call(backend, case, values) for case in together]

    try:
        results = dict(zip(together, backend.compile(everything)(_natives(backend, together, dtype)), strict=True))
        failures = []
    except Exception as error:
        results, failures = {}, [f"compiling all of them: {type(error).__name__}: {error}"]
    for case in chosen:
        try:
            got = results[case] if case in results else _call(backend, case, _natives(backend, [case], dtype))
            _compare(backend, case, got, dtype)
        except Exception as error:
            failures.append(f"{case}: {type(error).__name__}: {error}")
    expect(not failures, f"{len(failures)} failures in {dtype}:\n" + "\n".join(failures))


def to_native(backend: Backend, array: np.ndarray) -> Any:
    """The tensor of a numpy array, of the same type."""
    return backend.asarray(array, array.dtype.name)


def weighted_sum(backend: Backend, x: Any, weights: np.ndarray) -> Any:
    """A scalar that depends on every element of `x` in its own way, so that a gradient in the wrong place shows."""
    product = backend.multiply(x, backend.asarray(weights, backend.dtype(x)))
    return backend.sum(product, tuple(range(weights.ndim)), False) if weights.ndim else product


def _call(backend: Backend, case: Case, natives: Iterable[Any]) -> Any:
    values = iter(natives)
    return getattr(backend, case.name)(*map_arrays(lambda _: next(values), case.arguments))


def _natives(backend: Backend, cases: Iterable[Case], dtype: str) -> list[Any]:
    return [to_native(backend, _cast(array, dtype)) for case in cases for array in _arrays(case.arguments)]


def _compare(backend: Backend, case: Case, got: Any, dtype: str) -> None:
    wanted = case.expected(dtype)
    if not isinstance(wanted, tuple):
        got, wanted = (got,), (wanted,)
    for one, reference in zip(got, wanted, strict=True):
        expect_native(backend, one, reference, case.result or dtype, case.tolerance(dtype))


def _cast(array: np.ndarray, dtype: str) -> np.ndarray:
    return array.astype(numpy_dtype(dtype)) if array.dtype in PROTOTYPES else array


def _lift(array: np.ndarray) -> np.ndarray:
    return array if array.dtype.kind in "biu" else array.astype(np.float64)


def _arrays(tree: Any) -> list[np.ndarray]:
    found: list[np.ndarray] = []
    map_arrays(found.append, tree)
    return found


def _floats(tree: Any) -> list[np.ndarray]:
    return [array for array in _arrays(tree) if array.dtype == np.float32]


def _first(result: Any) -> Any:
    return result[0] if isinstance(result, tuple) else result


def _weights(shape: tuple[int, ...]) -> np.ndarray:
    count = int(np.prod(shape))
    return (0.5 + np.arange(count) * 7 % 5 / 4).reshape(shape)
