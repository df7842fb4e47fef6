"""Promises of `contract.Shape`."""

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
from babel_dl.testing.conformance.judge import expect_native, supports
from babel_dl.testing.conformance.shape_cases import ALL, NEAR, A


class ShapeConformance:
    """Functions that move elements: every dtype, every kind of index."""

    @each(ALL)
    def test_shape_function_moves_the_elements_as_numpy(self, backend: Backend, case: Case) -> None:
        check_values(backend, case)

    @each_differentiable(ALL)
    def test_gradient_moves_back_to_where_the_elements_came_from(self, backend: Backend, case: Case) -> None:
        check_gradients(backend, case)

    @each_dtype(ALL)
    def test_shape_functions_of_every_dtype_move_the_elements_as_numpy_compiled(self, backend: Backend, dtype: str) -> None:
        check_table(backend, ALL, dtype)

    def test_indices_of_64_bits_are_taken_where_the_type_exists(self, backend: Backend) -> None:
        dtype = "int64" if supports(backend, "int64") else "int32"
        x, indices = to_native(backend, A.astype(np.float32)), backend.asarray(NEAR, dtype)
        positions = backend.asarray(np.array([[[3, 0, 1]]]), dtype)
        expect_native(backend, backend.take(x, indices, 1), A[:, NEAR], "float32")
        expect_native(backend, backend.getitem(x, (indices,)), A[NEAR], "float32")
        expect_native(backend, backend.take_along_axis(x, positions, 2), A[:, :, [3, 0, 1]], "float32")

    def test_joining_accepts_lists_and_tuples(self, backend: Backend) -> None:
        x = to_native(backend, np.ones((2, 3), np.float32))
        for xs in ([x, x], (x, x)):
            expect_native(backend, backend.concat(xs, 0), np.ones((4, 3)), "float32")
            expect_native(backend, backend.stack(xs, 0), np.ones((2, 2, 3)), "float32")
