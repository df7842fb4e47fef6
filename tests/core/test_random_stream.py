"""Random draws inside a step."""

import numpy as np
import pytest

from babel_dl import ops, use_backend
from babel_dl.backend import Backend
from babel_dl.core import Module, RandomStream, compile, use_seed
from babel_dl.core.random import key_words, random_bits, uniform_from_bits
from babel_dl.errors import ArgumentError


def test_a_stream_counts_its_draws_and_nothing_else(backend: Backend) -> None:
    stream = RandomStream()
    draws = [stream(16).numpy() for _ in range(3)]
    assert {path: value.item() for path, value in stream.state_dict().items()} == {"/counter": 3}
    assert stream.trainable_variables == []
    for counter, bits in enumerate(draws):
        wanted = random_bits(key_words(0, "stream", ""), ops.asarray(counter), 16).numpy()
        np.testing.assert_array_equal(bits, wanted)


def test_a_stream_goes_on_where_its_counter_stands(backend: Backend) -> None:
    stream, resumed = RandomStream(), RandomStream()
    draws = [stream.uniform((4,)).numpy() for _ in range(5)]
    resumed.uniform((4,))
    resumed.counter.assign(3)
    np.testing.assert_array_equal(resumed.uniform((4,)).numpy(), draws[3])
    np.testing.assert_array_equal(resumed.uniform((4,)).numpy(), draws[4])


def test_draws_depend_on_seed_and_path(backend: Backend) -> None:
    class Two(Module):
        def __init__(self) -> None:
            self.a, self.b = RandomStream(), RandomStream()

        def call(self, x: object) -> object:
            return ops.stack([self.a.uniform((64,)), self.b.uniform((64,))])

    def run(seed: int) -> np.ndarray:
        with use_seed(seed):
            return Two()(ops.ones(1)).numpy()

    first, again, other = run(1), run(1), run(2)
    np.testing.assert_array_equal(first, again)
    assert len(np.unique(np.concatenate([first, other]))) == 256


def test_the_draws_are_the_same_on_every_backend(backend: Backend, backend_names: tuple[str, ...]) -> None:
    def draws() -> tuple[np.ndarray, ...]:
        stream = RandomStream()
        return stream.uniform((100,)).numpy(), stream.bernoulli((100,), 0.3).numpy(), stream.normal((100,)).numpy()

    mine = draws()
    for name in backend_names:
        with use_backend(name):
            others = draws()
        np.testing.assert_array_equal(mine[0], others[0])
        np.testing.assert_array_equal(mine[1], others[1])
        np.testing.assert_allclose(mine[2], others[2], rtol=2e-5, atol=2e-6)


def test_a_compiled_stream_draws_what_an_eager_one_draws(backend: Backend) -> None:
    stream, eager = RandomStream(), RandomStream()
    compiled = compile(lambda: stream.uniform((3, 4)))
    for _ in range(3):
        np.testing.assert_array_equal(compiled().numpy(), eager.uniform((3, 4)).numpy())
    assert stream.counter.item() == 3


def test_uniform_values_fill_their_range(backend: Backend) -> None:
    stream = RandomStream()
    values = stream.uniform((50, 200), -3.0, 5.0).numpy()
    assert (values.shape, values.dtype) == ((50, 200), np.float32)
    assert -3.0 <= values.min() < -2.99 and 4.99 < values.max() < 5.0
    assert abs(values.mean() - 1.0) < 4 * 8 / np.sqrt(12 * values.size)
    np.testing.assert_array_equal(RandomStream().uniform((10_000,)).numpy() * 8 - 3, values.ravel())


def test_normal_values_have_mean_and_deviation(backend: Backend) -> None:
    values = RandomStream().normal((101, 99), mean=2.0, std=3.0).numpy()
    assert values.shape == (101, 99)
    assert abs(values.mean() - 2.0) < 4 * 3 / np.sqrt(values.size)
    assert abs(values.std() - 3.0) < 4 * 3 / np.sqrt(2 * values.size)


@pytest.mark.parametrize("probability", (0.0, 0.1, 0.5, 0.9, 1.0))
def test_bernoulli_is_true_with_its_probability(backend: Backend, probability: float) -> None:
    stream = RandomStream()
    values = stream.bernoulli((100, 100), probability).numpy()
    assert values.dtype == np.bool_
    assert abs(values.mean() - probability) <= 4 * np.sqrt(probability * (1 - probability) / values.size)


def test_bernoulli_compares_the_upper_bits_as_signed_numbers(backend: Backend) -> None:
    """So that no float is rounded: true where the upper 24 bits, taken as signed, lie below probability * 2**24 - 2**23."""
    bits = random_bits(key_words(0, "stream", ""), ops.asarray(0), 1000).numpy()
    np.testing.assert_array_equal(RandomStream().bernoulli((1000,), 0.25).numpy(), (bits >> 8) < 0.25 * 2**24 - 2**23)


def test_empty_and_scalar_draws(backend: Backend) -> None:
    stream = RandomStream()
    assert (stream.uniform((0, 3)).shape, stream.normal(()).shape, stream.bernoulli((), 0.5).shape) == ((0, 3), (), ())


@pytest.mark.parametrize("probability", (-0.1, 1.1, float("nan")))
def test_a_probability_lies_between_0_and_1(backend: Backend, probability: float) -> None:
    with pytest.raises(ArgumentError, match=f"A probability is between 0 and 1, and {probability} came"):
        RandomStream().bernoulli((2,), probability)


@pytest.mark.parametrize("bounds", [(1.0, 1.0), (2.0, 1.0), (0.0, float("nan"))])
def test_uniform_needs_a_range(backend: Backend, bounds: tuple[float, float]) -> None:
    with pytest.raises(ArgumentError, match=f"uniform needs low < high, and got {bounds[0]} and {bounds[1]}"):
        RandomStream().uniform((2,), *bounds)


def test_values_come_from_the_bits(backend: Backend) -> None:
    stream, twin = RandomStream(), RandomStream()
    np.testing.assert_array_equal(stream.uniform((5,)).numpy(), uniform_from_bits(twin(5)).numpy())
