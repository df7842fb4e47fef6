"""Promises of `contract.Elementwise`."""

import numpy as np

from babel_dl.backend import Backend
from babel_dl.testing.conformance.cases import (
    Case,
    check_gradients,
    check_table,
    check_values,
    each,
    each_differentiable,
    each_dtype,
    to_native,
)
from babel_dl.testing.conformance.elementwise_cases import ALL
from babel_dl.testing.conformance.judge import expect_native


class ElementwiseConformance:
    """Each function against numpy's of the same meaning."""

    @each(ALL)
    def test_elementwise_function_gives_the_numbers_of_numpy(self, backend: Backend, case: Case) -> None:
        check_values(backend, case)

    @each_dtype(ALL)
    def test_elementwise_functions_of_every_dtype_give_the_numbers_of_numpy_compiled(self, backend: Backend, dtype: str) -> None:
        check_table(backend, ALL, dtype)

    @each_differentiable(ALL)
    def test_elementwise_gradient_agrees_with_finite_differences(self, backend: Backend, case: Case) -> None:
        check_gradients(backend, case)

    def test_power_has_a_finite_gradient_where_the_base_is_zero(self, backend: Backend) -> None:
        storage = backend.variable(np.zeros(2, np.float32), "float32", True, "base")
        _, _, (gradient,) = backend.value_and_grad(
            lambda: (backend.sum(backend.power(backend.read(storage), 2), (0,), False), None), [storage]
        )
        expect_native(backend, gradient, np.zeros(2), "float32")

    def test_an_operand_is_not_changed_by_arithmetic(self, backend: Backend) -> None:
        x = to_native(backend, np.array([1.0, -2.0], np.float32))
        for name in ("add", "multiply", "maximum", "remainder"):
            getattr(backend, name)(x, 3.0)
        for name in ("negative", "abs", "exp", "floor"):
            getattr(backend, name)(x)
        expect_native(backend, x, [1.0, -2.0], "float32")
