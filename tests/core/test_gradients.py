"""Values and gradients of functions that read variables: the same on every backend, nested and with side effects."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.core import Module, Variable, collect_logged, log_value, trainable_variables, value_and_grad
from babel_dl.errors import GradientError, ShapeError
from babel_dl.model.layers import Activation, BatchNormalization, FullyConnected, Sequential

X = np.array([[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5]], np.float32)


def test_a_square_has_twice_its_root_as_gradient(backend: Backend) -> None:
    w = Variable([3.0, -2.0])
    value, (gradient,) = value_and_grad(lambda: ops.sum(w * w), w)
    assert (value.shape, value.item()) == ((), 13.0)
    assert (gradient.shape, gradient.dtype, gradient.numpy().tolist()) == ((2,), "float32", [6.0, -4.0])


def test_gradients_agree_with_pytorchs_autograd(backend: Backend) -> None:
    model = Sequential(FullyConnected(5, activation="tanh"), FullyConnected(3), Activation("softmax"))
    model.build_from(X)
    value, gradients = value_and_grad(lambda: ops.mean(ops.square(model(ops.asarray(X)) - 0.3)), model)
    judges = [torch.tensor(v.numpy(), requires_grad=True) for v in model.variables]
    hidden = torch.tanh(torch.tensor(X) @ judges[0] + judges[1])
    loss = ((torch.softmax(hidden @ judges[2] + judges[3], -1) - 0.3) ** 2).mean()
    loss.backward()
    np.testing.assert_allclose(value.item(), loss.item(), rtol=1e-5)
    for gradient, judge in zip(gradients, judges, strict=True):
        np.testing.assert_allclose(gradient.numpy(), judge.grad.numpy(), rtol=1e-4, atol=1e-7)


def test_scopes_are_modules_variables_and_lists_of_both_each_once(backend: Backend) -> None:
    layer, w = FullyConnected(2).build_from(X), Variable(1.0, path="/w")
    assert trainable_variables(layer) == [layer.weight, layer.bias]
    assert trainable_variables(w) == [w]
    assert trainable_variables([layer, w, layer.bias, w]) == [layer.weight, layer.bias, w]
    assert trainable_variables(v for v in (w, layer.bias)) == [w, layer.bias]
    _, gradients = value_and_grad(lambda: w * ops.sum(layer(ops.asarray(X))), [w, layer])
    assert [g.shape for g in gradients] == [(), (2, 2), (2,)]


def test_frozen_variables_and_statistics_get_no_gradient(backend: Backend) -> None:
    model = Sequential(FullyConnected(4), BatchNormalization())
    model.build_from(X)
    model.freeze("/layers/0/*")
    _, gradients = value_and_grad(lambda: ops.mean(ops.square(model(ops.asarray(X)) - 1)), model)
    assert [g.shape for g in gradients] == [(4,), (4,)]


def test_other_trainable_variables_are_constants(backend: Backend) -> None:
    v, w = Variable(2.0), Variable(5.0)
    value, (gradient,) = value_and_grad(lambda: v * w, v)
    assert (value.item(), gradient.item()) == (10.0, 5.0)
    value, (gradient,) = value_and_grad(lambda: v * w, w)
    assert gradient.item() == 2.0


def test_by_products_come_out_in_their_nest(backend: Backend) -> None:
    w = Variable(3.0)
    (value, aux), _ = value_and_grad(lambda: (w * w, {"double": 2 * w, "more": (w + 1, [None])}), w, has_aux=True)
    assert (value.item(), aux["double"].item(), aux["more"][0].item(), aux["more"][1]) == (9.0, 6.0, 4.0, [None])
    assert isinstance(aux["double"], ops.Tensor)


def test_a_by_product_may_be_a_dataclass(backend: Backend) -> None:
    @dataclass
    class Parts:
        first: object

    w = Variable(3.0)
    (_, aux), _ = value_and_grad(lambda: (w * w, Parts(w + 1)), w, has_aux=True)
    assert (type(aux), aux.first.item()) == (Parts, 4.0)


def test_writes_made_inside_hold(backend: Backend) -> None:
    w, seen = Variable(3.0), Variable(0.0, trainable=False)

    def loss() -> ops.Tensor:
        seen.assign(seen + w)
        return w * seen

    for step in range(1, 4):
        value, (gradient,) = value_and_grad(loss, w)
        assert seen.numpy() == value.item() / 3 == 3.0 * step
        assert gradient.item() == 3.0 * step, "no gradient flows through an assignment"


def test_running_statistics_move_while_gradients_are_taken(backend: Backend) -> None:
    model = Sequential(BatchNormalization(), FullyConnected(1))
    model.build_from(X)
    value_and_grad(lambda: ops.sum(model(ops.asarray(X))), model)
    assert model[0].num_batches_tracked.item() == 1
    np.testing.assert_allclose(model[0].running_mean.numpy(), 0.1 * X.mean(0), rtol=1e-5)


def test_logged_values_are_carried_out(backend: Backend) -> None:
    w = Variable(3.0)

    def loss() -> ops.Tensor:
        log_value("square", w * w)
        log_value("fixed", 1.5)
        return w * w

    with collect_logged() as logged:
        value_and_grad(loss, w)
    assert {name: value.item() for name, value in logged.items()} == {"square": 9.0, "fixed": 1.5}


def test_gradients_of_gradients(backend: Backend) -> None:
    """The penalty of a gradient: d/dw (d(w**3)/dw)**2 = d/dw 9 w**4 = 36 w**3."""
    w = Variable(2.0)

    def penalty() -> ops.Tensor:
        _, (slope,) = value_and_grad(lambda: w * w * w, w)
        return ops.square(slope)

    value, (gradient,) = value_and_grad(penalty, w)
    assert (value.item(), gradient.item()) == (144.0, 288.0)


def test_a_gradient_penalty_trains_the_module_it_is_taken_through(backend: Backend) -> None:
    """The slope of a linear critic in its input is its weight: the penalty (|w| - 1)**2 is known."""
    critic, x = FullyConnected(1, use_bias=False).build_from(X), Variable(X, path="/x")

    def penalty() -> ops.Tensor:
        _, (slope,) = value_and_grad(lambda: ops.sum(critic(x)), x)
        return ops.mean(ops.square(ops.sqrt(ops.sum(ops.square(slope), 1)) - 1))

    value, (gradient,) = value_and_grad(penalty, critic)
    weight = critic.weight.numpy().astype(np.float64)
    norm = np.sqrt((weight**2).sum())
    np.testing.assert_allclose(value.item(), (norm - 1) ** 2, rtol=1e-5)
    np.testing.assert_allclose(gradient.numpy(), 2 * (norm - 1) * weight / norm, rtol=1e-4)


def test_a_variable_that_the_result_does_not_depend_on_is_named(backend: Backend) -> None:
    w, idle, other = Variable(1.0, path="/w"), Variable(1.0, path="/head/idle"), Variable(1.0, path="/other")
    with pytest.raises(GradientError, match=r"does not depend on /head/idle, /other, so .*\n.* model.freeze\('/head/idle'\)"):
        value_and_grad(lambda: w * 2, [w, idle, other])
    with pytest.raises(GradientError, match="does not depend on /w, so there is no gradient"):
        value_and_grad(lambda: ops.asarray(1.0), w)
    with pytest.raises(GradientError, match="does not depend on /w"):
        value_and_grad(lambda: ops.stop_gradient(w * 2), w)


def test_nothing_to_train_is_an_error(backend: Backend) -> None:
    for scope in (FullyConnected(2), [], Variable(1.0, trainable=False), FullyConnected(2).build_from(X).freeze()):
        with pytest.raises(GradientError, match="There is no trainable variable to take a gradient for. Build the module first"):
            value_and_grad(lambda: ops.asarray(1.0), scope)


@pytest.mark.parametrize(
    ("result", "shown"), [(lambda w: w * np.ones(2), r"\(2,\)"), (lambda w: 3.0, "float"), (lambda w: None, "NoneType")]
)
def test_only_a_scalar_has_a_gradient(backend: Backend, result: object, shown: str) -> None:
    w = Variable(1.0)
    with pytest.raises(ShapeError, match=rf"needs a function that returns a scalar, and it returned {shown}. Take its mean\(\) or sum\(\)"):
        value_and_grad(lambda: result(w), w)


def test_errors_of_the_function_come_through(backend: Backend) -> None:
    w = Variable(1.0)

    def broken() -> ops.Tensor:
        raise KeyError("missing")

    with pytest.raises(KeyError, match="missing"):
        value_and_grad(broken, w)
    assert value_and_grad(lambda: w * 2, w)[1][0].item() == 2.0


def test_a_shared_module_gets_the_sum_of_its_gradients(backend: Backend) -> None:
    class Twice(Module):
        def __init__(self) -> None:
            self.a = FullyConnected(2, use_bias=False)
            self.b = self.a

        def call(self, x: object) -> object:
            return self.b(self.a(x))

    model = Twice().build_from(X)
    _, gradients = value_and_grad(lambda: ops.sum(model(ops.asarray(X))), model)
    judge = torch.tensor(model.a.weight.numpy(), requires_grad=True)
    (torch.tensor(X) @ judge @ judge).sum().backward()
    assert len(gradients) == 1
    np.testing.assert_allclose(gradients[0].numpy(), judge.grad.numpy(), rtol=1e-5)
