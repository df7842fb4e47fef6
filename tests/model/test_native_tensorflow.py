"""Keras layers and models, and `tf.Module`, as parts of our models: one memory, names that do not count, Keras' own ways next to ours."""

from functools import partial
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from babel_dl import ops
from babel_dl.core import Module, NativeModule, TensorSpec, compile, value_and_grad
from babel_dl.core.native.adoption import as_module
from babel_dl.errors import BackendError
from babel_dl.model.layers import FullyConnected, Sequential
from babel_dl.training.optimizers import SGD, Adam
from tests.model.native_examples import BATCH, NUM_CLASSES, batches, make_keras_cnn, pictures, train, values_of

pytestmark = [pytest.mark.parametrize("backend_name", ["tensorflow"]), pytest.mark.usefixtures("backend")]

IMAGES = np.random.default_rng(0).normal(size=(4, 8, 8, 1)).astype(np.float32)
ROWS = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)


def own_loop(model: Any, optimizer: Any, epochs: int = 2, data: Any = None) -> None:
    """Keras' loop by hand."""

    @tf.function
    def step(images: tf.Tensor, labels: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True))

    for images, labels in batches(epochs, data):
        step(tf.constant(images), tf.constant(labels))


@pytest.mark.parametrize(("ours", "theirs"), [
    (partial(SGD, 0.05, momentum=0.0), partial(keras.optimizers.SGD, 0.05)),
    (partial(SGD, 0.05, momentum=0.9), partial(keras.optimizers.SGD, 0.05, momentum=0.9, nesterov=True)),
    (partial(Adam, 0.01, eps=1e-7), partial(keras.optimizers.Adam, 0.01)),
], ids=["SGD", "SGD with momentum", "Adam"])  # fmt: skip
@pytest.mark.parametrize("mode", ["auto", "off", "xla"])
def test_our_trainer_does_to_a_model_what_keras_own_loop_does(ours: Any, theirs: Any, mode: str) -> None:
    dropout = 0.0 if mode == "xla" else 0.3  # XLA draws other bits than TensorFlow
    model, twin = make_keras_cnn(dropout=dropout), make_keras_cnn(dropout=dropout)
    twin(IMAGES)
    trainer = train(model, optimizer=ours(), compile=mode)
    own_loop(twin, theirs())
    for variable, wanted in zip(model.variables, twin.variables, strict=True):
        np.testing.assert_allclose(variable.numpy(), wanted.numpy(), rtol=1e-3, atol=1e-4, err_msg=variable.path)
    if dropout:
        assert trainer.model.named_variables["/4/seed_generator_state"].numpy()[1] == 2 * len(batches(1))


# ---------------------------------------------------------------------- names


class Block(keras.Model):
    """Keeps layers in attributes, lists and dicts, and a variable of its own without a name."""

    def __init__(self) -> None:
        super().__init__()
        self.several = [keras.layers.Dense(3), keras.Sequential([keras.layers.Dense(2), keras.layers.LayerNormalization()])]
        self.by_name = {"last": keras.layers.Dense(2, name="chosen")}
        self.scale = self.add_weight(shape=(), initializer="ones")

    def call(self, x: Any) -> Any:
        for layer in self.several:
            x = layer(x)
        return self.scale * self.by_name["last"](x)


def test_names_are_places_and_the_same_for_every_model_of_a_class() -> None:
    wanted = [
        "/scale", "/several/0/kernel", "/several/0/bias", "/several/1/0/kernel", "/several/1/0/bias", "/several/1/1/gamma",
        "/several/1/1/beta", "/by_name/last/kernel", "/by_name/last/bias",
    ]  # fmt: skip
    for _ in range(2):
        model = as_module(Block())
        model(ROWS)
        assert sorted(model.named_variables) == sorted(wanted)
        assert {id(variable.storage) for variable in model.variables} == {id(variable.value) for variable in model.native.variables}


def test_a_functional_model_names_its_layers_by_index() -> None:
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(3, name="hidden")
    outputs = hidden(keras.layers.Dense(4)(hidden(inputs) @ np.ones((3, 4), np.float32)))
    model = as_module(keras.Model(inputs, outputs))
    assert [name.rpartition("/")[2] for name in model.named_variables] == ["kernel", "bias"] * 2
    assert model(ROWS).shape == (5, 3)


def test_wrappers_of_keras_name_each_layer_once() -> None:
    model = as_module(keras.layers.Bidirectional(keras.layers.LSTM(2)))
    model(ROWS[:, :, None])
    names = list(model.named_variables)
    assert len(names) == 8 == len(set(names)) and names[0].endswith("/cell/kernel")
    assert {name.split("/")[1] for name in names} == {"forward_layer", "backward_layer"}


class Plain(tf.Module):
    """A `tf.Module` with variables in several places, a Keras layer, and a part."""

    def __init__(self, depth: int = 1) -> None:
        super().__init__()
        self.matrix = tf.Variable(tf.ones((4, 4)))
        self.parts = [tf.Variable(2.0), {"frozen": tf.Variable(1.0, trainable=False)}, (tf.Variable(3), None)]
        self.dense = keras.layers.Dense(4)
        self.inner = Plain(depth - 1) if depth else None

    def __call__(self, x: Any, is_training: bool) -> Any:
        self.saw = is_training
        x = self.dense(x @ self.matrix * self.parts[0])
        return x if self.inner is None else self.inner(x, is_training)

    def half(self, x: Any) -> Any:
        """A method to call."""
        return x @ self.matrix / 2


def test_a_tf_module_is_taken_in_with_all_that_it_holds() -> None:
    native = Plain()
    model = as_module(native)
    assert model(ROWS).shape == (5, 4)
    found = {name: variable.is_parameter for name, variable in model.named_variables.items()}
    own = {"/matrix": True, "/parts/0": True, "/parts/1/frozen": False, "/parts/2/0": False}
    below = {f"/inner{name}": is_parameter for name, is_parameter in own.items()}
    dense = {f"{prefix}/dense/{name}": True for prefix in ("", "/inner") for name in ("kernel", "bias")}
    assert found == {**own, **below, **dense}
    assert native.saw is True
    model.eval()(ROWS)
    assert native.saw is False
    np.testing.assert_allclose(model.half(ops.asarray(ROWS)).numpy(), ROWS.sum(1, keepdims=True) * np.ones(4) / 2, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.inner(ops.asarray(ROWS), is_training=True).shape, (5, 4))


class Late(tf.Module):
    """Makes its variable at the first call."""

    def __call__(self, x: Any) -> Any:
        if not hasattr(self, "matrix"):
            self.matrix = tf.Variable(tf.ones((x.shape[-1], 2)))
        return x @ self.matrix


@pytest.mark.parametrize("make", [Late, lambda: keras.layers.Dense(2), lambda: keras.Sequential([keras.layers.Dense(2)])])
def test_what_is_built_at_its_first_call_is_built_once_outside_of_any_trace(make: Any) -> None:
    model = Sequential(make(), FullyConnected(1))
    assert list(model.named_variables) == []
    model.build_from(TensorSpec((None, 4)))
    assert len(model.variables) == (3 if make is Late else 4)
    kept = [variable.storage for variable in model.variables]
    compile(model)(ROWS)
    assert all(variable.storage is before for variable, before in zip(model.variables, kept, strict=True))
    assert all(tf.executing_eagerly() and np.isfinite(variable.numpy()).all() for variable in model.variables)


# ---------------------------------------------------------------------- one memory


def test_what_we_write_is_in_the_layer_and_what_keras_writes_is_with_us() -> None:
    native = keras.layers.Dense(2)
    layer = as_module(native)
    layer(ROWS)
    layer.kernel.assign(np.full((4, 2), 2.0, np.float32))
    np.testing.assert_array_equal(native.get_weights()[0], np.full((4, 2), 2.0, np.float32))
    native.set_weights([np.ones((4, 2), np.float32), np.ones(2, np.float32)])
    np.testing.assert_array_equal(layer.state_dict()["/kernel"], np.ones((4, 2), np.float32))


def test_freezing_holds_on_both_sides() -> None:
    native = make_keras_cnn()
    model = as_module(native).build_from(IMAGES)
    model.freeze("/0/kernel")
    assert [variable.path.rpartition("/")[2] for variable in native.trainable_variables] == ["gamma", "beta", "kernel", "bias"]
    native.layers[0].kernel.trainable, native.layers[-1].trainable = True, False
    assert [variable.path for variable in model.trainable_variables] == ["/0/kernel", "/1/gamma", "/1/beta"]
    before = model.state_dict()
    train(model, 1)
    kept = [name for name, value in model.state_dict().items() if np.array_equal(value, before[name])]
    assert kept == ["/6/kernel", "/6/bias"]


def test_a_layer_that_came_frozen_can_be_thawed() -> None:
    native = keras.layers.Dense(2)
    native.build((None, 4))
    native.trainable = False
    layer = as_module(native)
    assert layer.trainable_variables == [] and all(variable.is_parameter for variable in layer.variables)
    layer.freeze(frozen=False)
    assert len(native.trainable_variables) == 0  # Keras hides them below a frozen layer
    native.trainable = True
    assert len(layer.trainable_variables) == len(native.trainable_variables) == 2


def test_keras_trains_on_from_where_we_stopped() -> None:
    native = make_keras_cnn()
    trainer = train(native, 1)
    before = values_of(trainer)
    own_loop(native, keras.optimizers.SGD(0.1), 1)
    after = values_of(trainer)
    assert not np.array_equal(before["model/6/kernel"], after["model/6/kernel"])
    np.testing.assert_array_equal(after["model/6/kernel"], native.get_weights()[-2])


def test_the_penalties_of_keras_layers_are_at_hand_for_a_loss() -> None:
    layer = as_module(keras.layers.Dense(2, kernel_regularizer=keras.regularizers.L2(0.5)))
    layer(ROWS)
    _, gradients = value_and_grad(lambda: ops.sum(ops.asarray(layer.losses[0])) + ops.sum(layer(ops.asarray(ROWS))), layer)
    _, without = value_and_grad(lambda: ops.sum(layer(ops.asarray(ROWS))), layer)
    np.testing.assert_allclose(gradients[0].numpy() - without[0].numpy(), layer.kernel.numpy(), rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------------- how it is called


def test_a_model_is_told_in_which_mode_it_is() -> None:
    told: list[bool] = []

    class Listening(keras.layers.Layer):
        def call(self, x: Any, training: bool | None = None) -> Any:
            told.append(training)
            return x

    model = as_module(keras.Sequential([Listening()]))
    model(ROWS)
    model.eval()(ROWS)
    model.train()(ops.asarray(ROWS), training=False)
    assert told[-3:] == [True, False, False]


def test_several_inputs_and_outputs_pass_through_a_keras_model() -> None:
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    model = as_module(keras.Model({"left": left, "right": right}, {"sum": left + right, "both": [left, right]}))
    found = model({"left": ops.asarray(ROWS), "right": ops.asarray(2 * ROWS)})
    np.testing.assert_allclose(found["sum"].numpy(), 3 * ROWS, rtol=1e-6)
    assert [part.shape for part in found["both"]] == [(5, 4), (5, 4)]


class Witness(tf.Module):
    """Keeps the shape that it was given."""

    def __call__(self, x: Any) -> Any:
        self.shape = tuple(x.shape)
        return x


@pytest.mark.parametrize("channels_first", [None, True, False])
def test_tensors_are_turned_only_where_it_is_said(channels_first: bool | None) -> None:
    for shape in ((2, 3), (2, 3, 4), (2, 3, 4, 5), (2, 3, 4, 5, 6)):
        native = Witness()
        x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        np.testing.assert_array_equal(NativeModule(native, channels_first=channels_first)(x).numpy(), x)
        assert native.shape == ((shape[0], shape[-1], *shape[1:-1]) if channels_first and len(shape) > 2 else shape)


def test_options_of_other_frameworks_and_other_frameworks_of_keras_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackendError, match=r"NativeModule got per_sample=... with a Dense, and a TensorFlow module takes batches"):
        NativeModule(keras.layers.Dense(2), per_sample=True)(ROWS)
    with pytest.raises(BackendError, match=r"NativeModule got state=... with a Dense"):
        NativeModule(keras.layers.Dense(2), state=3)(ROWS)
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(BackendError, match="Dense is a Keras layer, and Keras runs on 'jax' in this process, not on TensorFlow"):
        as_module(keras.layers.Dense(2))(ROWS)


def test_in_a_narrow_precision_natives_compute_in_a_type_of_their_own() -> None:
    for native in (keras.layers.Dense(2), Late()):
        model = as_module(native)
        wide = model(ROWS).numpy()
        model.precision = "bfloat16"
        found = model(ROWS)
        assert found.dtype == "float32"
        np.testing.assert_allclose(found.numpy(), wide, atol=0.05)


def test_a_keras_model_in_a_model_of_ours_is_trained_with_it() -> None:
    class Both(Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = keras.Sequential([keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(), keras.layers.GlobalMaxPooling2D()])
            self.head = FullyConnected(NUM_CLASSES)

        def call(self, image: Any) -> Any:
            return self.head(ops.relu(self.body(image)))

    trainer = train(Both(), 1)
    before = values_of(trainer)
    trainer.fit(pictures().to_dataloader(batch_size=BATCH), epochs=3)
    after = values_of(trainer)
    assert len([name for name in after if name.startswith("model")]) == 8
    assert not [name for name in after if name.startswith("model") and np.array_equal(after[name], before[name])]


# ---------------------------------------------------------------------- the networks of the seeds, in Keras


class ResBlock(keras.layers.Layer):
    """Seed 002, in Keras."""

    def __init__(self, nf: int) -> None:
        super().__init__()
        self.convs = [keras.layers.Conv2D(nf, 3, padding="same", use_bias=False) for _ in range(2)]
        self.norms = [keras.layers.BatchNormalization() for _ in range(2)]

    def call(self, x: Any, training: bool | None = None) -> Any:
        o = keras.ops.relu(self.norms[0](self.convs[0](x), training=training))
        return keras.ops.relu(self.norms[1](self.convs[1](o), training=training) + x)


def simple_conv() -> Any:
    """Seed 000, in Keras."""
    layers: list[Any] = []
    for channels in (16, 32, 64):
        conv = keras.layers.Conv2D(channels, 3, padding="same", activation="relu")
        layers += [conv, keras.layers.BatchNormalization(), keras.layers.MaxPooling2D()]
    layers += [keras.layers.Conv2D(128, 3, padding="same", activation="relu"), keras.layers.GlobalAveragePooling2D()]
    return keras.Sequential([*layers, keras.layers.Dense(10)])


def resnet() -> Any:
    """Seed 002, in Keras."""

    def step_down(channels: int) -> list[Any]:
        conv = keras.layers.Conv2D(channels, 3, 2, padding="same", use_bias=False)
        return [conv, keras.layers.BatchNormalization(), keras.layers.ReLU()]

    body = [layer for channels in (8, 16, 32) for layer in (*step_down(channels), ResBlock(channels))]
    return keras.Sequential([*body, *step_down(16), *step_down(10), keras.layers.GlobalAveragePooling2D()])


@pytest.mark.parametrize(("make", "num_values"), [(simple_conv, 98_890), (resnet, 36_848)])
def test_a_network_of_a_seed_written_in_keras_learns_what_it_learns_in_its_own_loop(make: Any, num_values: int) -> None:
    data = pictures(24, size=28)
    model, twin = make(), make()
    for native in (model, twin):
        native.build((None, 28, 28, 1))
    twin.set_weights(model.get_weights())
    start = [value.copy() for value in model.get_weights()]
    trainer = train(model, 1, data, SGD(0.02, momentum=0.9))
    own_loop(twin, keras.optimizers.SGD(0.02, momentum=0.9, nesterov=True), 1, data)
    assert sum(value.size for value in start) == num_values == sum(variable.size for variable in trainer.model.variables)
    for before, value, wanted in zip(start, model.get_weights(), twin.get_weights(), strict=True):
        assert np.linalg.norm(value - wanted) <= 0.02 * np.linalg.norm(wanted - before) + 1e-6
