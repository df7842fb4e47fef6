"""Compares a backend's numbers with numpy's. Every function here raises when numbers differ: a comparison that cannot fail judges nothing.

Plain `assert` is not used, so that the messages are the same with and without pytest's rewriting.
"""

from collections.abc import Callable, Sequence
from typing import Any

import ml_dtypes
import numpy as np

from babel_dl.backend import Backend
from babel_dl.errors import DTypeError

TOLERANCES = {"float64": 1e-10, "float32": 1e-5, "float16": 3e-3, "bfloat16": 2e-2}
"""How far a result may lie from numpy's, relative to the largest number of the result."""

ELEMENTWISE_TOLERANCES = {**TOLERANCES, "float32": 1e-6}
"""The same for functions of each element, where nothing adds up."""

STEP = 1e-5
"""Half the width of a central difference; in float64 its error is about 1e-10."""


class Mismatch(AssertionError):
    """A backend's result is not what the contract promises."""


def expect(condition: bool, message: str) -> None:
    """Raises `Mismatch` with the message unless the condition holds.

    Raises:
        Mismatch: The condition is false.
    """
    if not condition:
        raise Mismatch(message)


def expect_same(got: Any, wanted: Any, what: str) -> None:
    """Raises unless two plain Python values are equal.

    Raises:
        Mismatch: They differ.
    """
    expect(got == wanted, f"{what}: got {got!r}, expected {wanted!r}.")


def numpy_dtype(name: str) -> np.dtype:
    """numpy's type for one of the contract's words."""
    return np.dtype(ml_dtypes.bfloat16) if name == "bfloat16" else np.dtype(name)


def expect_array(got: np.ndarray, wanted: Any, tolerance: float = 0.0) -> None:
    """Raises unless an array has the shape and the values that are wanted; NaN equals NaN.

    Args:
        got: What came.
        wanted: What numpy says.
        tolerance: Relative to each element, plus as much relative to the largest finite one. 0 means equal.

    Raises:
        Mismatch: Shapes or values differ.
    """
    wanted = np.asarray(wanted)
    expect_same(got.shape, wanted.shape, "shape")
    exact = tolerance == 0.0
    left, right = (got, wanted) if exact and got.dtype.kind in "biu" else (_wide(got), _wide(wanted))
    finite = np.abs(right[np.isfinite(right)])
    scale = 0.0 if exact or finite.size == 0 else float(finite.max())
    close = (left == right) if exact else np.isclose(left, right, rtol=tolerance, atol=tolerance * scale)
    close = close | (np.isnan(left) & np.isnan(right))
    expect(bool(np.all(close)), f"values differ beyond {tolerance}:\n  got      {left[~close][:8]}\n  expected {right[~close][:8]}")


def expect_native(backend: Backend, got: Any, wanted: Any, dtype: str, tolerance: float | None = None) -> None:
    """Raises unless a tensor has the dtype, the shape and the values that are wanted.

    Args:
        backend: Whose tensor it is.
        got: The tensor.
        wanted: What numpy says, in any precision.
        dtype: The element type it must have.
        tolerance: As in `expect_array`; `None` for `TOLERANCES`. Integers and bools must be equal.

    Raises:
        Mismatch: Something differs.
    """
    expect(backend.is_native(got), f"got a {type(got).__name__}, which is no tensor of {backend.name}.")
    expect_same(backend.dtype(got), dtype, "dtype")
    array = backend.to_numpy(got)
    expect_same(array.dtype, numpy_dtype(dtype), "dtype on the host")
    expect_same(backend.shape(got), array.shape, "shape of the tensor and of its values")
    if tolerance is None:
        tolerance = TOLERANCES.get(dtype, 0.0)
    expect_array(array, wanted, tolerance)


def supports(backend: Backend, dtype: str) -> bool:
    """Whether the backend has this element type; a type it has not must be refused with a `DTypeError` that names it.

    Raises:
        Mismatch: The refusal does not name the type.
    """
    try:
        backend.asarray(0, dtype)
    except DTypeError as error:
        expect(dtype in str(error), f"the refusal does not name {dtype}: {error}")
        return False
    return True


def map_arrays(function: Callable[[np.ndarray], Any], tree: Any) -> Any:
    """The tree with `function` applied to every numpy array in its tuples and lists; all else is kept."""
    if isinstance(tree, np.ndarray):
        return function(tree)
    if isinstance(tree, tuple | list):
        return type(tree)(map_arrays(function, item) for item in tree)
    return tree


def numeric_gradients(function: Callable[..., np.ndarray], arrays: Sequence[np.ndarray], weights: np.ndarray) -> list[np.ndarray]:
    """The gradients of `sum(function(*arrays) * weights)` by central differences in float64.

    Args:
        function: Takes and returns numpy arrays.
        arrays: Where to differentiate.
        weights: Of the shape of the result.

    Returns:
        One gradient for each array.
    """
    inputs = [np.array(array, np.float64) for array in arrays]
    return [_differences(function, inputs, position, weights) for position in range(len(inputs))]


def mixed_difference(
    function: Callable[..., float], arrays: Sequence[np.ndarray], u: Sequence[np.ndarray], v: Sequence[np.ndarray]
) -> float:
    """The second derivative of a function along u and v, by a difference of differences in float64.

    Args:
        function: Takes numpy arrays, returns a number.
        arrays: Where to differentiate.
        u: One direction for each array.
        v: The other one.
    """
    step, result = 1e-4, 0.0
    for first in (1, -1):
        for second in (1, -1):
            moved = [np.float64(a) + step * (first * du + second * dv) for a, du, dv in zip(arrays, u, v, strict=True)]
            result += first * second * float(function(*moved))
    return result / (4 * step**2)


def _differences(function: Callable[..., np.ndarray], inputs: list[np.ndarray], position: int, weights: np.ndarray) -> np.ndarray:
    target = inputs[position]
    gradient = np.zeros(target.shape)
    for index in np.ndindex(target.shape):
        kept = target[index]
        target[index] = kept + STEP
        above = np.sum(function(*inputs) * weights)
        target[index] = kept - STEP
        below = np.sum(function(*inputs) * weights)
        target[index] = kept
        gradient[index] = (above - below) / (2 * STEP)
    return gradient


def _wide(array: np.ndarray) -> np.ndarray:
    return np.asarray(array).astype(np.float64)
