"""Promises of `contract.Neural`."""

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
    to_native,
    weighted_sum,
)
from babel_dl.testing.conformance.judge import expect, expect_array, expect_native, supports
from babel_dl.testing.conformance.neural_cases import (
    ALL,
    LABELS,
    LOGITS,
    OFFSET,
    SCALE,
)
from babel_dl.testing.conformance.references import batch_norm, convolution_transpose, interpolate, sparse_cross_entropy, upsample

SAME = ((0, 1), (0, 1))


class NeuralConformance:
    """Layers' arithmetic against plain numpy loops, and what is defined where frameworks differ."""

    @each(ALL)
    def test_primitive_gives_the_numbers_of_its_definition(self, backend: Backend, case: Case) -> None:
        check_values(backend, case)

    @each_differentiable(ALL)
    def test_gradient_of_primitive_agrees_with_finite_differences(self, backend: Backend, case: Case) -> None:
        check_gradients(backend, case)

    @each_dtype(ALL)
    def test_primitives_of_every_dtype_give_the_numbers_of_their_definitions_compiled(self, backend: Backend, dtype: str) -> None:
        check_table(backend, ALL, dtype)

    def test_max_pool_gives_the_gradient_to_the_first_of_equal_elements(self, backend: Backend) -> None:
        x = np.array([3.0, 3, 1, 1, 2, 5]).reshape(1, 6, 1)
        gradient = _gradient(backend, x, lambda v: backend.max_pool(v, (2,), (2,), ((0, 0),), (1,)), np.array([1.0, 2, 3]).reshape(1, 3, 1))
        expect_native(backend, gradient, np.array([1.0, 0, 2, 0, 0, 3]).reshape(1, 6, 1), "float32")

    def test_max_pool_in_two_axes_looks_for_the_first_row_by_row(self, backend: Backend) -> None:
        x = np.array([[0.0, 7, 1], [7, 7, 1], [2, 2, 2]]).reshape(1, 3, 3, 1)
        weights = np.array([[1.0, 2], [4, 8]]).reshape(1, 2, 2, 1)
        gradient = _gradient(backend, x, lambda v: backend.max_pool(v, (2, 2), (1, 1), ((0, 0), (0, 0)), (1, 1)), weights)
        expect_native(backend, gradient, np.array([[0.0, 3, 0], [4, 8, 0], [0, 0, 0]]).reshape(1, 3, 3, 1), "float32")

    def test_max_pool_gives_the_gradient_to_the_first_beside_padding(self, backend: Backend) -> None:
        gradient = _gradient(
            backend, np.zeros((1, 4, 1)), lambda v: backend.max_pool(v, (3,), (2,), ((1, 1),), (1,)), np.array([1.0, 2]).reshape(1, 2, 1)
        )
        expect_native(backend, gradient, np.array([1.0, 2, 0, 0]).reshape(1, 4, 1), "float32")

    def test_batch_norm_of_one_value_per_channel_is_the_offset(self, backend: Backend) -> None:
        for shape in ((1, 4), (1, 1, 4), (1, 1, 1, 4)):
            x = np.linspace(-3, 5, 4).reshape(shape).astype(np.float32)
            native, scale, offset = (to_native(backend, a.astype(np.float32)) for a in (x, SCALE, OFFSET))
            y, mean, variance = backend.batch_norm(native, scale, offset, 1e-5)
            # A variance of 0 divides by sqrt(eps): rounding of a fused `x * a + b` grows by 1 / sqrt(eps), about 300.
            expect_native(backend, y, OFFSET.reshape(shape), "float32", 1e-3)
            expect_native(backend, mean, x.reshape(4), "float32")
            expect_native(backend, variance, np.zeros(4), "float32")

    def test_batch_norm_of_one_value_per_channel_has_no_gradient_for_its_input(self, backend: Backend) -> None:
        gradient = _gradient(backend, np.ones((1, 4)), lambda v: backend.batch_norm(v, None, None, 1e-5)[0], np.ones((1, 4)))
        expect_array(backend.to_numpy(gradient), np.zeros((1, 4)))

    def test_statistics_of_batch_norm_carry_no_gradient(self, backend: Backend) -> None:
        x, weights = np.random.default_rng(0).normal(size=(6, 4)), np.arange(24.0).reshape(6, 4)

        def with_statistics(v: Any) -> Any:
            y, mean, variance = backend.batch_norm(v, None, None, 1e-5)
            return backend.add(y, backend.add(mean, backend.multiply(variance, 3.0)))

        plain = _gradient(backend, x, lambda v: backend.batch_norm(v, None, None, 1e-5)[0], weights)
        expect_native(backend, _gradient(backend, x, with_statistics, weights), backend.to_numpy(plain), "float32")

    def test_batch_norm_is_exact_when_the_mean_is_large(self, backend: Backend) -> None:
        x = (np.random.default_rng(1).normal(size=(64, 3)) + 100.0).astype(np.float32)
        y, mean, variance = backend.batch_norm(to_native(backend, x), None, None, 1e-5)
        wanted = batch_norm(x.astype(np.float64), None, None, 1e-5)
        expect_native(backend, mean, wanted[1], "float32")
        expect_native(backend, variance, wanted[2], "float32", 1e-3)
        expect_native(backend, y, wanted[0], "float32", 1e-3)

    @pytest.mark.parametrize("name", ["batch_norm", "layer_norm"])
    @pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
    def test_normalization_keeps_a_narrow_type(self, backend: Backend, name: str, dtype: str) -> None:
        x = np.random.default_rng(2).normal(size=(16, 4))
        middle = () if name == "batch_norm" else (1,)
        scale, offset = backend.full((4,), 1, dtype), backend.full((4,), 0, dtype)
        result = getattr(backend, name)(backend.asarray(x, dtype), *middle, scale, offset, 1e-5)
        axis = 0 if name == "batch_norm" else 1
        wanted = (x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True) + 1e-5)
        expect_native(backend, result[0] if name == "batch_norm" else result, wanted, dtype)

    def test_relu_has_no_gradient_at_zero(self, backend: Backend) -> None:
        gradient = _gradient(backend, np.array([-1.0, 0.0, 2.0]), backend.relu, np.ones(3))
        expect_array(backend.to_numpy(gradient), [0.0, 0.0, 1.0])

    def test_leaky_relu_and_elu_have_at_zero_the_gradient_of_what_is_below(self, backend: Backend) -> None:
        x = np.array([-1.0, 0.0, 2.0])
        leaky = _gradient(backend, x, lambda v: backend.leaky_relu(v, 0.25), np.ones(3))
        expect_array(backend.to_numpy(leaky), [0.25, 0.25, 1.0])
        for alpha in (1.0, 0.5):
            curved = _gradient(backend, x, lambda v, alpha=alpha: backend.elu(v, alpha), np.ones(3))
            expect_native(backend, curved, [alpha * np.exp(-1.0), alpha, 1.0], "float32")

    def test_activations_have_finite_gradients_at_both_ends(self, backend: Backend) -> None:
        x, ones = np.array([-1e4, -100.0, 100.0, 1e4]), np.ones(4)
        expect_native(backend, _gradient(backend, x, lambda v: backend.elu(v, 1.0), ones), [0, 0, 1, 1], "float32")
        expect_native(backend, _gradient(backend, x, backend.silu, ones), [0, 0, 1, 1], "float32")
        for approximate in (False, True):
            slopes = _gradient(backend, x, lambda v, approximate=approximate: backend.gelu(v, approximate), ones)
            expect_native(backend, slopes, [0, 0, 1, 1], "float32")

    def test_resizing_and_transposed_convolutions_serve_every_batch_when_compiled(self, backend: Backend) -> None:
        kernel = np.random.default_rng(3).normal(size=(3, 3, 2, 4))
        cases = [
            (lambda v: backend.upsample(v, (2, 3)), lambda x: upsample(x, (2, 3))),
            (lambda v: backend.interpolate(v, (7, 3)), lambda x: interpolate(x, (7, 3))),
            (lambda v: backend.convolution_transpose(v, to_native(backend, kernel.astype(np.float32)), None, (2, 2), SAME, (1, 1), 1),
             lambda x: convolution_transpose(x, kernel, None, (2, 2), SAME, (1, 1), 1)),
        ]
        for function, reference in cases:
            compiled = backend.compile(function)
            for batch in (2, 5, 1):
                x = np.random.default_rng(batch).normal(size=(batch, 4, 5, 2))
                expect_native(backend, compiled(to_native(backend, x.astype(np.float32))), reference(x), "float32")

    def test_softplus_and_sigmoid_have_finite_gradients_at_both_ends(self, backend: Backend) -> None:
        x = np.array([-1e4, -100.0, 100.0, 1e4])
        expect_native(backend, _gradient(backend, x, backend.softplus, np.ones(4)), [0, 0, 1, 1], "float32")
        flat = backend.to_numpy(_gradient(backend, x, backend.sigmoid, np.ones(4)))
        expect(bool(np.all(np.abs(flat) < 1e-30)), f"gradient of sigmoid at its ends: {flat}")

    def test_softmax_has_a_finite_gradient_at_huge_logits(self, backend: Backend) -> None:
        for function in (backend.softmax, backend.log_softmax):
            gradient = backend.to_numpy(_gradient(backend, np.array([[1e4, -1e4, 0.0]]), lambda v, f=function: f(v, 1), np.ones((1, 3))))
            expect(bool(np.all(np.isfinite(gradient))), f"gradient {gradient}")

    def test_labels_of_64_bits_are_taken_where_the_type_exists(self, backend: Backend) -> None:
        labels = backend.asarray(np.array([0, 9, -1, 2]), "int64" if supports(backend, "int64") else "int32")
        got = backend.sparse_cross_entropy(to_native(backend, LOGITS.astype(np.float32)), labels)
        expect_native(backend, got, sparse_cross_entropy(LOGITS, np.array([0, 9, -1, 2])), "float32")

    def test_a_label_outside_of_the_classes_is_found_in_a_compiled_loss(self, backend: Backend) -> None:
        compiled = backend.compile(lambda x, y: backend.sparse_cross_entropy(x, y))
        x = LOGITS.astype(np.float32)
        for labels in (LABELS, np.array([0, 5, -1, 2])):
            expect_native(backend, compiled(x, labels.astype(np.int32)), sparse_cross_entropy(LOGITS, labels), "float32")


def _gradient(backend: Backend, x: np.ndarray, function: Any, weights: np.ndarray) -> Any:
    storage = backend.variable(x.astype(np.float32), "float32", True, "x")
    _, _, (gradient,) = backend.value_and_grad(lambda: (weighted_sum(backend, function(backend.read(storage)), weights), None), [storage])
    expect(gradient is not None, "no gradient came.")
    return gradient
