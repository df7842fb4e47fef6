"""Random draws inside a step: the same bits on every backend, compiled or not, after a resume too."""

from __future__ import annotations

import math

from babel_dl import ops
from babel_dl.core.module import Module
from babel_dl.core.random import key_words, normal_from_bits, random_bits, uniform_from_bits
from babel_dl.errors import ArgumentError
from babel_dl.ops.dispatch import wrap
from babel_dl.ops.tensor import Tensor


class RandomStream(Module):
    """A source of random numbers that depend on seed, path and the number of draws so far, and on nothing else.

    Keep one in an attribute of a module. Its only state is a counter, which checkpoints store like any variable.

    Example:
        >>> stream = RandomStream()
        >>> stream.uniform((2, 3)).shape
        (2, 3)
    """

    def build(self, *args: object) -> None:
        """Makes the counter."""
        self.counter = self.variable("counter", (), "zeros", trainable=False, dtype="int32")
        self.key = key_words(self.seed, "stream", self.path)

    def call(self, count: int) -> Tensor:
        """The next `count` words of 32 random bits, int32."""
        counter = self.counter.value
        kernel = counter.backend.kernels.get("random_bits")
        if kernel is not None:
            bits = wrap(kernel(self.key, counter.native, count), counter.backend)
        else:
            bits = random_bits(self.key, counter, count)
        self.counter.assign(counter + 1)
        return bits

    def uniform(self, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0) -> Tensor:
        """float32 values, evenly spread in [low, high).

        Raises:
            ArgumentError: `low` is not below `high`.
        """
        if not low < high:
            raise ArgumentError(f"uniform needs low < high, and got {low} and {high}.")
        values = uniform_from_bits(self(math.prod(shape)))
        scaled = values if (low, high) == (0.0, 1.0) else values * (high - low) + low
        return scaled.reshape(shape)

    def normal(self, shape: tuple[int, ...], mean: float = 0.0, std: float = 1.0) -> Tensor:
        """Normal float32 values."""
        count = math.prod(shape)
        values = normal_from_bits(self(2 * count))
        return (values if (mean, std) == (0.0, 1.0) else values * std + mean).reshape(shape)

    def bernoulli(self, shape: tuple[int, ...], probability: float) -> Tensor:
        """bool, true with a probability; compared as whole numbers, so exact on every backend.

        Raises:
            ArgumentError: The probability is not in [0, 1].
        """
        if not 0.0 <= probability <= 1.0:
            raise ArgumentError(f"A probability is between 0 and 1, and {probability} came.")
        bits = self(math.prod(shape))
        return (ops.bitwise_right_shift(bits, 8) < round(probability * 2**24) - 2**23).reshape(shape)
