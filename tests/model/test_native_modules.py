"""Modules of the framework work as our own do: on PyTorch, TensorFlow (Keras) and JAX (Flax nnx), the same tests."""

import copy
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from babel_dl import ops, use_backend
from babel_dl.backend import Backend, is_native_module, native_owner
from babel_dl.core import Module, NativeModule, Tensor, Variable, compile, value_and_grad
from babel_dl.core.native.adoption import as_module
from babel_dl.data import ArrayDataset
from babel_dl.errors import ArgumentError, BackendError, BuildError, CheckpointError, GradientError, StateError
from babel_dl.model.layers import FullyConnected, Lambda, Sequential
from babel_dl.training import SupervisedTrainer, Trainer
from babel_dl.training.optimizers import SGD, Adam, RMSprop
from tests.model.native_examples import (
    BATCH,
    NETWORKS,
    CrossEntropy,
    Label,
    Network,
    assert_same,
    make_linear,
    make_trainer,
    pictures,
    resumed,
    train,
    values_of,
)

ROWS = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
IMAGES = np.random.default_rng(1).normal(size=(5, 8, 8, 1)).astype(np.float32)
OTHER = {"torch": "jax", "tensorflow": "torch", "jax": "torch"}


@pytest.fixture
def network(backend: Backend, backend_name: str) -> Network:
    """The network of this backend."""
    return NETWORKS[backend_name]


@pytest.fixture
def linear(backend: Backend, backend_name: str) -> Any:
    """A linear layer of the framework, from 4 features to 3."""
    return make_linear(backend_name, 4, 3)


def weights_of(layer: Module) -> tuple[np.ndarray, np.ndarray]:
    """Matrix and offset of a linear layer of any framework, the matrix as (in, out)."""
    by_rank = sorted((variable.numpy() for variable in layer.variables), key=np.ndim)
    return by_rank[1].T if by_rank[1].shape == (3, 4) else by_rank[1], by_rank[0]


# ---------------------------------------------------------------------- what is found


def test_all_that_a_native_network_holds_is_found_by_its_own_names(network: Network) -> None:
    model = NativeModule(network.make(dropout=0.1)).build_from(IMAGES)
    assert {name: variable.is_parameter for name, variable in model.named_variables.items()} == network.names
    assert [variable.path for variable in model.variables] == list(network.names)
    assert [variable.path for variable in model.trainable_variables] == network.parameters


def test_native_modules_in_attributes_lists_tuples_and_dicts_are_found(backend: Backend, backend_name: str) -> None:
    Pair = namedtuple("Pair", ["left", "right"])

    class Model(Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = make_linear(backend_name, 4, 4)
            self.listed = []
            self.listed.append(make_linear(backend_name, 4, 4))
            self.pair = Pair(make_linear(backend_name, 4, 4), FullyConnected(4))
            self.by_name = {"head": {"inner": make_linear(backend_name, 4, 4)}}

        def build(self, x: Any) -> None:
            self.late = (make_linear(backend_name, 4, 3),)

        def call(self, x: Any) -> Tensor:
            x = self.pair.right(self.pair.left(self.listed[0](self.one(x))))
            return self.late[0](self.by_name["head"]["inner"](x))

    model = Model()
    assert model(ROWS).shape == (5, 3)
    places = ["/one", "/listed/0", "/pair/0", "/pair/1", "/by_name/head/inner", "/late/0"]
    assert list(dict.fromkeys(path.rpartition("/")[0] for path in model.named_variables)) == places
    assert type(model.pair) is Pair
    assert [type(part) for part in model.modules.values()].count(NativeModule) == 5


def test_a_native_module_is_one_module_of_ours_wherever_it_is_held(linear: Any) -> None:
    class Model(Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.again = linear, [linear]

        def call(self, x: Any) -> Any:
            return self.first(x) + self.again[0](x)

    model = Model()
    model(ROWS)
    assert model.first is model.again[0] is as_module(linear)
    assert len(model.variables) == 2
    assert as_module(model) is model and as_module(3) == 3


def test_two_wrappers_of_one_native_module_share_its_variables(linear: Any) -> None:
    first, second = NativeModule(linear), NativeModule(linear)
    first(ROWS), second(ROWS)
    both = Sequential(first, Lambda(lambda x: ops.concat([x, x[:, :1]], -1)), second)
    assert len(both.variables) == 2


def test_owners_are_told_without_a_framework_being_asked(linear: Any, backend_name: str) -> None:
    assert native_owner(linear) == backend_name and is_native_module(linear)
    for value in (None, 3.0, "text", [linear], np.ones(2), type(linear), ops.ones(2), ops.ones(2).native, FullyConnected(2)):
        assert native_owner(value) is None


def test_the_summary_shows_the_native_class(linear: Any, backend_name: str) -> None:
    text = Sequential(linear, FullyConnected(2)).build_from(ROWS).summary()
    assert f"{type(linear).__name__} ({backend_name})" in text
    assert "15" in text and text.endswith("23 trainable of 23 values")


# ---------------------------------------------------------------------- what is computed


def test_native_modules_and_layers_mixed_compute_and_learn_as_one_model(linear: Any) -> None:
    model = Sequential(FullyConnected(4), Lambda(ops.tanh), linear, lambda x: ops.square(x))
    model(ROWS)
    inner = {name: variable.numpy().astype(np.float64) for name, variable in model.layers[0].named_variables.items()}
    matrix, offset = (value.astype(np.float64) for value in weights_of(model.layers[2]))
    hidden = np.tanh(ROWS @ inner["/weight"] + inner["/bias"])
    result = hidden @ matrix + offset
    np.testing.assert_allclose(model(ROWS).numpy(), result**2, rtol=1e-4, atol=1e-5)
    _, gradients = value_and_grad(lambda: ops.sum(model(ops.asarray(ROWS))), model)
    by_path = dict(zip([variable.path for variable in model.trainable_variables], gradients, strict=True))
    back = 2 * result @ matrix.T * (1 - hidden**2)
    np.testing.assert_allclose(by_path["/layers/0/weight"].numpy(), ROWS.T @ back, rtol=1e-3, atol=1e-4)
    found = next(gradient.numpy() for path, gradient in by_path.items() if "/layers/2/" in path and gradient.ndim == 2)
    wanted = hidden.T @ (2 * result)
    np.testing.assert_allclose(found if found.shape == wanted.shape else found.T, wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("make", [as_module, lambda module: Sequential(module), Lambda])
def test_a_native_module_works_wherever_a_layer_does(linear: Any, backend: Backend, make: Any) -> None:
    layer = make(linear)
    found = layer(ops.asarray(ROWS))
    assert isinstance(found, Tensor) and found.shape == (5, 3)
    assert backend.is_native(layer(backend.asarray(ROWS, "float32")))
    assert isinstance(layer(ROWS), Tensor)
    assert len(layer.trainable_variables) == 2


def test_inputs_reach_a_native_module_by_its_names_and_a_single_one_by_any(linear: Any) -> None:
    layer = as_module(linear)
    expected = layer(ROWS).numpy()
    np.testing.assert_array_equal(layer(picture=ROWS).numpy(), expected)
    np.testing.assert_array_equal(layer.predict(anything=ROWS[0]), expected[0])
    with pytest.raises(ArgumentError, match=r"takes no argument 'picture'.* It takes: .*\n  Name the inputs as it does, or call it inside"):
        layer(picture=ROWS, mask=ROWS)
    with pytest.raises(ArgumentError, match="takes no argument 'mask'"):
        layer(ROWS, mask=ROWS)


def test_training_and_evaluation_reach_native_modules(network: Network) -> None:
    model = Sequential(network.make(dropout=0.5)).build_from(IMAGES)
    assert not np.array_equal(model(IMAGES).numpy(), model(IMAGES).numpy())
    model.eval()
    assert not model.layers[0].training
    before = model.state_dict()
    np.testing.assert_array_equal(model(IMAGES).numpy(), model(IMAGES).numpy())
    assert_same(model.state_dict(), before)
    model.train()
    moved = model.state_dict()
    model(IMAGES)
    changed = [name for name, value in model.state_dict().items() if not np.array_equal(value, moved[name])]
    statistics = [name for name in before if any(word in name for word in ("mean", "var"))]
    assert set(statistics) <= set(changed) and not set(changed) & {f"/layers/0{name}" for name in network.parameters}


def test_building_and_predicting_leave_no_trace(network: Network) -> None:
    model = as_module(network.make(dropout=0.5))
    model.build_from(IMAGES)
    before = model.state_dict()
    model.build_from(IMAGES)
    model.predict(image=IMAGES[0])
    assert_same(model.state_dict(), before)
    assert model.training


def test_parts_and_tensors_of_a_native_module_are_reached_through_it(linear: Any) -> None:
    layer = as_module(linear)
    layer(ROWS)
    names = [name.strip("/") for name in layer.named_variables]
    for name in names:
        assert isinstance(getattr(layer, name), Variable) and getattr(layer, name) is layer.named_variables[f"/{name}"]
    penalty = compile(lambda: value_and_grad(lambda: ops.sum(ops.square(getattr(layer, names[0]))), getattr(layer, names[0])))
    _, (gradient,) = penalty()
    np.testing.assert_allclose(gradient.numpy(), 2 * layer.named_variables[f"/{names[0]}"].numpy(), rtol=1e-6)
    with pytest.raises(AttributeError, match="nothing_like_this"):
        layer.nothing_like_this  # noqa: B018


# ---------------------------------------------------------------------- training


@pytest.mark.parametrize("make", [lambda: SGD(0.05), lambda: SGD(0.05, 0.5, dampening=0.5), lambda: Adam(0.01), lambda: RMSprop(0.01)])
def test_our_optimizers_train_native_networks(network: Network, make: Any) -> None:
    native = network.make()
    trainer = train(native, epochs=6, optimizer=make())
    assert trainer.model.native is native
    assert trainer.evaluate(pictures().to_dataloader(batch_size=BATCH))["loss/total"] < 0.5


def test_compiled_and_eager_steps_of_a_native_network_agree(network: Network) -> None:
    compiled = values_of(train(network.make(), 2, compile="auto"))
    eager = values_of(train(network.make(), 2, compile="off"))
    for name, value in compiled.items():
        np.testing.assert_allclose(value, eager[name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_a_frozen_part_of_a_native_network_keeps_its_values(network: Network) -> None:
    model = as_module(network.make()).build_from(IMAGES)
    first, *others = network.parameters
    model.freeze(first)
    before = model.state_dict()
    train(model, 1)
    after = model.state_dict()
    np.testing.assert_array_equal(after[first], before[first])
    assert not any(np.array_equal(after[name], before[name]) for name in others)
    model.freeze(first, frozen=False)
    train(model, 1)
    assert not np.array_equal(model.state_dict()[first], before[first])


def test_a_native_network_that_is_frozen_altogether_cannot_be_trained(network: Network) -> None:
    model = as_module(network.make()).build_from(IMAGES).freeze()
    with pytest.raises(GradientError, match="There is no trainable variable"):
        train(model, 1)


def test_a_native_module_without_tensors_is_a_layer_that_cannot_learn(backend: Backend, backend_name: str) -> None:
    layer = as_module(relu_module(backend_name))
    np.testing.assert_array_equal(layer(ROWS).numpy(), np.maximum(ROWS, 0))
    assert layer.variables == []
    with pytest.raises(GradientError, match="There is no trainable variable"):
        value_and_grad(lambda: ops.sum(layer(ops.asarray(ROWS))), layer)


def test_gradients_are_taken_with_respect_to_a_native_module(linear: Any) -> None:
    own = as_module(linear).build_from(ROWS)
    _, gradients = value_and_grad(lambda: own(ops.asarray(ROWS)).sum(), linear)
    _, listed = value_and_grad(lambda: own(ops.asarray(ROWS)).sum(), [linear])
    bias = next(place for place, variable in enumerate(own.trainable_variables) if len(variable.shape) == 1)
    assert np.allclose(gradients[bias].numpy(), len(ROWS))
    assert all(np.array_equal(a.numpy(), b.numpy()) for a, b in zip(gradients, listed, strict=True))


def relu_module(backend_name: str) -> Any:
    """A native module that holds nothing."""
    if backend_name == "torch":
        from torch import nn

        return nn.ReLU()
    if backend_name == "tensorflow":
        import keras

        return keras.layers.ReLU()
    from flax import nnx

    return nnx.Sequential(nnx.relu)


# ---------------------------------------------------------------------- values in and out


def test_a_run_that_is_resumed_ends_in_the_same_bits(network: Network, tmp_path: Path, backend_name: str) -> None:
    dropout = 0.0 if backend_name == "torch" else 0.3  # PyTorch's own generator is tested in test_native_torch.py
    seeds = iter((0, 0, 5))  # the resumed network starts from other values, which the file must replace
    whole, again = resumed(lambda: network.make(next(seeds), dropout=dropout), tmp_path, lambda: Adam(0.01))
    assert_same(whole, again)


def test_a_checkpoint_of_a_trainer_fits_back_into_another_native_network(network: Network, tmp_path: Path) -> None:
    trainer = train(network.make(0), 1)
    trainer.save(tmp_path / "one.safetensors")
    other = make_trainer(network.make(1))
    other.prepare(next(pictures().to_dataloader(batch_size=BATCH).batches(0, 0)))
    other.load(tmp_path / "one.safetensors")
    assert_same(values_of(other), values_of(trainer))
    np.testing.assert_array_equal(other.model.predict(image=IMAGES[0]), trainer.model.predict(image=IMAGES[0]))


def test_values_of_another_native_network_are_refused_by_name(network: Network, linear: Any) -> None:
    values = as_module(linear).build_from(ROWS).state_dict()
    with pytest.raises(CheckpointError, match=r"(?s)missing: .*unexpected: "):
        as_module(network.make()).build_from(IMAGES).load_state_dict(values)


def test_the_copy_of_a_model_has_native_modules_of_its_own(network: Network) -> None:
    model = Sequential(network.make()).build_from(IMAGES)
    model.freeze("/layers/0" + network.parameters[0])
    train_on = lambda made: [made(IMAGES) for _ in range(2)]  # noqa: E731
    train_on(model)
    twin = copy.deepcopy(model)
    assert_same(twin.state_dict(), model.state_dict())
    assert [variable.trainable for variable in twin.variables] == [variable.trainable for variable in model.variables]
    before = model.state_dict()
    twin.load_state_dict({name: value + np.ones((), value.dtype) for name, value in before.items()})
    assert_same(model.state_dict(), before)
    np.testing.assert_array_equal(model.eval()(IMAGES).numpy(), model(IMAGES).numpy())


# ---------------------------------------------------------------------- refusals


def test_a_native_module_of_another_backend_is_refused_with_both_names(linear: Any, backend_name: str) -> None:
    class Model(Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = linear

        def call(self, x: Any) -> Any:
            return self.layer(x)

    with use_backend(OTHER[backend_name]):
        message = rf"(?s)'{backend_name}', and backend '{OTHER[backend_name]}' is in force.*set_backend\('{backend_name}'\)"
        with pytest.raises(BackendError, match=message):
            Model()(ROWS)
        with pytest.raises(BackendError, match=message):
            NativeModule(linear)(ROWS)


def test_tensors_of_another_backend_are_refused(linear: Any, backend_name: str) -> None:
    layer = as_module(linear)
    layer(ROWS)
    with use_backend(OTHER[backend_name]), pytest.raises(BackendError, match="Tensors of two backends meet"):
        layer(ops.asarray(ROWS))


def test_what_is_no_native_module_is_refused(backend: Backend, linear: Any) -> None:
    with pytest.raises(ArgumentError, match="NativeModule takes a module of a framework, such as .* and got 'text'"):
        NativeModule("text")
    with pytest.raises(ArgumentError, match=rf"and got the class {type(linear).__name__}; make one: {type(linear).__name__}\(\.\.\.\)"):
        NativeModule(type(linear))
    with pytest.raises(ArgumentError, match="SupervisedTrainer needs model of class Module, and got <class"):
        SupervisedTrainer(type(linear), CrossEntropy(), SGD(0.1))


def test_a_native_module_made_in_call_is_refused(backend: Backend, backend_name: str) -> None:
    class Forgetful(Module):
        def call(self, x: Any) -> Any:
            return NativeModule(make_linear(backend_name, 4, 3))(x)

    with pytest.raises(BuildError, match=r"is made inside call\(\) and forgotten after it, so it could never be trained"):
        Forgetful()(ROWS)


def test_a_native_module_that_returns_no_tensor_is_named(backend: Backend, backend_name: str) -> None:
    layer = as_module(talker(backend_name))
    with pytest.raises(ArgumentError, match=r"Talker \(.*\) returned 'words', which is no tensor and holds none"):
        layer(ROWS)


def talker(backend_name: str) -> Any:
    """A native module that returns a word."""
    if backend_name == "torch":
        from torch import nn

        class Talker(nn.Module):
            def forward(self, x: Any) -> str:
                return "words"
    elif backend_name == "tensorflow":
        import tensorflow as tf

        class Talker(tf.Module):
            def __call__(self, x: Any) -> str:
                return "words"
    else:
        from flax import nnx

        class Talker(nnx.Module):
            def __call__(self, x: Any) -> str:
                return "words"

    return Talker()


def test_a_compiled_function_must_declare_the_native_modules_that_it_uses(linear: Any) -> None:
    layer = as_module(linear)
    expected = layer(ROWS).numpy()
    np.testing.assert_allclose(compile(lambda x: layer(x), state=[layer])(ROWS).numpy(), expected, rtol=1e-6)
    with pytest.raises(StateError, match=r"uses the variable '/.*', which is not declared in its state"):
        compile(lambda x: layer(x), state=[FullyConnected(2)])(ROWS)


def test_native_modules_in_the_attributes_of_a_trainer_are_its_modules(network: Network) -> None:
    class Own(Trainer):
        def __init__(self) -> None:
            super().__init__(callbacks=[])
            self.generator, self.critics = network.make(0), [network.make(1)]
            self.loss, self.optimizer = CrossEntropy(), SGD(0.05)

        def train_step(self, batch: Any) -> Any:
            image, truth = batch[0].image, batch[1]
            first = self.minimize(lambda: self.loss(self.generator(image), truth), over=self.generator, using=self.optimizer)
            second = self.minimize(lambda: self.loss(self.critics[0](image), truth), over="critics/0", using=self.optimizer)
            return {"first": first, "second": second}

        def evaluate_step(self, batch: Any) -> Any:
            return self.loss(self.generator(batch[0].image), batch[1])

    trainer = Own()
    before = trainer.fit(pictures().to_dataloader(batch_size=BATCH), epochs=1)
    after = trainer.fit(pictures().to_dataloader(batch_size=BATCH), epochs=6)
    assert {"generator", "critics/0", "loss"} <= set(trainer.modules)
    assert after["first"] < before["first"] and after["second"] < before["second"]
    assert {f"critics/0{name}" for name in network.parameters} <= set(values_of(trainer))


def test_fields_that_a_native_network_does_not_know_are_refused_before_training(network: Network) -> None:
    Inputs = namedtuple("Inputs", ["left", "right"])
    data = ArrayDataset(Inputs(IMAGES, IMAGES), Label(np.zeros(5, np.int32)))
    with pytest.raises(ArgumentError, match="takes no argument 'left'"):
        make_trainer(network.make()).fit(data, epochs=1)
