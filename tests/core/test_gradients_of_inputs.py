"""Gradients with respect to tensors that a function is given: `grad`, and `value_and_grad` with tensors among its sources."""

import re
from collections.abc import Iterator

import numpy as np
import pytest

from babel_dl import ops, use_backend
from babel_dl.backend import Backend
from babel_dl.core import Module, Variable, collect_logged, compile, grad, log_value, value_and_grad
from babel_dl.errors import ArgumentError, BackendError, GradientError, ShapeError
from babel_dl.model.layers import BatchNormalization, FullyConnected, Sequential

X = np.array([[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5]], np.float32)


@pytest.fixture
def x(backend: Backend) -> Iterator[ops.Tensor]:
    yield ops.asarray(X)


def test_the_gradient_of_a_tensor_is_a_tensor(x: ops.Tensor) -> None:
    slope = grad(lambda x: ops.sum(x * x * x), x)
    assert isinstance(slope, ops.Tensor)
    np.testing.assert_allclose(slope.numpy(), 3 * X**2, rtol=1e-6)


def test_a_list_of_tensors_gets_a_list_of_gradients_in_its_order(x: ops.Tensor) -> None:
    first, second = grad(lambda a, b: ops.sum(a * a * b), [x, ops.asarray(2 * X)])
    np.testing.assert_allclose(first.numpy(), 4 * X**2, rtol=1e-6)
    np.testing.assert_allclose(second.numpy(), X**2, rtol=1e-6)
    assert len(grad(lambda a: ops.sum(a), [x])) == 1


def test_gradients_of_variables_come_before_those_of_tensors(x: ops.Tensor) -> None:
    layer, scale = FullyConnected(2).build_from(X), Variable(2.0)
    value, gradients = value_and_grad(lambda x: scale * ops.sum(ops.tanh(layer(x))), [x, layer, scale])
    assert [gradient.shape for gradient in gradients] == [(2, 2), (2,), (), (3, 2)]
    np.testing.assert_allclose(gradients[2].item() * 2, value.item(), rtol=1e-5)


def test_a_variable_or_a_module_may_be_the_only_source(backend: Backend) -> None:
    w, layer = Variable(3.0), FullyConnected(2).build_from(X)
    assert grad(lambda: w * w, w).item() == 6.0
    assert [gradient.shape for gradient in grad(lambda: ops.sum(layer(ops.asarray(X))), layer)] == [(2, 2), (2,)]


def test_by_products_come_with_the_gradient(x: ops.Tensor) -> None:
    slope, aux = grad(lambda x: (ops.sum(x * x), {"double": 2 * x}), x, has_aux=True)
    np.testing.assert_array_equal(slope.numpy(), aux["double"].numpy())
    (value, aux), (slope,) = value_and_grad(lambda x: (ops.sum(x * x), (x + 1, None)), x, has_aux=True)
    assert (value.item(), aux[1]) == (pytest.approx((X**2).sum()), None)


def test_numbers_arrays_and_natives_are_tensors_as_well(backend: Backend, x: ops.Tensor) -> None:
    assert grad(lambda x: x * x, 3.0).item() == 6.0
    np.testing.assert_array_equal(grad(lambda x: ops.sum(x * x), X.astype(np.float64)).numpy(), 2 * X)
    assert isinstance(grad(lambda x: ops.sum(x * x), x.native), ops.Tensor)
    with use_backend("torch" if backend.name != "torch" else "jax"):
        assert grad(lambda a, b: ops.sum(a * b), [X, x])[0].backend is backend, "a tensor says where arrays beside it go"


def test_a_tensor_from_outside_is_a_constant(x: ops.Tensor) -> None:
    np.testing.assert_array_equal(grad(lambda y: ops.sum(x * y), x).numpy(), X)
    np.testing.assert_allclose(grad(lambda a, b: ops.sum(a * a * b), [x, x])[1].numpy(), X**2, rtol=1e-6)


def test_the_tensor_itself_is_left_alone(x: ops.Tensor) -> None:
    w = Variable(2.0)
    grad(lambda x: ops.sum(x * x), x)
    assert grad(lambda: w * ops.sum(x), w).item() == pytest.approx(X.sum())
    np.testing.assert_array_equal(x.numpy(), X)


@pytest.mark.parametrize("mode", ["auto", "off"])
def test_a_penalty_of_an_input_gradient_trains_the_module_it_is_taken_through(backend: Backend, mode: str) -> None:
    """The slope of a linear critic in its input is its weight: the penalty (|w| - 1)**2 is known."""
    critic = FullyConnected(1, use_bias=False).build_from(X)

    def penalty(x: ops.Tensor) -> ops.Tensor:
        slope = grad(lambda x: ops.sum(critic(x)), x)
        return ops.mean(ops.square(ops.sqrt(ops.sum(ops.square(slope), 1)) - 1))

    value, (gradient,) = compile(lambda x: value_and_grad(lambda: penalty(x), critic), mode)(X)
    weight = critic.weight.numpy().astype(np.float64)
    norm = np.sqrt((weight**2).sum())
    np.testing.assert_allclose(value.item(), (norm - 1) ** 2, rtol=1e-5)
    np.testing.assert_allclose(gradient.numpy(), 2 * (norm - 1) * weight / norm, rtol=1e-4)


def test_a_gradient_goes_on_to_what_its_tensor_was_computed_from(backend: Backend) -> None:
    """d/dw of the slope 2 w x of (w x)**2 in y = w x: the way through y counts, as y is computed from w."""
    w = Variable(3.0)
    value, (gradient,) = value_and_grad(lambda: grad(lambda y: y * y * y, w * 2.0), w)
    assert (value.item(), gradient.item()) == (108.0, 72.0)


def test_values_logged_and_statistics_moved_inside_hold(x: ops.Tensor) -> None:
    model = Sequential(BatchNormalization(), FullyConnected(1))
    model.build_from(X)

    def score(x: ops.Tensor) -> ops.Tensor:
        log_value("mean", ops.mean(x))
        return ops.sum(model(x) ** 2)

    with collect_logged() as logged:
        grad(score, x)
    assert logged["mean"].item() == pytest.approx(X.mean())
    np.testing.assert_allclose(model[0].running_mean.numpy(), 0.1 * X.mean(0), rtol=1e-5)


def test_a_gradient_is_taken_in_evaluation_too(backend: Backend, x: ops.Tensor) -> None:
    class Slope(Module):
        def call(self, x: ops.Tensor) -> ops.Tensor:
            return grad(lambda x: ops.sum(ops.sin(x)), x)

    with backend.without_gradients():
        np.testing.assert_allclose(grad(lambda x: ops.sum(x * x), x).numpy(), 2 * X)
    np.testing.assert_allclose(Slope().predict(x=X), np.cos(X), rtol=1e-6)


def test_whole_numbers_have_no_gradient(x: ops.Tensor) -> None:
    message = r'Tensor 1 to differentiate with respect to is int32, and only floating ones have gradients.\n  Cast it first: x.astype\("fl'
    with pytest.raises(GradientError, match=message):
        grad(lambda a, b: ops.sum(a * b), [x, ops.asarray([1, 2])])


def test_a_tensor_that_the_result_does_not_depend_on_is_named(x: ops.Tensor) -> None:
    message = "does not depend on tensor 1 (3, 2), so there is no gradient for it.\n  Compute the result from the function's argument"
    for score in (lambda a, b: ops.sum(a), lambda a, b: ops.sum(a * x), lambda a, b: ops.sum(a * ops.stop_gradient(b))):
        with pytest.raises(GradientError, match=re.escape(message)):
            grad(score, [x, x])
    w = Variable(1.0, path="/w")
    with pytest.raises(GradientError, match=r"does not depend on /w, tensor 0 \(3, 2\), so .*\n.*model.freeze\('/w'\)"):
        grad(lambda x: ops.asarray(1.0), [w, x])


@pytest.mark.parametrize(
    ("wrong", "shown"), [("weight", "'weight'"), (None, "None"), (["weight"], "'weight'"), ([None], "None"), (print, "<built-in")]
)
def test_what_has_no_gradient_is_refused(backend: Backend, wrong: object, shown: str) -> None:
    with pytest.raises(ArgumentError, match=f"with respect to modules, variables and tensors, and {shown}.* is none of these"):
        grad(lambda x: x, wrong)


def test_nothing_to_differentiate_with_respect_to_is_an_error(backend: Backend) -> None:
    with pytest.raises(GradientError, match="There is no trainable variable to take a gradient for"):
        grad(lambda: ops.asarray(1.0), [])


def test_tensors_of_two_backends_do_not_meet(backend: Backend, x: ops.Tensor) -> None:
    with use_backend("torch" if backend.name != "torch" else "jax"):
        stranger = ops.asarray(X)
    with pytest.raises(BackendError, match="Tensors of two backends meet"):
        grad(lambda a, b: ops.sum(a * b), [x, stranger])


def test_only_a_scalar_has_a_gradient(x: ops.Tensor) -> None:
    with pytest.raises(ShapeError, match=r"needs a function that returns a scalar, and it returned \(3, 2\). Take its mean\(\) or sum\(\)"):
        grad(lambda x: x * x, x)
