"""Equinox modules as parts of our models: mapped over the batch, with their state and their keys."""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from babel_dl import ops, use_seed
from babel_dl.core import Module, NativeModule
from babel_dl.core.native.adoption import as_module
from babel_dl.errors import BackendError
from babel_dl.model.layers import FullyConnected, Sequential
from babel_dl.training.optimizers import Adam
from tests.model.native_examples import BATCH, assert_same, batches, pictures, resumed, train
from tests.model.test_native_nnx import make_step

pytestmark = [pytest.mark.parametrize("backend_name", ["jax"]), pytest.mark.usefixtures("backend")]

ROWS = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
IMAGES = np.random.default_rng(0).normal(size=(4, 8, 8, 1)).astype(np.float32)



class Conv(eqx.Module):
    """A convolution, batch norm, dropout and a head, for one picture with the channels first."""

    conv: eqx.nn.Conv2d
    norm: eqx.nn.BatchNorm
    dropout: eqx.nn.Dropout
    head: eqx.nn.Linear

    def __init__(self, key: Any, rate: float = 0.3) -> None:
        first, last = jax.random.split(key)
        self.conv = eqx.nn.Conv2d(1, 4, 3, padding=1, key=first)
        self.norm = eqx.nn.BatchNorm(4, "batch", mode="ema")
        self.dropout = eqx.nn.Dropout(rate)
        self.head = eqx.nn.Linear(4 * 64, 3, key=last)

    def __call__(self, x: Any, state: Any, *, key: Any = None) -> Any:
        x, state = self.norm(self.conv(x), state)
        return self.head(self.dropout(jax.nn.relu(x).ravel(), key=key)), state

    def features(self, x: Any) -> Any:
        """A method to call."""
        return self.conv(x)


def make_equinox(seed: int = 0, rate: float = 0.3) -> NativeModule:
    """The network and its state as one module."""
    return NativeModule(*eqx.nn.make_with_state(Conv)(jax.random.key(seed), rate))


def test_an_equinox_module_is_found_with_its_state_and_counter() -> None:
    model = make_equinox().build_from(IMAGES)
    assert {name: variable.is_parameter for name, variable in model.named_variables.items()} == {
        "/conv/weight": True, "/conv/bias": True, "/norm/weight": True, "/norm/bias": True, "/head/weight": True, "/head/bias": True,
        "/state/norm/ema_first_time_index": False, "/state/norm/ema_state_index/0": False, "/state/norm/ema_state_index/1": False,
        "/draws": False,
    }  # fmt: skip


def test_an_equinox_module_computes_on_a_batch_what_it_computes_on_samples() -> None:
    model = make_equinox(rate=0.0)
    native, state = eqx.nn.make_with_state(Conv)(jax.random.key(0), 0.0)
    batched = jax.vmap(native, axis_name="batch", in_axes=(0, None), out_axes=(0, None))
    wanted, state = batched(jnp.moveaxis(IMAGES, -1, 1), state)
    np.testing.assert_allclose(model(IMAGES).numpy(), wanted, rtol=1e-5, atol=1e-6)
    native = eqx.nn.inference_mode(native)
    wanted, _ = jax.vmap(native, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(jnp.moveaxis(IMAGES, -1, 1), state)
    np.testing.assert_allclose(model.eval()(IMAGES).numpy(), wanted, rtol=1e-5, atol=1e-6)
    features = model.features(ops.asarray(IMAGES))
    wanted = jnp.moveaxis(jax.vmap(native.conv)(jnp.moveaxis(IMAGES, -1, 1)), 1, -1)
    np.testing.assert_allclose(features.numpy(), wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.conv(ops.asarray(IMAGES)).numpy(), features.numpy(), rtol=1e-6)


def test_an_equinox_network_learns_and_gives_the_module_of_now() -> None:
    model = make_equinox()
    trainer = train(model, 4, optimizer=Adam(0.01))
    assert trainer.evaluate(pictures().to_dataloader(batch_size=BATCH))["loss/total"] < 0.5
    native = model.native
    assert isinstance(native, Conv)
    np.testing.assert_array_equal(native.conv.weight, model.conv.weight.numpy())
    assert int(model.state_dict()["/draws"]) == 4 * len(batches(1))


def test_a_run_of_an_equinox_network_is_resumed_in_the_same_bits(tmp_path: Path) -> None:
    seeds = iter((0, 0, 4))
    whole, again = resumed(lambda: make_equinox(next(seeds)), tmp_path, lambda: Adam(0.01))
    assert_same(whole, again)


def test_dropout_of_equinox_draws_by_seed_path_and_count() -> None:
    def masks(seed: int, names: tuple[str, ...] = ("a", "b")) -> list[np.ndarray]:
        with use_seed(seed):
            layers = {name: eqx.nn.Dropout(0.5) for name in names}
            model = Draws(layers)
            model(np.ones((3, 40), np.float32))
            return [layer(np.ones((3, 40), np.float32)).numpy() > 0 for layer in model.layers.values() for _ in range(2)]

    first, again, other = masks(0), masks(0), masks(1)
    for one, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, same)
    everything = [*first, *other]
    assert not any(np.array_equal(one, two) for place, one in enumerate(everything) for two in everything[:place])
    assert not (first[0][0] == first[0][1]).all()  # each sample has a mask of its own


class Draws(Module):
    """Holds layers that draw."""

    def __init__(self, layers: dict[str, Any]) -> None:
        super().__init__()
        self.layers = layers

    def call(self, x: Any) -> Any:
        for layer in self.layers.values():
            x = layer(x)
        return x


def test_dropout_of_equinox_rests_in_evaluation() -> None:
    layer = as_module(eqx.nn.Dropout(0.5))
    layer(ROWS)
    np.testing.assert_array_equal(layer.eval()(ROWS).numpy(), ROWS)
    assert int(layer.state_dict()["/draws"]) == 1
    assert as_module(eqx.nn.MLP(4, 3, 8, 1, key=jax.random.key(0))).build_from(ROWS).variables[-1].path != "/draws"


class Batched(eqx.Module):
    """Takes whole batches, channels last, and always wants a key."""

    scale: jax.Array

    def __call__(self, x: Any, factor: float, *, key: Any) -> Any:
        return x * self.scale * factor + 0 * jax.random.uniform(key, x.shape)


def test_how_an_equinox_module_is_called_can_be_said() -> None:
    model = NativeModule(Batched(jnp.ones(1)), per_sample=False, channels_first=False)
    np.testing.assert_array_equal(model(IMAGES, 2.0).numpy(), 2 * IMAGES)
    mapped = as_module(Batched(jnp.ones(8)))
    assert mapped(IMAGES, 2.0).shape == IMAGES.shape
    np.testing.assert_array_equal(mapped(ops.asarray(ROWS[:, :1]), factor=ops.asarray(3.0)).numpy(), 3 * ROWS[:, :1] * np.ones(8))


def test_an_equinox_module_whose_state_did_not_come_is_refused() -> None:
    native, _ = eqx.nn.make_with_state(Conv)(jax.random.key(0))
    with pytest.raises(BackendError, match=r"Conv has layers that keep state.*(?s:.)*NativeModule\(\*eqx.nn.make_with_state\(Conv\)"):
        as_module(native)(IMAGES)
    with pytest.raises(BackendError, match=r"NativeModule got per_sample=... with a Linear, and an nnx module takes batches"):
        NativeModule(nnx.Linear(2, 2, rngs=nnx.Rngs(0)), per_sample=True)(ROWS)


def test_modules_of_both_packages_and_ours_are_one_model() -> None:
    def make() -> Sequential:
        return Sequential(
            nnx.Linear(4, 6, rngs=nnx.Rngs(0)), FullyConnected(6, activation="relu"), eqx.nn.MLP(6, 2, 8, 1, key=jax.random.key(1)),
        )  # fmt: skip

    model, optimizer = make(), Adam(0.05)
    model(ROWS)
    step = make_step(model, optimizer)
    losses = [float(step(ROWS)) for _ in range(20)]
    assert losses[-1] < 0.1 * losses[0]
    other = make()
    other(ROWS)
    other.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(other(ROWS).numpy(), model(ROWS).numpy())
