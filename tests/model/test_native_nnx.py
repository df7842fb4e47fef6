"""Flax nnx modules as parts of our models: they stay what they are for Flax, and learn in ours."""

import os
import subprocess
import sys
from itertools import pairwise
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

from babel_dl import ops
from babel_dl.core import Module, compile, value_and_grad
from babel_dl.core.native.adoption import as_module
from babel_dl.errors import BackendError
from babel_dl.model.layers import FullyConnected
from babel_dl.training.optimizers import SGD, Adam
from tests.model.native_examples import batches, make_nnx_cnn, pictures, train

pytestmark = [pytest.mark.parametrize("backend_name", ["jax"]), pytest.mark.usefixtures("backend")]

ROWS = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
IMAGES = np.random.default_rng(0).normal(size=(4, 8, 8, 1)).astype(np.float32)


def own_loop(model: Any, rule: Any, epochs: int = 2, data: Any = None) -> None:
    """The loop of nnx with Optax."""
    optimizer = nnx.Optimizer(model, rule, wrt=nnx.Param)
    model.train()

    @nnx.jit
    def step(model: Any, optimizer: Any, images: Any, labels: Any) -> None:
        def loss(model: Any) -> Any:
            return optax.softmax_cross_entropy_with_integer_labels(model(images), labels).mean()

        optimizer.update(model, nnx.grad(loss)(model))

    for images, labels in batches(epochs, data):
        step(model, optimizer, images, labels)


@pytest.mark.parametrize(("ours", "theirs"), [
    (lambda: SGD(0.05, momentum=0.9), lambda: optax.sgd(0.05, momentum=0.9, nesterov=True)), (lambda: Adam(0.01), lambda: optax.adam(0.01)),
], ids=["SGD with momentum", "Adam"])  # fmt: skip
def test_our_trainer_does_to_a_module_what_the_loop_of_nnx_does(ours: Any, theirs: Any) -> None:
    model, twin = make_nnx_cnn(dropout=0.3), make_nnx_cnn(dropout=0.3)
    train(model, optimizer=ours())
    own_loop(twin, theirs())
    kinds = (nnx.Param, nnx.BatchStat, nnx.RngCount)
    found, judge = (nnx.to_flat_state(nnx.state(module, kinds)) for module in (model, twin))
    for (path, variable), (_, wanted) in zip(found, judge, strict=True):
        np.testing.assert_allclose(variable[...], wanted[...], rtol=1e-3, atol=1e-4, err_msg=str(path))
    assert int(model.dropout.rngs.count[...]) == 2 * len(batches(1))


# ---------------------------------------------------------------------- nnx: two holders of one array


def make_step(model: Module, optimizer: Any) -> Any:
    """A compiled training step on a sum of squares."""

    def step(x: Any) -> Any:
        loss, gradients = value_and_grad(lambda: ops.mean(ops.square(model(x))), model)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    return compile(step)


def test_each_step_is_seen_by_the_module_and_what_it_writes_by_the_next_step() -> None:
    native = nnx.Linear(4, 3, rngs=nnx.Rngs(0))
    model, optimizer = as_module(native), SGD(0.1)
    step = make_step(model, optimizer)
    for _ in range(3):
        before = np.asarray(native.kernel[...])
        step(ROWS)
        assert not np.array_equal(before, native.kernel[...])
        np.testing.assert_array_equal(native.kernel[...], model.kernel.numpy())
    native.kernel[...] = jnp.zeros((4, 3))
    native.bias[...] = jnp.full(3, 2.0)
    assert float(step(ROWS)) == 4.0
    np.testing.assert_array_equal(model.kernel.numpy(), native.kernel[...])
    nnx.update(native, jax.tree.map(jnp.zeros_like, nnx.state(native)))
    assert not model.bias.numpy().any() and not model(ROWS).numpy().any()
    model.kernel.assign(np.ones((4, 3), np.float32))
    np.testing.assert_allclose(native(ROWS), ROWS.sum(1, keepdims=True) * np.ones(3), rtol=1e-5)


def test_a_step_still_takes_over_the_memory_of_the_arrays() -> None:
    native = nnx.Linear(256, 256, rngs=nnx.Rngs(0))
    model, optimizer = as_module(native), SGD(0.1)
    step = make_step(model, optimizer)
    step(np.ones((2, 256), np.float32))
    held = native.kernel.get_raw_value() if hasattr(native.kernel, "get_raw_value") else native.kernel.raw_value
    place = held.unsafe_buffer_pointer()
    del held
    step(np.ones((2, 256), np.float32))
    assert native.kernel[...].unsafe_buffer_pointer() == place


def test_an_array_that_somebody_else_holds_survives_the_step() -> None:
    native = nnx.Linear(4, 3, rngs=nnx.Rngs(0))
    model, optimizer = as_module(native), SGD(0.1)
    step = make_step(model, optimizer)
    kept = native.kernel[...]
    before = np.array(kept)
    step(ROWS), step(ROWS)
    np.testing.assert_array_equal(kept, before)


def test_a_step_that_fails_leaves_the_module_whole() -> None:
    native = nnx.Linear(4, 3, rngs=nnx.Rngs(0))
    model = as_module(native)
    step = make_step(model, SGD(0.1))
    step(ROWS)
    before = np.array(native.kernel[...])
    with pytest.raises(TypeError, match="dot_general requires contracting dimensions"):
        step(ROWS[:, :2])
    np.testing.assert_array_equal(native.kernel[...], before)
    step(ROWS)


def test_variables_that_two_modules_hold_are_one() -> None:
    class Outer(nnx.Module):
        def __init__(self, inner: nnx.Linear) -> None:
            self.inner = inner

        def __call__(self, x: Any) -> Any:
            return self.inner(x)

    class Model(Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nnx.Linear(4, 4, rngs=nnx.Rngs(0))
            self.outer = Outer(self.inner)

        def call(self, x: Any) -> Any:
            return self.outer(self.inner(x))

    model = Model()
    model(ROWS)
    assert list(model.named_variables) == ["/inner/bias", "/inner/kernel"]
    gradients = value_and_grad(lambda: ops.sum(model(ops.asarray(ROWS))), model)[1]
    native = model.inner.native
    matrix, offset = native.kernel[...], native.bias[...]
    wanted = jax.grad(lambda k: ((ROWS @ k + offset) @ k + offset).sum())(matrix)
    np.testing.assert_allclose(gradients[1].numpy(), wanted, rtol=1e-4, atol=1e-5)


class Modal(nnx.Module):
    """Is told its mode by an argument, keeps an array outside of variables, and has parts and methods."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.parts = nnx.List([nnx.Linear(4, 4, rngs=rngs), nnx.Linear(4, 2, rngs=rngs)])
        self.seen = nnx.Variable(jnp.zeros((), jnp.int32))
        self.table = nnx.data(jnp.ones(2))

    def __call__(self, x: Any, train: bool, *, deterministic: bool) -> Any:
        self.seen[...] = self.seen[...] + jnp.where(train and not deterministic, 1, 10)
        return self.code(self.parts[0](x)) * self.table

    def code(self, x: Any) -> Any:
        """A method to call."""
        return self.parts[1](x)


def test_a_module_is_told_its_mode_and_its_parts_are_called() -> None:
    native = Modal(nnx.Rngs(0))
    model = as_module(native)
    hidden = model.parts[0](ops.asarray(ROWS))
    np.testing.assert_allclose(model(ROWS).numpy(), model.code(hidden).numpy(), rtol=1e-5)
    assert int(native.seen[...]) == 1 and len(model.parts) == 2
    model.eval()(ROWS)
    assert int(native.seen[...]) == 11
    compile(lambda x: model(x))(ROWS)
    assert int(native.seen[...]) == 21 == model.seen.numpy()
    assert {name: v.is_parameter for name, v in model.named_variables.items()} == {
        "/parts/0/bias": True, "/parts/0/kernel": True, "/parts/1/bias": True, "/parts/1/kernel": True, "/seen": False, "/table": False,
    }  # fmt: skip


def test_the_mode_reaches_the_layers_of_the_module_itself() -> None:
    native = make_nnx_cnn(dropout=0.5)
    model = as_module(native).build_from(IMAGES)
    model.eval()
    assert native.dropout.deterministic and native.norm.use_running_average
    model.train()
    assert not native.dropout.deterministic and not native.norm.use_running_average


def test_random_keys_are_saved_as_words() -> None:
    first, second = make_nnx_cnn(0, dropout=0.5), make_nnx_cnn(1, dropout=0.5)
    values = as_module(first).build_from(IMAGES).state_dict()
    assert values["/dropout/rngs/key"].dtype == np.uint32
    as_module(second).build_from(IMAGES).load_state_dict(values)
    assert (jax.random.key_data(first.dropout.rngs.key[...]) == jax.random.key_data(second.dropout.rngs.key[...])).all()
    np.testing.assert_array_equal(as_module(first)(IMAGES).numpy(), as_module(second)(IMAGES).numpy())


def test_what_is_no_array_and_what_is_linen_is_refused() -> None:
    class Odd(nnx.Module):
        def __init__(self) -> None:
            self.pair = nnx.Param({"a": jnp.ones(2)})

    with pytest.raises(BackendError, match=r"The nnx variable '/pair.*' holds a dict and not an array"):
        as_module(Odd()).build_from(ROWS)
    with pytest.raises(BackendError, match=r"Dense is a Flax linen module, which holds no tensors of its own.*(?s:.)*nnx.bridge.ToNNX"):
        as_module(linen.Dense(3))(ROWS)
    bridged = nnx.bridge.ToNNX(linen.Dense(3), rngs=nnx.Rngs(0)).lazy_init(ROWS)
    model = as_module(bridged)
    assert model(ROWS).shape == (5, 3) and len(model.trainable_variables) == 2


@pytest.mark.parametrize("make", [lambda: nnx.Linear(4, 3, rngs=nnx.Rngs(0)), lambda: eqx.nn.Linear(4, 3, key=jax.random.key(0))])
def test_a_narrow_precision_casts_parameters_and_inputs(make: Any) -> None:
    model = as_module(make())
    wide = model(ROWS).numpy()
    model.precision = "bfloat16"
    narrow = model(ROWS)
    assert narrow.dtype == "float32" and not np.array_equal(narrow.numpy(), wide)
    np.testing.assert_allclose(narrow.numpy(), wide, atol=0.05)
    _, gradients = value_and_grad(lambda: ops.sum(model(ops.asarray(ROWS))), model)
    assert {gradient.dtype for gradient in gradients} == {"float32"} == {variable.static_dtype for variable in model.variables}


def test_nothing_that_a_block_without_gradients_computes_has_one() -> None:
    ours, native = FullyConnected(3), as_module(nnx.Linear(3, 2, rngs=nnx.Rngs(0)))
    native(ours(ROWS).numpy())

    def loss() -> Any:
        hidden = ours(ops.asarray(ROWS))
        with ours.backend.without_gradients():
            fixed = native(hidden)
        return ops.sum(hidden) + ops.sum(fixed)

    _, gradients = value_and_grad(loss, ours)
    np.testing.assert_allclose(gradients[0].numpy(), ROWS.sum(0)[:, None] * np.ones(3), rtol=1e-4, atol=1e-5)


FRESH = """
import sys
from babel_dl.backend import native_owner, use_backend
from babel_dl.model.layers import FullyConnected, Sequential
import numpy as np
with use_backend("jax"):
    model = Sequential(FullyConnected(2))
    model(np.ones((1, 2), np.float32))
    model.to_native()
    native_owner(object())
print(sorted({"flax", "equinox", "torch", "tensorflow", "keras"} & {name.partition(".")[0] for name in sys.modules}))
"""


def test_no_package_is_imported_that_no_module_comes_from() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", FRESH], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


# ---------------------------------------------------------------------- the networks of the seeds, in Flax nnx


class SimpleConv(nnx.Module):
    """Seed 000, in nnx."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        sizes = (1, 16, 32, 64, 128)
        self.convs = nnx.List([nnx.Conv(a, b, (3, 3), rngs=rngs) for a, b in pairwise(sizes)])
        self.norms = nnx.List([nnx.BatchNorm(size, rngs=rngs) for size in sizes[1:4]])
        self.head = nnx.Linear(128, 10, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        for conv, norm in zip(self.convs, self.norms, strict=False):
            x = nnx.max_pool(norm(nnx.relu(conv(x))), (2, 2), strides=(2, 2))
        return self.head(nnx.relu(self.convs[3](x)).mean((1, 2)))


class ConvNorm(nnx.Module):
    """A convolution without offset, and batch norm."""

    def __init__(self, inputs: int, outputs: int, stride: int, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(inputs, outputs, (3, 3), stride, padding=1, use_bias=False, rngs=rngs)
        self.norm = nnx.BatchNorm(outputs, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.norm(self.conv(x))


class ResNet(nnx.Module):
    """Seed 002, in nnx."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        sizes = (1, 8, 16, 32, 16, 10)
        self.down = nnx.List([ConvNorm(a, b, 2, rngs) for a, b in pairwise(sizes)])
        self.blocks = nnx.List([nnx.List([ConvNorm(size, size, 1, rngs) for _ in range(2)]) for size in sizes[1:4]])

    def __call__(self, x: Any) -> Any:
        for place, down in enumerate(self.down):
            x = nnx.relu(down(x))
            if place < 3:
                first, second = self.blocks[place]
                x = nnx.relu(second(nnx.relu(first(x))) + x)
        return x.reshape(len(x), -1)


@pytest.mark.parametrize(("make", "num_parameters"), [(SimpleConv, 98_666), (ResNet, 36_460)])
def test_a_network_of_a_seed_written_in_nnx_learns_what_it_learns_in_its_own_loop(make: Any, num_parameters: int) -> None:
    data = pictures(24, size=28)
    model, twin, start = (make(nnx.Rngs(0)) for _ in range(3))
    trainer = train(model, 1, data, SGD(0.02, momentum=0.9))
    own_loop(twin, optax.sgd(0.02, momentum=0.9, nesterov=True), 1, data)
    assert sum(variable.size for variable in trainer.model.trainable_variables) == num_parameters
    kinds = (nnx.Param, nnx.BatchStat)
    found, judge, before = (nnx.to_flat_state(nnx.state(module, kinds)) for module in (model, twin, start))
    for (path, value), (_, wanted), (_, first) in zip(found, judge, before, strict=True):
        moved = np.linalg.norm(wanted[...] - first[...])
        assert np.linalg.norm(value[...] - wanted[...]) <= 0.02 * moved + 1e-6, path
