"""The way back: our modules as the frameworks' own, with one memory where the framework can share it."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from babel_dl import ops, use_backend
from babel_dl.backend import Backend
from babel_dl.core import Module, TensorSpec, compile, value_and_grad
from babel_dl.core.native.adoption import as_module
from babel_dl.errors import ArgumentError, BackendError, BuildError
from babel_dl.model.layers import BatchNormalization, Conv2D, Dropout, FullyConnected, GlobalAveragePooling2D, Sequential
from babel_dl.training.optimizers import SGD
from tests.model.native_examples import assert_same, make_linear

IMAGES = np.random.default_rng(0).normal(size=(4, 6, 5, 3)).astype(np.float32)
LABELS = np.array([0, 1, 1, 0], np.int32)


class Net(Module):
    """Has all kinds of variables: parameters, frozen ones, running statistics, a counter of draws; and a native part."""

    def __init__(self, backend_name: str, dropout: float = 0.3) -> None:
        super().__init__()
        self.body = [Conv2D(4, 3), BatchNormalization(), Dropout(dropout), GlobalAveragePooling2D()]
        self.native = make_linear(backend_name, 4, 4)
        self.head = FullyConnected(2)

    def call(self, x: Any) -> Any:
        for layer in self.body:
            x = layer(x)
        return {"logits": self.head(ops.relu(self.native(x)))}


@pytest.fixture
def model(backend: Backend, backend_name: str) -> Net:
    """A built network with a frozen offset."""
    return Net(backend_name).build_from(IMAGES).freeze("/head/bias")


def test_a_module_that_is_not_built_cannot_be_exported(backend: Backend, backend_name: str) -> None:
    message = r"to_native\(\) needs the variables of Net, and these parts are not built: /, /body/0, .*\n  Build it first: model.build_from"
    with pytest.raises(BuildError, match=message):
        Net(backend_name).to_native()


def test_a_module_is_exported_once(model: Net) -> None:
    native = model.to_native()
    assert model.to_native() is native
    assert native.babel_module is model
    assert next(iter(model.named_variables)) == "/body/0/weight"
    model.extra = FullyConnected(3).build_from(TensorSpec((None, 2)))
    assert model.to_native() is not native


def test_a_copy_is_exported_by_itself(model: Net) -> None:
    native, twin = model.to_native(), copy.deepcopy(model)
    assert twin.to_native() is not native and twin.to_native().babel_module is twin
    before = twin.state_dict()
    model.head.weight.assign(model.head.weight * 2)
    assert_same(twin.state_dict(), before)


def losses_of(model: Net, in_the_middle: Callable[[], Any]) -> list[float]:
    """The losses of six compiled steps; something happens after three of them."""
    optimizer = SGD(0.1)

    def step(x: Any) -> Any:
        loss, gradients = value_and_grad(lambda: ops.mean(ops.square(model(x)["logits"])), model)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    compiled = compile(step)
    before = [float(compiled(IMAGES)) for _ in range(3)]
    in_the_middle()
    return before + [float(compiled(IMAGES)) for _ in range(3)]


def test_compiled_steps_from_before_the_export_go_on(model: Net, backend_name: str) -> None:
    twin = Net(backend_name).build_from(IMAGES).freeze("/head/bias").load_state_dict(model.state_dict())
    assert losses_of(model, model.to_native) == losses_of(twin, list)
    assert_same(model.state_dict(), twin.state_dict())


@pytest.mark.parametrize("backend_name", ["torch", "tensorflow"])
def test_what_was_exported_comes_back_as_the_module_it_was(model: Net) -> None:
    assert as_module(model.to_native()) is model
    outer = Sequential(model.to_native(), lambda found: found["logits"])
    assert outer.layers[0] is model


class TestTorch:
    """`torch.nn.Module`."""

    backend_name = "torch"

    @pytest.fixture
    def model(self) -> Any:
        with use_backend("torch"):
            yield Net("torch").build_from(IMAGES).freeze("/head/bias")

    def test_parameters_and_buffers_are_our_variables(self, model: Net) -> None:
        import torch

        native = model.to_native()
        assert isinstance(native, torch.nn.Module)
        assert [name for name, _ in native.named_parameters()] == [
            "body.0.weight", "body.0.bias", "body.1.weight", "body.1.bias", "native.weight", "native.bias", "head.weight", "head.bias",
        ]  # fmt: skip
        assert [name for name, _ in native.named_buffers()] == [
            "body.1.running_mean", "body.1.running_var", "body.1.num_batches_tracked", "body.2.random.counter",
        ]  # fmt: skip
        assert [name for name, parameter in native.named_parameters() if not parameter.requires_grad] == ["head.bias"]
        assert native.native is model.native.native
        ours = {path[1:].replace("/", "."): variable for path, variable in model.named_variables.items()}
        assert set(native.state_dict()) == set(ours)
        for name, tensor in native.state_dict().items():
            np.testing.assert_array_equal(tensor.numpy(), ours[name].numpy(), err_msg=name)
            assert tensor.data_ptr() == ours[name].native.data_ptr(), name

    def test_a_pytorch_optimizer_trains_it_and_our_module_has_learnt_it(self, model: Net) -> None:
        import torch

        native = model.to_native().train()
        optimizer = torch.optim.Adam([p for p in native.parameters() if p.requires_grad], lr=0.05)
        before, losses = model.state_dict(), []
        for _ in range(20):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(native(torch.tensor(IMAGES))["logits"], torch.tensor(LABELS).long())
            loss.backward()
            assert all(p.grad is not None for p in native.parameters() if p.requires_grad)
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.5 * losses[0]
        after = model.state_dict()
        assert [name for name, value in after.items() if np.array_equal(value, before[name])] == ["/head/bias"]
        assert after["/body/1/num_batches_tracked"] == 20 and after["/body/2/random/counter"] == 20
        wanted = native.eval()(torch.tensor(IMAGES))["logits"].detach().numpy()
        np.testing.assert_array_equal(model(ops.asarray(IMAGES))["logits"].numpy(), wanted)
        assert not model.training and not model.body[1].training

    def test_what_we_assign_is_in_it_and_what_it_loads_is_in_ours(self, model: Net) -> None:
        import torch

        native = model.to_native()
        model.load_state_dict({name: value * 0 + 3 for name, value in model.state_dict().items()})
        assert all((tensor == 3).all() for tensor in native.state_dict().values())
        native.load_state_dict({name: torch.zeros_like(tensor) for name, tensor in native.state_dict().items()})
        assert all((value == 0).all() for value in model.state_dict().values())
        model.head.weight.fill(2.0)
        assert (native.head.weight == 2).all()
        model.freeze("/head/weight")
        assert not native.head.weight.requires_grad

    def test_it_works_inside_of_another_module_and_with_functions_of_parameters(self, model: Net) -> None:
        import torch

        class Outer(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.inner, self.last = model.eval().to_native(), torch.nn.Linear(2, 3)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.last(self.inner(x=x)["logits"])

        outer, x = Outer(), torch.tensor(IMAGES)
        assert outer(x).shape == (4, 3) and len(list(outer.parameters())) == 10
        parameters = {name: value * 2 for name, value in outer.inner.named_parameters()}
        before = model.state_dict()
        found = torch.func.functional_call(outer.inner, parameters, (x,))["logits"]
        assert_same(model.state_dict(), before)
        doubled = copy.deepcopy(model)
        doubled.load_state_dict({n: v * 2 if doubled.named_variables[n].is_parameter else v for n, v in before.items()})
        np.testing.assert_allclose(found.detach().numpy(), doubled.eval()(IMAGES)["logits"].numpy(), rtol=1e-5, atol=1e-6)
        loss = torch.func.grad(lambda p: torch.func.functional_call(outer.inner, p, (x,))["logits"].sum())(parameters)
        assert all(torch.isfinite(gradient).all() for gradient in loss.values())

    def test_its_copies_are_apart(self, model: Net) -> None:
        import torch

        native = model.to_native()
        twin = copy.deepcopy(native)
        assert twin.babel_module is not model and type(twin) is type(native)
        with torch.no_grad():
            twin.head.weight.zero_()
        assert (twin.babel_module.head.weight.numpy() == 0).all() and not (model.head.weight.numpy() == 0).all()
        averaged = torch.optim.swa_utils.AveragedModel(native)
        averaged.update_parameters(native)
        assert averaged.module.babel_module is not model

    def test_its_mode_is_the_mode_of_our_module(self, model: Net) -> None:
        native = model.eval().to_native()
        assert not native.training
        assert native.train() is native and model.training and model.body[2].training
        assert not native.eval().training and not model.body[2].training and not model.native.training


class TestTensorFlow:
    """`tf.Module`."""

    backend_name = "tensorflow"

    @pytest.fixture
    def model(self) -> Any:
        with use_backend("tensorflow"):
            yield Net("tensorflow").build_from(IMAGES).freeze("/head/bias")

    def test_its_variables_are_ours(self, model: Net) -> None:
        import tensorflow as tf

        native = model.to_native()
        assert isinstance(native, tf.Module)
        ours = model.named_variables
        assert {id(variable) for variable in native.variables} == {id(variable.storage) for variable in ours.values()}
        trainable = {id(variable.storage) for variable in model.trainable_variables}
        assert {id(variable) for variable in native.trainable_variables} == trainable and len(trainable) == 7
        assert list(native.tensors) == list(ours)

    @pytest.mark.parametrize("kind", ["keras", "by hand"])
    def test_loops_of_tensorflow_train_it_and_our_module_has_learnt_it(self, model: Net, kind: str) -> None:
        import keras
        import tensorflow as tf

        native, optimizer = model.to_native(), keras.optimizers.Adam(0.05)
        model.eval()

        @tf.function
        def step(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape() as tape:
                logits = native(x, training=True)["logits"]
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))
            gradients = tape.gradient(loss, native.trainable_variables)
            if kind == "keras":
                optimizer.apply_gradients(zip(gradients, native.trainable_variables, strict=True))
            else:
                for gradient, variable in zip(gradients, native.trainable_variables, strict=True):
                    variable.assign_sub(0.5 * gradient)
            return loss

        before = model.state_dict()
        losses = [float(step(tf.constant(IMAGES), tf.constant(LABELS))) for _ in range(20)]
        assert losses[-1] < 0.6 * losses[0]
        after = model.state_dict()
        assert [name for name, value in after.items() if np.array_equal(value, before[name])] == ["/head/bias"]
        assert after["/body/1/num_batches_tracked"] == 20 and not model.training
        found = native(tf.constant(IMAGES), training=False)["logits"].numpy()
        np.testing.assert_array_equal(model(ops.asarray(IMAGES))["logits"].numpy(), found)

    def test_it_works_inside_of_another_module(self, model: Net) -> None:
        import tensorflow as tf

        class Outer(tf.Module):
            def __init__(self) -> None:
                super().__init__()
                self.inner, self.factor = model.to_native(), tf.Variable(2.0)

            def __call__(self, x: tf.Tensor) -> tf.Tensor:
                return self.factor * self.inner(x=x, training=False)["logits"]

        outer = Outer()
        assert len(outer.trainable_variables) == 8
        wanted = 2 * model.eval()(IMAGES)["logits"].numpy()
        np.testing.assert_allclose(outer(tf.constant(IMAGES)).numpy(), wanted, rtol=1e-6)


class TestJax:
    """A pure function and its parameters."""

    backend_name = "jax"

    @pytest.fixture
    def model(self) -> Any:
        with use_backend("jax"):
            yield Net("jax").build_from(IMAGES).freeze("/head/bias")

    def test_it_is_a_function_of_parameters_and_state(self, model: Net) -> None:
        fn, params = model.to_native()
        assert list(params) == [path for path, variable in model.named_variables.items() if variable.is_parameter]
        assert list(fn.state) == [path for path, variable in model.named_variables.items() if not variable.is_parameter]
        assert params["/head/weight"] is model.head.weight.native
        np.testing.assert_allclose(
            fn(params, IMAGES, training=False)["logits"], model.eval()(IMAGES)["logits"].numpy(), rtol=1e-5, atol=1e-6
        )

    def test_transformations_of_jax_take_it(self, model: Net) -> None:
        import jax
        import jax.numpy as jnp

        fn, params = model.eval().to_native()
        x = jnp.asarray(IMAGES)
        loss = lambda params, x: jnp.sum(fn(params, x)["logits"] ** 2)  # noqa: E731
        gradients = jax.jit(jax.grad(loss))(params, x)
        assert set(gradients) == set(params)
        step = 1e-3
        for name in ("/body/0/weight", "/native/kernel", "/head/bias"):
            direction = np.random.default_rng(0).normal(size=params[name].shape).astype(np.float32)
            moved = [loss({**params, name: params[name] + sign * step * direction}, x) for sign in (1, -1)]
            wanted = float(moved[0] - moved[1]) / (2 * step)
            np.testing.assert_allclose(float(jnp.sum(gradients[name] * direction)), wanted, rtol=2e-2, atol=1e-2)
        each = jax.vmap(lambda image: fn(params, image[None])["logits"][0])(x)
        np.testing.assert_allclose(each, fn(params, x)["logits"], rtol=1e-4, atol=1e-5)

    def test_statistics_and_counters_come_out_beside_the_result(self, model: Net) -> None:
        import jax
        import jax.numpy as jnp

        fn, params = model.to_native()
        state, x, before = fn.state, jnp.asarray(IMAGES), model.state_dict()
        apply = jax.jit(lambda params, state, x: fn.apply(params, state, x, training=True))
        first, state_1 = apply(params, state, x)
        second, state_2 = apply(params, state_1, x)
        assert_same(model.state_dict(), before)
        assert [int(s["/body/1/num_batches_tracked"]) for s in (state, state_1, state_2)] == [0, 1, 2]
        assert not np.array_equal(first["logits"], second["logits"])
        model.train()
        np.testing.assert_allclose(model(ops.asarray(IMAGES))["logits"].numpy(), first["logits"], rtol=1e-4, atol=1e-5)
        for name, value in model.state_dict().items():
            if name in state_1:
                np.testing.assert_allclose(value, state_1[name], rtol=1e-5, atol=1e-6, err_msg=name)

    def test_a_loop_of_optax_trains_it_and_the_values_go_back(self, model: Net) -> None:
        import jax
        import jax.numpy as jnp
        import optax

        fn, params = model.to_native()
        state, optimizer = fn.state, optax.adam(0.05)
        kept = optimizer.init(params)

        def loss_of(params: Any, state: Any, x: Any, y: Any) -> Any:
            found, state = fn.apply(params, state, x, training=True)
            return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(found["logits"], y)), state

        @jax.jit
        def step(params: Any, state: Any, kept: Any) -> Any:
            (loss, state), gradients = jax.value_and_grad(loss_of, has_aux=True)(params, state, IMAGES, LABELS)
            updates, kept = optimizer.update(gradients, kept)
            return optax.apply_updates(params, updates), state, kept, loss

        losses = []
        for _ in range(20):
            params, state, kept, loss = step(params, state, kept)
            losses.append(float(loss))
        assert losses[-1] < 0.5 * losses[0]
        model.load_state_dict({**params, **state})
        found = model.eval()(IMAGES)["logits"].numpy()
        np.testing.assert_allclose(fn(params, IMAGES, training=False)["logits"], found, rtol=1e-4, atol=1e-5)
        assert model.state_dict()["/body/1/num_batches_tracked"] == 20

    def test_names_that_do_not_fit_are_refused(self, model: Net) -> None:
        fn, params = model.to_native()
        with pytest.raises(ArgumentError, match=r"The module has no parameter '/head/wieght'. Did you mean '/head/weight'\?"):
            fn({**params, "/head/wieght": 0}, IMAGES)
        with pytest.raises(ArgumentError, match="The parameter '/body/0/bias' is missing. Pass all that fn.params has"):
            fn({name: value for name, value in params.items() if name != "/body/0/bias"}, IMAGES)
        with pytest.raises(ArgumentError, match="The state '/body/1/num_batches_tracked' is missing. Pass all that fn.state has"):
            fn.apply(params, {}, IMAGES)


def test_a_backend_without_modules_says_so(backend: Backend) -> None:
    from babel_dl.backend.contract import NativeModules

    class Bare(NativeModules):
        name = "bare"

    with pytest.raises(BackendError, match="backend 'bare' has no modules of its own, so Sequential cannot become one"):
        Bare().export(Sequential(), len, [], {})
    with pytest.raises(BackendError, match="backend 'bare' cannot run a .*Sequential: its plug-in adopts no native modules"):
        Bare().adopt(Sequential(), None)  # type: ignore[arg-type]
    with pytest.raises(BackendError, match="backend 'bare' adopts no native modules, so it has no tensor of one"):
        Bare().is_trainable(None)
    assert Bare().random_state() is None and Bare().set_random_state(np.zeros(1)) is None
    assert list(Bare().native_signature(lambda x: x).parameters) == ["x"]
