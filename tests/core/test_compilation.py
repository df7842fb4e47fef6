"""Compiled functions: the same numbers and the same state as without."""

from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.core import Module, Tensor, Variable, collect_logged, compile, log_value, value_and_grad
from babel_dl.errors import ArgumentError, ShapeError
from babel_dl.model.layers import BatchNormalization, Dropout, FullyConnected, Sequential

X = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
MODES = ("auto", "off")
Pair = namedtuple("Pair", ["total", "rest"])


@dataclass
class Batch:
    image: object
    name: str


@pytest.mark.parametrize("mode", MODES)
def test_a_compiled_function_gives_the_same_numbers(backend: Backend, mode: str) -> None:
    def function(x: Tensor, scale: Tensor) -> Tensor:
        return ops.sum(ops.tanh(x * scale), axis=1)

    compiled = compile(function, mode)
    for _ in range(2):
        result = compiled(ops.asarray(X), ops.asarray(2.0))
        assert isinstance(result, Tensor)
        np.testing.assert_allclose(result.numpy(), np.tanh(X * 2).sum(1), rtol=1e-5)


def test_natives_and_arrays_are_arguments_too(backend: Backend) -> None:
    compiled = compile(lambda x, *, y: x + y)
    for x in (X, X.astype(np.float64), backend.asarray(X, "float32"), ops.asarray(X)):
        result = compiled(x, y=X)
        assert (type(result), result.dtype) == (Tensor, "float32")
        np.testing.assert_allclose(result.numpy(), 2 * X, rtol=1e-6)
    assert compile(lambda x: x)(np.arange(3)).dtype == "int32"


def test_nests_keep_their_structure(backend: Backend) -> None:
    def function(batch: object) -> object:
        assert type(batch) is Pair
        return {"pair": Pair(batch.total * 2, [batch.rest["a"], None]), "text": "done", "number": 3}

    compiled = compile(function)
    for _ in range(2):
        out = compiled(Pair(ops.asarray(X), {"a": ops.asarray([1.0])}))
        assert type(out["pair"]) is Pair
        assert (out["pair"].rest[0].item(), out["pair"].rest[1], out["text"], out["number"]) == (1.0, None, "done", 3)
        np.testing.assert_array_equal(out["pair"].total.numpy(), 2 * X)


def test_dataclasses_come_and_go(backend: Backend) -> None:
    compiled = compile(lambda batch: Batch(batch.image * 2, batch.name))
    for _ in range(2):
        out = compiled(Batch(X, "first"))
        assert (type(out), out.name) == (Batch, "first")
        np.testing.assert_array_equal(out.image.numpy(), 2 * X)


def test_state_is_kept_and_counted_at_every_call(backend: Backend) -> None:
    count, total = Variable(0, trainable=False, dtype="int32"), Variable(0.0, trainable=False)

    def step(x: Tensor) -> Tensor:
        count.assign(count + 1)
        total.assign(total + x)
        return count * 10

    compiled = compile(step)
    assert [compiled(ops.asarray(float(x))).item() for x in (1, 2, 3)] == [10, 20, 30]
    assert (count.item(), total.item()) == (3, 6.0)
    step(ops.asarray(4.0))
    count.assign(7)
    assert compiled(ops.asarray(5.0)).item() == 80, "what is assigned outside is seen inside"
    assert total.item() == 15.0


def test_a_value_written_is_read_back_in_the_same_call(backend: Backend) -> None:
    v = Variable(1.0, trainable=False)

    def step() -> Tensor:
        v.assign(v * 2)
        first = v + 0
        v.assign(v * 2)
        return first * 100 + v

    compiled = compile(step)
    assert [compiled().item(), compiled().item()] == [204.0, 816.0]


def test_two_functions_share_a_variable(backend: Backend) -> None:
    v = Variable(1.0, trainable=False)
    write, read = compile(lambda x: v.assign(x)), compile(lambda: v * 10)
    for x in (2.0, 3.0):
        assert write(ops.asarray(x)) is None
        assert read().item() == 10 * x


def test_new_shapes_types_and_constants_are_traced_anew(backend: Backend) -> None:
    compiled = compile(lambda x, power=1: x.shape[0] * ops.sum(x**power))
    assert compiled(ops.ones(3)).item() == 9.0
    assert compiled(ops.ones(5)).item() == 25.0
    assert compiled(ops.asarray([1, 2], "int32")).item() == 6
    assert compiled(ops.asarray([1.0, 2.0]), power=2).item() == 10.0
    assert compiled(ops.asarray([1.0, 2.0]), power=3).item() == 18.0
    assert compiled(ops.ones(3)).item() == 9.0


def test_a_module_is_built_inside_a_compiled_function(backend: Backend) -> None:
    model = Sequential(FullyConnected(3), BatchNormalization())
    compiled = compile(lambda x: model(x))
    first, second = compiled(X).numpy(), compiled(X).numpy()
    np.testing.assert_array_equal(first, second)
    assert model[1].num_batches_tracked.item() == 2
    twin = Sequential(FullyConnected(3), BatchNormalization())
    np.testing.assert_allclose(twin(X).numpy(), first, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(model[0].weight.numpy(), twin[0].weight.numpy())


def test_a_compiled_step_trains_as_pytorch_does(backend: Backend) -> None:
    model = Sequential(FullyConnected(6, activation="tanh"), FullyConnected(1)).build_from(X)
    judges = [torch.nn.Parameter(torch.tensor(v.numpy())) for v in model.variables]
    optimizer = torch.optim.SGD(judges, lr=0.1)

    def step(x: Tensor) -> Tensor:
        loss, gradients = value_and_grad(lambda: ops.mean(ops.square(model(x) - 1)), model)
        for variable, gradient in zip(model.variables, gradients, strict=True):
            variable.assign(variable - 0.1 * gradient)
        return loss

    compiled = compile(step)
    for _ in range(5):
        loss = compiled(X).item()
        optimizer.zero_grad()
        judge = ((torch.tanh(torch.tensor(X) @ judges[0] + judges[1]) @ judges[2] + judges[3] - 1) ** 2).mean()
        judge.backward()
        optimizer.step()
        np.testing.assert_allclose(loss, judge.item(), rtol=1e-5)
    for variable, parameter in zip(model.variables, judges, strict=True):
        np.testing.assert_allclose(variable.numpy(), parameter.detach().numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_random_draws_go_on_in_a_compiled_function(backend: Backend, mode: str) -> None:
    dropout, twin = Dropout(0.5), Dropout(0.5)
    compiled = compile(lambda x: dropout(x), mode)
    masks = [compiled(ops.ones((4, 8))).numpy() for _ in range(3)]
    wanted = [twin(ops.ones((4, 8))).numpy() for _ in range(3)]
    np.testing.assert_array_equal(masks, wanted)
    assert not np.array_equal(masks[0], masks[1])


def test_logged_values_are_carried_out_at_every_call(backend: Backend) -> None:
    def step(x: Tensor) -> Tensor:
        log_value("double", 2 * x)
        return x

    compiled = compile(step)
    for x in (1.0, 2.0):
        with collect_logged() as logged:
            compiled(ops.asarray(x))
        assert {name: value.item() for name, value in logged.items()} == {"double": 2 * x}


def test_errors_keep_their_class(backend: Backend) -> None:
    compiled = compile(lambda x, y: x + y)
    with pytest.raises(ShapeError, match=r"ops.add got shapes \(2,\) and \(3,\)"):
        compiled(ops.ones(2), ops.ones(3))
    assert compiled(ops.ones(2), ops.ones(2)).numpy().tolist() == [2.0, 2.0]


def test_a_failing_step_writes_nothing(backend: Backend) -> None:
    v = Variable(1.0, trainable=False)

    def step(x: Tensor) -> Tensor:
        v.assign(v + 1)
        if x.shape == (3,):
            raise ValueError("three is too many")
        return x

    compiled = compile(step)
    with pytest.raises(ValueError, match="three is too many"):
        compiled(ops.ones(3))
    assert v.item() == 1.0
    compiled(ops.ones(2))
    assert v.item() == 2.0


def test_the_compiled_function_keeps_its_name() -> None:
    def step(x: Tensor) -> Tensor:
        """Goes on."""
        return x

    assert (compile(step).__name__, compile(step).__doc__) == ("step", "Goes on.")


def test_a_module_can_be_compiled(backend: Backend) -> None:
    class Doubling(Module):
        def call(self, x: Tensor) -> Tensor:
            return 2 * x

    np.testing.assert_array_equal(compile(Doubling())(X).numpy(), 2 * X)


def test_a_mode_that_the_backend_has_not_is_refused(backend: Backend) -> None:
    with pytest.raises(ArgumentError, match=f"Backend '{backend.name}' cannot compile with mode 'of'. Did you mean 'off'"):
        compile(lambda x: x, "of")
