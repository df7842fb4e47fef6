"""Promises of `contract.Reduction`."""

from typing import Any

import numpy as np
import pytest

from babel_dl.backend import Backend
from babel_dl.testing.conformance.cases import (
    Case,
    check_gradients,
    check_table,
    check_values,
    each,
    each_differentiable,
    each_dtype,
    weighted_sum,
)
from babel_dl.testing.conformance.judge import expect_native
from babel_dl.testing.conformance.reduction_cases import ALL


class ReductionConformance:
    """Sums, extremes, positions and products: values, dtypes, and how ties share a gradient."""

    @each(ALL)
    def test_reduction_gives_the_numbers_of_numpy(self, backend: Backend, case: Case) -> None:
        check_values(backend, case)

    @each_differentiable(ALL)
    def test_gradient_of_reduction_agrees_with_finite_differences(self, backend: Backend, case: Case) -> None:
        check_gradients(backend, case)

    @each_dtype(ALL)
    def test_reductions_of_every_dtype_give_the_numbers_of_numpy_compiled(self, backend: Backend, dtype: str) -> None:
        check_table(backend, ALL, dtype)

    @pytest.mark.parametrize("name", ["max", "min"])
    def test_ties_share_the_gradient_equally(self, backend: Backend, name: str) -> None:
        sign = 1.0 if name == "max" else -1.0
        x = sign * np.array([[3.0, 1.0, 3.0, 3.0], [0.0, 0.0, -1.0, -1.0], [2.0, 5.0, 4.0, 1.0]])
        gradient = _gradient(backend, name, x, (1,), np.array([1.0, 2.0, 3.0]))
        expect_native(backend, gradient, [[1 / 3, 0, 1 / 3, 1 / 3], [1, 1, 0, 0], [0, 3, 0, 0]], "float32")

    @pytest.mark.parametrize("name", ["max", "min"])
    def test_ties_share_the_gradient_across_several_axes(self, backend: Backend, name: str) -> None:
        gradient = _gradient(backend, name, np.ones((2, 3, 2)), (0, 2), np.array([4.0, 8.0, 1.0]))
        expect_native(backend, gradient, np.broadcast_to(np.array([[1.0], [2.0], [0.25]]), (2, 3, 2)), "float32")


def _gradient(backend: Backend, name: str, x: np.ndarray, axes: tuple[int, ...], weights: np.ndarray) -> Any:
    storage = backend.variable(x.astype(np.float32), "float32", True, "x")
    _, _, (gradient,) = backend.value_and_grad(
        lambda: (weighted_sum(backend, getattr(backend, name)(backend.read(storage), axes, False), weights), None), [storage]
    )
    return gradient
