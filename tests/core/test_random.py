"""Randomness as a pure function of a key. The judges are written out here in numpy, apart from the library's code."""

import hashlib

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.core import compile, current_seed, host_generator, use_seed
from babel_dl.core.random import key_words, mix_key, normal_from_bits, random_bits, uniform_from_bits

KEY = (123456789, -987654321)

GOLDEN_BITS = [-224560969, -1828006428, -2073180795, -122537505, -861455684, 1230691441]
"""The first bits of KEY at counter 3, computed once by `judge_bits` below in numpy's unsigned arithmetic."""

GOLDEN_WORDS = (686021956, 1225890148)
"""`key_words(7, "stream", "/dropout/random")`, computed once by `judge_key` below."""


def judge_key(*parts: object) -> int:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        text = f"{type(part).__name__}:{part}".encode()
        digest.update(len(text).to_bytes(8, "little") + text)
    return int.from_bytes(digest.digest(), "little")


def judge_mix(x: np.ndarray) -> np.ndarray:
    """The finaliser of MurmurHash3 (Appleby 2011), in unsigned 32-bit words."""
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return x ^ (x >> np.uint32(16))


def judge_bits(key: tuple[int, int], counter: int, count: int) -> np.ndarray:
    first, second, step = np.array([*key, counter], np.int32).view(np.uint32)[:, None]
    base = judge_mix(judge_mix(step ^ first) ^ second)
    places = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B1)
    return judge_mix(judge_mix(places + base) ^ judge_mix(base ^ second)).view(np.int32)


def draw(key: tuple[int, int], counter: int, count: int) -> np.ndarray:
    return random_bits(key, ops.asarray(counter, "int32"), count).numpy()


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    return abs(float(np.corrcoef(x.astype(np.float64), y.astype(np.float64))[0, 1]))


@pytest.mark.parametrize("counter", (0, 1, 3, 2**31 - 1, -5))
@pytest.mark.parametrize("key", (KEY, (0, 0), (-1, 2**31 - 1)))
def test_the_bits_are_those_of_numpy(backend: Backend, key: tuple[int, int], counter: int) -> None:
    bits = draw(key, counter, 1000)
    assert bits.dtype == np.int32
    np.testing.assert_array_equal(bits, judge_bits(key, counter, 1000))


def test_the_bits_never_change(backend: Backend) -> None:
    assert draw(KEY, 3, 6).tolist() == GOLDEN_BITS


def test_a_compiled_function_draws_the_same_bits(backend: Backend) -> None:
    compiled = compile(lambda counter: random_bits(KEY, counter, 100))
    np.testing.assert_array_equal(compiled(ops.asarray(3)).numpy(), judge_bits(KEY, 3, 100))


def test_a_longer_draw_begins_like_a_shorter_one(backend: Backend) -> None:
    np.testing.assert_array_equal(draw(KEY, 5, 10), draw(KEY, 5, 1000)[:10])
    assert draw(KEY, 5, 0).shape == (0,)


def test_uniform_values_are_the_upper_bits(backend: Backend) -> None:
    values = uniform_from_bits(ops.asarray(judge_bits(KEY, 0, 1000))).numpy()
    np.testing.assert_array_equal(values, (judge_bits(KEY, 0, 1000).view(np.uint32) >> 8).astype(np.float32) * np.float32(2.0**-24))
    edges = uniform_from_bits(ops.asarray(np.array([0, -1, 255, -(2**31)], np.int32))).numpy()
    np.testing.assert_array_equal(edges, np.array([0.0, 1 - 2.0**-24, 0.0, 0.5], np.float32))


def test_normal_values_are_box_and_mullers(backend: Backend) -> None:
    bits = judge_bits(KEY, 0, 2000)
    uniform = (bits.view(np.uint32) >> 8) * 2.0**-24
    wanted = np.sqrt(-2 * np.log1p(-uniform[:1000])) * np.cos(2 * np.pi * uniform[1000:])
    np.testing.assert_allclose(normal_from_bits(ops.asarray(bits)).numpy(), wanted, rtol=2e-5, atol=2e-6)


def test_the_bits_are_random(backend: Backend) -> None:
    n = 100_000
    bits = draw(KEY, 0, n).view(np.uint32)
    uniform = (bits >> 8) * 2.0**-24
    assert abs(uniform.mean() - 0.5) < 4 * np.sqrt(1 / 12 / n)
    assert abs(uniform.var() - 1 / 12) < 4 * np.sqrt(1 / 180 / n)
    counts, _ = np.histogram(uniform, 100, (0, 1))
    assert ((counts - n / 100) ** 2 / (n / 100)).sum() < 99 + 4 * np.sqrt(2 * 99), "chi-squared over 100 bins"
    shares = [((bits >> np.uint32(place)) & np.uint32(1)).mean() for place in range(32)]
    assert max(abs(share - 0.5) for share in shares) < 5 / (2 * np.sqrt(n))
    for distance in (1, 2, 7, 64):
        assert correlation(uniform[:-distance], uniform[distance:]) < 4 / np.sqrt(n)
    normal = normal_from_bits(ops.asarray(bits.view(np.int32))).numpy().astype(np.float64)
    assert abs(normal.mean()) < 4 / np.sqrt(len(normal))
    assert abs(normal.var() - 1) < 4 * np.sqrt(2 / len(normal))
    assert abs((normal**4).mean() - 3) < 4 * np.sqrt(96 / len(normal))


def test_neighbouring_steps_seeds_and_paths_are_unrelated(backend: Backend) -> None:
    n = 20_000
    keys = [key_words(seed, "stream", path) for seed in (42, 43) for path in ("/a", "/b")]
    draws = [draw(key, counter, n) for key in keys for counter in (0, 1, 2)]
    for i, one in enumerate(draws):
        for other in draws[:i]:
            assert correlation(one, other) < 4.5 / np.sqrt(n)
            assert len(np.intersect1d(one, other)) < 20, "20,000 of 2**32 words share 0.1 by chance"


def test_the_next_step_of_a_seed_is_not_the_next_seed(backend: Backend) -> None:
    """Keras on torch adds seed and counter: `Dropout(seed=42)` at step k + 1 equals `Dropout(seed=43)` at step k."""
    for step in range(4):
        one, other = draw(key_words(42, "stream", ""), step + 1, 64), draw(key_words(43, "stream", ""), step, 64)
        assert not np.intersect1d(one, other).size


def test_a_key_is_a_hash_of_its_parts_and_their_boundaries() -> None:
    assert mix_key("a", 1) == judge_key("a", 1)
    parts = [("ab", "c"), ("a", "bc"), ("abc",), ("a", 1), ("a", "1"), ("a1",), (1, 2), (12,), (2, 1), ("", "a"), ("a", "")]
    assert len({mix_key(*part) for part in parts}) == len(parts)


def test_key_words_are_the_lower_words_and_never_change() -> None:
    mixed = judge_key(7, "stream", "/dropout/random")
    words = np.array([mixed & 0xFFFFFFFF, (mixed >> 32) & 0xFFFFFFFF], np.uint32).view(np.int32)
    assert key_words(7, "stream", "/dropout/random") == tuple(words.tolist()) == GOLDEN_WORDS


def test_host_draws_are_numpys_philox_keyed_by_seed_and_names() -> None:
    wanted = np.random.Generator(np.random.Philox(key=judge_key(7, "order", 3))).permutation(100)
    np.testing.assert_array_equal(host_generator(7, "order", 3).permutation(100), wanted)
    np.testing.assert_array_equal(host_generator(np.int64(7), "order", 3).permutation(100), wanted)
    assert not np.array_equal(host_generator(7, "order", 4).permutation(100), wanted)


def test_a_seed_holds_inside_its_block() -> None:
    outside = current_seed()
    with use_seed(5):
        assert current_seed() == 5
        with use_seed(-(2**70)):
            assert current_seed() == -(2**70)
        assert current_seed() == 5
    assert current_seed() == outside == 0
