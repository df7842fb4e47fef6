"""Dropout: the same mask on every backend, unrelated masks otherwise."""

import numpy as np
import pytest

from babel_dl import ops, use_backend, use_seed
from babel_dl.backend import Backend
from babel_dl.core import Module, Variable, value_and_grad
from babel_dl.core.random import key_words, random_bits
from babel_dl.errors import ArgumentError
from babel_dl.model.layers import Dropout, Sequential

ONES = np.ones((100, 200), np.float32)


def masks(layer: Module, count: int = 1) -> list[np.ndarray]:
    return [layer(ONES).numpy() != 0 for _ in range(count)]


def made(seed: int, rate: float = 0.5) -> Dropout:
    with use_seed(seed):
        return Dropout(rate)


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    return abs(float(np.corrcoef(x.ravel(), y.ravel())[0, 1]))


@pytest.mark.parametrize("rate", (0.0, 0.1, 0.5, 0.9))
def test_elements_are_dropped_at_the_rate_and_the_others_scaled(backend: Backend, rate: float) -> None:
    y = Dropout(rate)(ONES).numpy()
    assert abs((y == 0).mean() - rate) <= 4 * np.sqrt(rate * (1 - rate) / y.size)
    np.testing.assert_allclose(np.unique(y[y != 0]), [1 / (1 - rate)], rtol=1e-6)
    assert abs(y.mean() - 1) <= 4 * np.sqrt(rate / (1 - rate) / y.size)


@pytest.mark.parametrize("step", (0, 1, 2))
def test_the_mask_is_bit_identical_on_every_backend(backend: Backend, backend_names: tuple[str, ...], step: int) -> None:
    mine = masks(made(7), step + 1)[step]
    for name in backend_names:
        with use_backend(name):
            np.testing.assert_array_equal(masks(made(7), step + 1)[step], mine)


def test_the_mask_follows_from_seed_path_and_step_by_the_documented_formula(backend: Backend) -> None:
    layer = made(7, 0.25)
    for step in range(2):
        bits = random_bits(key_words(7, "stream", "/random"), ops.asarray(step), ONES.size).numpy().reshape(ONES.shape)
        np.testing.assert_array_equal(layer(ONES).numpy() != 0, (bits >> 8) < 0.75 * 2**24 - 2**23)


def test_masks_of_steps_paths_and_seeds_are_unrelated(backend: Backend) -> None:
    class Two(Module):
        def __init__(self) -> None:
            self.a, self.b = Dropout(0.5), Dropout(0.5)

        def call(self, x: object) -> object:
            return ops.stack([self.a(x), self.b(x)])

    found = []
    for seed in (42, 43):
        with use_seed(seed):
            model = Two()
        for _ in range(3):
            found.extend(model(ONES).numpy() != 0)
    assert len(found) == 12
    for i, one in enumerate(found):
        for other in found[:i]:
            assert correlation(one, other) < 4 / np.sqrt(one.size)


def test_rows_and_columns_of_a_mask_are_unrelated(backend: Backend) -> None:
    (mask,) = masks(made(3))
    assert correlation(mask[1:], mask[:-1]) < 4 / np.sqrt(mask[1:].size)
    assert correlation(mask[:, 1:], mask[:, :-1]) < 4 / np.sqrt(mask[:, 1:].size)


def test_the_next_step_of_a_seed_is_not_the_next_seed(backend: Backend) -> None:
    """Keras on torch: `Dropout(seed=42)` at step k + 1 equals `Dropout(seed=43)` at step k."""
    one, other = masks(made(42), 3), masks(made(43), 3)
    for k in range(2):
        assert not np.array_equal(one[k + 1], other[k])


def test_a_larger_batch_keeps_the_same_first_rows(backend: Backend) -> None:
    np.testing.assert_array_equal(Dropout(0.5)(ONES[:10]).numpy(), Dropout(0.5)(ONES).numpy()[:10])


def test_evaluation_is_the_identity_and_draws_nothing(backend: Backend) -> None:
    layer = Dropout(0.5)
    layer(ONES)
    x = ops.asarray(ONES)
    assert layer.eval()(x) is x
    assert layer.random.counter.item() == 1
    layer.train()(x)
    assert layer.random.counter.item() == 2


def test_the_gradient_goes_through_the_kept_elements_alone(backend: Backend) -> None:
    layer, x = Dropout(0.75), Variable(ONES)
    value, (gradient,) = value_and_grad(lambda: ops.sum(layer(x)), x)
    np.testing.assert_allclose(gradient.numpy().sum(), value.item(), rtol=1e-5)
    assert set(np.unique(gradient.numpy()).tolist()) == {0.0, 4.0}


def test_saved_counters_continue_the_sequence(backend: Backend) -> None:
    model, resumed = Sequential(Dropout(0.5)), Sequential(Dropout(0.5))
    masks(model, 3)
    masks(resumed, 1)
    assert list(model.state_dict()) == ["/layers/0/random/counter"]
    resumed.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(masks(resumed)[0], masks(model)[0])


def test_half_precision_stays(backend: Backend) -> None:
    y = Dropout(0.5)(ops.ones((10, 10), "float16"))
    assert (y.dtype, sorted(np.unique(y.numpy()).tolist())) == ("float16", [0.0, 2.0])


@pytest.mark.parametrize("rate", (-0.1, 1.0, 1.5, float("nan")))
def test_a_rate_is_a_probability_below_one(rate: float) -> None:
    with pytest.raises(ArgumentError, match=f"Dropout needs a rate from 0 to below 1, and got {rate}"):
        Dropout(rate)
