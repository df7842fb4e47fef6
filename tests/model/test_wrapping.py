"""Layers made of functions and of layers; activations; merging (babilim's D1 and D22)."""

from typing import Any

import numpy as np
import pytest
import torch

from babel_dl import ops, use_backend
from babel_dl.backend import Backend
from babel_dl.core import Tensor, value_and_grad
from babel_dl.errors import ArgumentError, BackendError, DTypeError, ShapeError
from babel_dl.model.layers import (
    Activation,
    Add,
    BatchNormalization,
    Concat,
    Conv1D,
    Conv2D,
    Embedding,
    Flatten,
    FullyConnected,
    Lambda,
    LayerNorm,
    Reshape,
    Sequential,
    Stack,
)  # fmt: skip
from babel_dl.model.layers.activation import ACTIVATIONS

X = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
JUDGES = {
    "relu": torch.relu, "leaky_relu": torch.nn.functional.leaky_relu, "elu": torch.nn.functional.elu,
    "selu": torch.nn.functional.selu, "gelu": torch.nn.functional.gelu,
    "silu": torch.nn.functional.silu, "swish": torch.nn.functional.silu, "sigmoid": torch.sigmoid, "tanh": torch.tanh,
    "hard_sigmoid": torch.nn.functional.hardsigmoid, "softplus": torch.nn.functional.softplus, "softmax": lambda x: torch.softmax(x, -1),
    "log_softmax": lambda x: torch.log_softmax(x, -1), "linear": lambda x: x,
}  # fmt: skip


def native_sine(backend_name: str) -> Any:
    if backend_name == "torch":
        return torch.sin
    if backend_name == "tensorflow":
        import tensorflow as tf

        return tf.math.sin
    import jax.numpy as jnp

    return jnp.sin


def test_every_activation_has_a_judge() -> None:
    assert set(JUDGES) == set(ACTIVATIONS)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_by_name_agrees_with_pytorch(backend: Backend, name: str) -> None:
    for layer in (Activation(name), Activation(name.upper())):
        np.testing.assert_allclose(layer(X).numpy(), JUDGES[name](torch.tensor(X)).numpy(), rtol=1e-5, atol=1e-6)


def test_an_activation_is_a_name_a_function_a_layer_or_its_class(backend: Backend) -> None:
    for activation in ("relu", ops.relu, Activation("relu"), lambda x: ops.maximum(x, 0), Lambda(ops.relu)):
        np.testing.assert_array_equal(Activation(activation)(X).numpy(), np.maximum(X, 0))
        assert (FullyConnected(3, activation=activation)(X).numpy() >= 0).all()
        assert (Conv2D(3, 1, activation=activation)(X[None, None]).numpy() >= 0).all()
    np.testing.assert_array_equal(Activation(None)(X).numpy(), X)
    assert Activation(Flatten)(X[None]).shape == (1, 24)


def test_an_activation_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ArgumentError, match="There is no activation 'rellu'. Did you mean 'relu'"):
        Activation("rellu")
    with pytest.raises(ArgumentError, match="An activation is a name, a function or a layer, and 3 is none"):
        FullyConnected(2, activation=3)


@pytest.mark.parametrize("make", (Lambda, Activation, Sequential))
def test_a_native_function_makes_a_layer_that_gives_handles(backend: Backend, backend_name: str, make: Any) -> None:
    layer = make(native_sine(backend_name))
    y = layer(ops.asarray(X))
    assert isinstance(y, Tensor)
    np.testing.assert_allclose(y.numpy(), np.sin(X), rtol=1e-5)
    assert backend.is_native(layer(backend.asarray(X, "float32")))


def test_gradients_flow_through_a_native_function(backend: Backend, backend_name: str) -> None:
    model = Sequential(FullyConnected(3), Lambda(native_sine(backend_name)), FullyConnected(1))
    model.build_from(X)
    _, gradients = value_and_grad(lambda: ops.sum(model(ops.asarray(X))), model)
    wanted = [torch.tensor(v.numpy(), requires_grad=True) for v in model.variables]
    (torch.sin(torch.tensor(X) @ wanted[0] + wanted[1]) @ wanted[2] + wanted[3]).sum().backward()
    for gradient, judge in zip(gradients, wanted, strict=True):
        np.testing.assert_allclose(gradient.numpy(), judge.grad.numpy(), rtol=1e-4, atol=1e-5)


def test_a_lambda_may_take_and_give_several_values(backend: Backend) -> None:
    largest, smallest = Lambda(lambda x, y, *, scale: (ops.max(x) * scale, {"min": ops.min(y)}))(X, X, scale=2)
    assert (largest.item(), smallest["min"].item()) == (2 * X.max(), X.min())


def test_a_lambda_has_the_name_of_its_function() -> None:
    assert (Lambda(ops.relu).name, Lambda(lambda x: x, name="same").name, Lambda(lambda x: x).name) == ("relu", "same", "<lambda>")


def test_a_lambda_refuses_modules_of_ours_and_what_cannot_be_called() -> None:
    with pytest.raises(ArgumentError, match="Lambda makes a layer of a function, and got a module. Use the module itself"):
        Lambda(FullyConnected(2))
    with pytest.raises(ArgumentError, match="Lambda needs a function, and got 'relu'"):
        Lambda("relu")


def test_a_sequence_runs_in_order_and_can_be_indexed(backend: Backend) -> None:
    model = Sequential([FullyConnected(3), lambda x: x + 1, Activation("relu")])
    assert len(model) == 3 and model[0] is next(iter(model)) and isinstance(model[1], Lambda)
    np.testing.assert_allclose(model(X).numpy(), np.maximum(X @ model[0].weight.numpy() + 1, 0), rtol=1e-5, atol=1e-6)
    assert list(model.named_variables) == ["/layers/0/weight", "/layers/0/bias"]


def test_an_empty_sequence_is_the_identity(backend: Backend) -> None:
    np.testing.assert_array_equal(Sequential()(X).numpy(), X)


def test_a_sequence_names_the_one_that_is_no_layer() -> None:
    with pytest.raises(ArgumentError, match="Sequential needs layers, and number 1 is 'relu'"):
        Sequential(FullyConnected(2), "relu")


def test_a_layer_that_is_used_twice_is_trained_once(backend: Backend) -> None:
    shared = FullyConnected(6)
    model = Sequential(shared, Activation("tanh"), shared)
    model(X)
    assert list(model.named_variables) == ["/layers/0/weight", "/layers/0/bias"]


MERGES = {
    "concat": (Concat(), lambda a, b: np.concatenate([a, b], -1)),
    "stack": (Stack(1), lambda a, b: np.stack([a, b], 1)),
    "add": (Add(), np.add),
}


@pytest.mark.parametrize("name", MERGES)
def test_tensors_are_merged_as_arguments_or_as_a_list(backend: Backend, name: str) -> None:
    layer, judge = MERGES[name]
    x, y = ops.asarray(X), ops.asarray(2 * X)
    for result in (layer(x, y), layer([x, y]), layer((x, y)), layer(X, 2 * X), layer([X, 2 * X]), layer(x, 2 * X)):
        np.testing.assert_array_equal(result.numpy(), judge(X, 2 * X))
    natives = [backend.asarray(X, "float32"), backend.asarray(2 * X, "float32")]
    assert backend.is_native(layer(natives)) and backend.is_native(layer(*natives))


def test_sums_broadcast_and_take_any_number(backend: Backend) -> None:
    np.testing.assert_allclose(Add()(X, X[:1], X, X[:, :1]).numpy(), X + X[:1] + X + X[:, :1], rtol=1e-6)


@pytest.mark.parametrize("layer", [Concat(), Stack(), Add()])
def test_nothing_cannot_be_merged(backend: Backend, layer: Any) -> None:
    with pytest.raises(ShapeError, match=f"{type(layer).__name__} needs at least one tensor, and got none"):
        layer([])


def test_shapes_that_do_not_merge_are_named(backend: Backend) -> None:
    for layer, message in ((Concat(), "ops.concat along axis 1"), (Stack(), "ops.stack got shapes"), (Add(), "ops.add got shapes")):
        with pytest.raises(ShapeError, match=message):
            layer(ops.ones((2, 3)), ops.ones((3, 2)))


def test_reshape_and_flatten_keep_the_batch(backend: Backend) -> None:
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    np.testing.assert_array_equal(Reshape((4, -1))(x).numpy(), x.reshape(2, 4, 3))
    np.testing.assert_array_equal(Reshape(12)(x).numpy(), x.reshape(2, 12))
    np.testing.assert_array_equal(Flatten()(x).numpy(), x.reshape(2, 12))
    assert Flatten()(x[0, 0]).shape == (4, 1)
    with pytest.raises(ShapeError, match=r"ops.reshape cannot make \(2, 5, 5\) from \(2, 3, 4\)"):
        Reshape((5, 5))(x)
    with pytest.raises(ShapeError, match="Flatten needs a batch axis, and got a tensor without axes"):
        Flatten()(ops.asarray(1.0))
    for shape in ((-1, -1), (0, 2), (-2,)):
        with pytest.raises(ArgumentError, match="Reshape needs sizes of at least 1, one of which may be -1, and got"):
            Reshape(shape)


def test_an_embedding_takes_whole_numbers_alone(backend: Backend) -> None:
    layer = Embedding(10, 4)
    for dtype in ("int32", "uint8", "int16"):
        np.testing.assert_array_equal(layer(ops.asarray([[1, 9]], dtype)).numpy(), layer.weight.numpy()[[[1, 9]]])
    with pytest.raises(DTypeError, match="needs whole numbers as indices, and got float32"):
        layer(ops.asarray([1.0]))
    for sizes, message in (((0, 4), "num_embeddings of at least 1, and got 0"), ((4, -1), "features of at least 1, and got -1")):
        with pytest.raises(ArgumentError, match=f"Embedding needs {message}"):
            Embedding(*sizes)


@pytest.mark.parametrize("dtype", ("uint8", "int32", "bool", "float16"))
def test_a_fully_connected_layer_promotes_its_input(backend: Backend, dtype: str) -> None:
    layer, x = FullyConnected(3), (X > 0).astype(dtype)
    y = layer(x)
    assert y.dtype == "float32"
    np.testing.assert_allclose(y.numpy(), x.astype(np.float32) @ layer.weight.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("features", (0, -1, 2.5, True, "3"))
def test_a_fully_connected_layer_needs_a_size(features: Any) -> None:
    with pytest.raises(ArgumentError, match=f"FullyConnected needs out_features of at least 1, and got {features!r}"):
        FullyConnected(features)


WITH_VALUES = {
    "batch normalization": BatchNormalization, "layer norm": LayerNorm, "fully connected": lambda: FullyConnected(2),
    "convolution": lambda: Conv1D(2, 3), "embedding": lambda: Embedding(4, 4),
}  # fmt: skip


@pytest.mark.parametrize("name", WITH_VALUES)
def test_layers_refuse_tensors_of_another_backend(backend: Backend, backend_name: str, name: str) -> None:
    layer, x = WITH_VALUES[name](), np.ones((2, 4, 3), np.int32 if name == "embedding" else np.float32)
    layer(x)
    with use_backend("jax" if backend_name != "jax" else "torch"), pytest.raises(BackendError, match="Tensors of two backends meet"):
        layer(ops.asarray(x))
