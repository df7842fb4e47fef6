"""What every layer keeps, for each row of the table in conftest.py."""

from typing import Any

import numpy as np
import pytest
import torch

from babel_dl import ops, use_backend, use_seed
from babel_dl.backend import Backend
from babel_dl.core import Module, Tensor, TensorSpec, Variable, compile, value_and_grad
from babel_dl.errors import ArgumentError, ShapeError
from babel_dl.model.layers import Sequential


def judged(case: Any, layer: Module, x: np.ndarray) -> tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]:
    """The judge's result, with the tensors it read, ready for autograd."""
    weights = {path: torch.tensor(v.numpy(), requires_grad=v.trainable) for path, v in layer.named_variables.items()}
    tensor = torch.tensor(x, requires_grad=x.dtype == np.float32)
    return case.judge(weights, tensor), weights, tensor


def shake(layer: Module) -> None:
    """Moves every parameter away from its start, so that zero biases and scales of one cannot hide a mistake."""
    rng = np.random.default_rng(1)
    for variable in layer.trainable_variables:
        variable.assign(variable.numpy() + rng.normal(0, 0.3, variable.shape))


def test_the_output_is_the_judges(backend: Backend, case: Any) -> None:
    layer, x = case.layer(), case.input()
    layer(x)
    shake(layer)
    y = layer(ops.asarray(x))
    wanted, _, _ = judged(case, layer, x)
    assert isinstance(y, Tensor)
    assert (y.shape, y.dtype) == (tuple(wanted.shape), "float32")
    np.testing.assert_allclose(y.numpy(), wanted.detach().numpy(), rtol=1e-5, atol=2e-6)


def test_the_gradients_are_the_judges(backend: Backend, case: Any) -> None:
    layer, x = case.layer(), case.input()
    layer(x)
    shake(layer)
    source = Variable(x, path="/x", trainable=not case.classes)
    wanted, weights, tensor = judged(case, layer, x)
    slope = np.random.default_rng(2).normal(size=wanted.shape).astype(np.float32)
    scope = [v for v in (*layer.variables, source) if v.trainable]
    gradients = compile(lambda: value_and_grad(lambda: ops.sum(layer(source) * ops.asarray(slope)), scope)[1])()
    (wanted * torch.tensor(slope)).sum().backward()
    judges = [*(w for w in weights.values() if w.requires_grad), *([tensor] if tensor.requires_grad else [])]
    for gradient, judge in zip(gradients, judges, strict=True):
        np.testing.assert_allclose(gradient.numpy(), judge.grad.numpy(), rtol=1e-4, atol=2e-5)


def test_a_batch_of_one_is_taken(backend: Backend, case: Any) -> None:
    layer = case.make()
    assert np.isfinite(layer(case.input()[:1]).numpy()).all()
    many, one = layer.eval()(case.input()).numpy(), layer(case.input()[:1]).numpy()
    if getattr(layer, "track_running_stats", True):  # else the batch itself is the statistic
        np.testing.assert_allclose(one, many[:1], rtol=1e-5, atol=1e-6)


def test_arrays_natives_and_a_compiled_call_agree(backend: Backend, case: Any) -> None:
    layer, x = case.layer().eval(), case.input()
    wanted = layer(x)
    native = layer(backend.asarray(x, str(x.dtype)))
    assert isinstance(wanted, Tensor) and backend.is_native(native)
    np.testing.assert_array_equal(backend.to_numpy(native), wanted.numpy())
    np.testing.assert_allclose(compile(lambda x: layer(x))(x).numpy(), wanted.numpy(), rtol=1e-5, atol=1e-6)


def test_a_layer_is_built_once(backend: Backend, case: Any) -> None:
    layer = case.layer()
    layer(case.input())
    before = dict(layer.named_variables)
    layer(case.input(batch=2))
    assert layer.is_built
    assert {path: id(v) for path, v in layer.named_variables.items()} == {path: id(v) for path, v in before.items()}


def test_a_layer_refuses_a_new_width_after_build(backend: Backend, narrow_case: Any) -> None:
    model = Sequential(narrow_case.layer())
    model(narrow_case.input())
    path = "/layers/0/layers/0" if isinstance(model[0], Sequential) else "/layers/0"
    message = rf"\w+ '{path}' got an input of shape .*\n  It was built at its first call for .*a layer is built once"
    with pytest.raises(ShapeError, match=message):
        model(np.ones(narrow_case.refused, np.float32))
    assert model(narrow_case.input()).shape


def test_a_failed_build_is_undone_and_tried_again(backend: Backend, choosy_case: Any) -> None:
    layer = choosy_case.layer()
    before = sorted(vars(layer))
    for _ in range(2):
        with pytest.raises((ShapeError, ArgumentError), match=type(layer).__name__):
            layer(np.ones(choosy_case.unbuildable, np.float32))
        assert not layer.is_built and layer.variables == [] and sorted(vars(layer)) == before
    assert np.isfinite(layer(choosy_case.input()).numpy()).all()


def test_evaluation_differs_where_it_should_and_nowhere_else(backend: Backend, case: Any) -> None:
    layer, x = case.make(), case.input()
    trained, evaluated = layer.train()(x).numpy(), layer.eval()(x).numpy()
    assert np.allclose(trained, evaluated, rtol=1e-6) != case.differs_in_eval
    np.testing.assert_array_equal(layer(x).numpy(), evaluated)


def test_evaluation_changes_no_variable(backend: Backend, case: Any) -> None:
    layer = case.make().build_from(case.input()).eval()
    before = layer.state_dict()
    layer(case.input())
    for path, value in layer.state_dict().items():
        np.testing.assert_array_equal(value, before[path])


def test_saved_values_make_a_different_layer_answer_alike(backend: Backend, case: Any) -> None:
    x = case.input()
    layer = case.make()
    layer(x)
    shake(layer)
    with use_seed(99):
        other = case.make().build_from(x)
    other.load_state_dict(layer.state_dict())
    np.testing.assert_array_equal(other.eval()(x).numpy(), layer.eval()(x).numpy())


def test_the_start_is_bit_identical_on_every_backend(backend: Backend, backend_names: tuple[str, ...], case: Any) -> None:
    values = case.make().build_from(case.input()).state_dict()
    for name in backend_names:
        with use_backend(name):
            others = case.make().build_from(case.input()).state_dict()
        assert list(others) == list(values)
        for path, value in values.items():
            assert others[path].tobytes() == value.tobytes()


def test_building_from_a_shape_is_the_same_as_from_a_call(backend: Backend, case: Any) -> None:
    called, built = case.layer(), case.layer()
    called(case.input())
    built.build_from(TensorSpec((None, *case.shape[1:]), "int32" if case.classes else "float32"))
    assert built.is_built
    for path, variable in built.named_variables.items():
        if variable.is_parameter:
            np.testing.assert_array_equal(variable.numpy(), called.named_variables[path].numpy())

