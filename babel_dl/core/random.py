"""Randomness as a pure function: the same key gives the same numbers, on every backend and in every order of calls.

Host draws (initial values, sample order, augmentation) come from numpy's Philox, keyed by a hash of seed and names. Draws inside a step
(dropout, noise) come from a counter-based integer hash written in neutral ops, keyed by seed, path and a counter that is a variable.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from babel_dl import ops
from babel_dl.errors import ArgumentError
from babel_dl.ops.tensor import Tensor, TensorLike

DEFAULT_SEED = 0

_default_seed: list[int] = [DEFAULT_SEED]
_seed: ContextVar[int | None] = ContextVar("babel_dl_seed", default=None)


def set_seed(seed: int) -> None:
    """Sets the seed of everything that is made from now on: modules, loaders, trainers. Without a call it is 0.

    Args:
        seed: Any whole number.

    Raises:
        ArgumentError: The seed is not a whole number.
    """
    _default_seed[0] = _checked(seed)
    _seed.set(None)


@contextmanager
def use_seed(seed: int) -> Iterator[None]:
    """Sets the seed inside a `with` block; use it to make several models that start differently.

    Args:
        seed: Any whole number.

    Raises:
        ArgumentError: The seed is not a whole number.
    """
    token = _seed.set(_checked(seed))
    try:
        yield
    finally:
        _seed.reset(token)


def current_seed() -> int:
    """The seed in force."""
    seed = _seed.get()
    return _default_seed[0] if seed is None else seed


def _checked(seed: int) -> int:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise ArgumentError(f"A seed is a whole number, and {seed!r} came.")
    return int(seed)


def mix_key(*parts: str | int) -> int:
    """A 128-bit number from the parts. They are hashed, never added: neighbouring seeds give unrelated numbers.

    Args:
        parts: Words and whole numbers; the boundaries between them count.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(encoded_part(part))
    return int.from_bytes(digest.digest(), "little")


def encoded_part(part: str | int) -> bytes:
    """What `mix_key` hashes of one part: its length, its type and its text."""
    encoded = f"{type(part).__name__}:{part}".encode()
    return len(encoded).to_bytes(8, "little") + encoded


def host_generator(seed: int, *names: str | int) -> np.random.Generator:
    """A numpy generator whose draws depend on the seed and the names alone.

    Args:
        seed: The seed.
        names: What the draws are for: a stream's name, an epoch, an index.
    """
    return np.random.Generator(np.random.Philox(key=mix_key(int(seed), *names)))


def key_words(seed: int, *names: str | int) -> tuple[int, int]:
    """Two signed 32-bit words from the parts, the key of `random_bits`."""
    mixed = mix_key(int(seed), *names)
    words = np.array([mixed & 0xFFFFFFFF, (mixed >> 32) & 0xFFFFFFFF], dtype=np.uint32).view(np.int32)
    return int(words[0]), int(words[1])


def random_bits(key: tuple[int, int], counter: TensorLike, count: int) -> Tensor:
    """32 random bits for each of `count` places, a function of key, counter and place alone.

        base  = mix(mix(counter ^ key[0]) ^ key[1]);   bits[i] = mix(mix(i * odd + base) ^ mix(base ^ key[1]))

    `mix` is the finaliser of MurmurHash3: every bit of its input changes half of its output.

    Args:
        key: Two signed 32-bit words, from `key_words`.
        counter: int32, no axes; another value gives unrelated bits.
        count: How many places.

    Returns:
        int32 of shape (count,), all 32 bits random.
    """
    backend = counter.backend
    places = Tensor(backend.arange(0, count, 1, "int32"), backend)
    base = _mix(_mix(counter ^ key[0]) ^ key[1])
    return _mix(_mix(places * _ODD + base) ^ _mix(base ^ key[1]))


_ODD = -1640531535  # 2**32 / golden ratio, as a signed word: Weyl's step, which spreads neighbouring places


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _logical_shift(x, 16)) * -2048144789
    x = (x ^ _logical_shift(x, 13)) * -1028477387
    return x ^ _logical_shift(x, 16)


def _logical_shift(x: Tensor, bits: int) -> Tensor:
    return ops.bitwise_right_shift(x, bits) & ((1 << (32 - bits)) - 1)


def uniform_from_bits(bits: Tensor) -> Tensor:
    """float32 in [0, 1): the upper 24 bits over 2**24, exact on every backend."""
    return _logical_shift(bits, 8).astype("float32") * 2.0**-24


def normal_from_bits(bits: Tensor) -> Tensor:
    """Standard normal float32 values, half as many as there are bits. Source: Box and Muller 1958."""
    half, uniform = bits.shape[0] // 2, uniform_from_bits(bits)
    radius = ops.sqrt(-2.0 * ops.log1p(-uniform[:half]))
    return radius * ops.cos(2.0 * math.pi * uniform[half:])
