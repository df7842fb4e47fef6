"""The random numbers of the samples of a batch, all at once: the bits that each sample's own generator would give.

    generator of a sample  = host_generator(seed, "augmentation", epoch, sample index), a Philox4x64-10
    its words              = philox(key = hash of seed, epoch and index;  counter = 1, 2, ...), four at a time

Philox has no state but its counter, so the words of many samples are computed side by side, whatever batch they stand in.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

from babel_dl.core.random import encoded_part, host_generator

STREAM = "augmentation"
WORDS_OF_BLOCK = 4
_BLOCKS_AT_ONCE = 64  # computed at least, over all samples: up to here more of them cost little, and another call costs the same again

# Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3", section 4.3: multipliers and key steps of Philox4x64
_MULTIPLIERS = np.array([0xD2E7470EE14C6C93, 0xCA5A826395121157], np.uint64).reshape(2, 1, 1)
_STEPS = np.array([0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B], np.uint64).reshape(2, 1, 1)
_ROUNDS = 10
_HALF, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)
_LOW_FACTORS, _HIGH_FACTORS = _MULTIPLIERS & _LOW, _MULTIPLIERS >> _HALF


class SampleStreams:
    """The random numbers of several samples. Transformers draw from it one after the other, as from the generator of one sample.

    Args:
        seed: The seed.
        epoch: The epoch, from 0.
        indices: The sample indices.

    Example:
        >>> streams = SampleStreams(seed=0, epoch=3, indices=np.array([5, 9]))
        >>> streams.random(2).shape
        (2, 2)
        >>> bool((SampleStreams(0, 3, np.array([9])).random(2) == SampleStreams(0, 3, np.array([5, 9])).random(2)[1:]).all())
        True
    """

    def __init__(self, seed: int, epoch: int, indices: np.ndarray) -> None:
        self._seed, self._epoch, self._indices = seed, epoch, indices
        self._generators: Sequence[np.random.Generator] | None = None
        self._keys: np.ndarray | None = None
        self._words = np.empty((len(indices), 0), np.uint64)  # computed and not yet drawn
        self._num_drawn = 0

    @classmethod
    def over(cls, generators: Sequence[np.random.Generator]) -> "SampleStreams":
        """The numbers that some generators give, one generator for each sample.

        Args:
            generators: They move on with each draw.
        """
        streams = cls(0, 0, np.empty(0, np.int64))
        streams._generators = generators
        return streams

    def random(self, count: int) -> np.ndarray:
        """The next numbers of each sample, evenly spread in [0, 1).

        Args:
            count: How many for each sample.

        Returns:
            float64 of shape (samples, count); row i has the bits of `random(count)` of the sample's own generator.
        """
        if self._generators is not None:
            return np.array([generator.random(count) for generator in self._generators]).reshape(-1, count)
        return (self._next_words(count) >> np.uint64(11)) * 2.0**-53

    def generators(self) -> Sequence[np.random.Generator]:
        """A generator for each sample, which goes on where the stream stands, and which later draws move on."""
        if self._generators is None:
            self._generators = [host_generator(self._seed, STREAM, self._epoch, index) for index in self._indices.tolist()]
            if self._num_drawn:
                for generator in self._generators:
                    generator.bit_generator.random_raw(self._num_drawn, output=False)
        return self._generators

    def _next_words(self, count: int) -> np.ndarray:
        missing = count - self._words.shape[1]
        if missing > 0:
            if self._keys is None:
                self._keys = sample_keys(self._seed, self._epoch, self._indices)
            first = (self._num_drawn + self._words.shape[1]) // WORDS_OF_BLOCK
            fresh = philox_words(self._keys, first, max(_BLOCKS_AT_ONCE // max(1, len(self._indices)), -(-missing // WORDS_OF_BLOCK)))
            self._words = np.concatenate([self._words, fresh], axis=1) if self._words.size else fresh
        drawn, self._words = self._words[:, :count], self._words[:, count:]
        self._num_drawn += count
        return drawn


def sample_keys(seed: int, epoch: int, indices: np.ndarray) -> np.ndarray:
    """The Philox keys of the generators of some samples; the same as `host_generator` makes, and many times faster.

    Args:
        seed: The seed.
        epoch: The epoch.
        indices: Sample indices, whole numbers.

    Returns:
        uint64 of shape (2, samples).
    """
    common = hashlib.blake2b(digest_size=16)
    for part in (int(seed), STREAM, int(epoch)):
        common.update(encoded_part(part))
    digests = []
    for index in indices.tolist():  # numpy has no such hash; written in its operations it would be slower than this loop
        digest = common.copy()
        digest.update(encoded_part(index))
        digests.append(digest.digest())
    return np.frombuffer(b"".join(digests), "<u8").reshape(-1, 2).T.astype(np.uint64)


def philox_words(keys: np.ndarray, first_block: int, num_blocks: int) -> np.ndarray:
    """Words of Philox4x64-10, in the order in which numpy's Philox gives them.

    Args:
        keys: uint64 of shape (2, samples).
        first_block: How many blocks of four words to leave out.
        num_blocks: How many blocks to compute.

    Returns:
        uint64 of shape (samples, 4 * num_blocks).
    """
    keys = np.repeat(keys[:, :, None], num_blocks, axis=2)
    even, odd = np.zeros_like(keys), np.zeros_like(keys)  # words 0 and 2, words 1 and 3 of each block
    even[0] = np.arange(first_block + 1, first_block + num_blocks + 1, dtype=np.uint64)  # numpy counts up before its first block
    for number in range(_ROUNDS):
        if number:
            keys += _STEPS
        low, high = even * _MULTIPLIERS, _high_product(even)
        even = high[::-1] ^ odd
        even ^= keys
        odd = low[::-1]
    return np.stack([even[0], odd[0], even[1], odd[1]], axis=-1).reshape(keys.shape[1], -1)


def _high_product(words: np.ndarray) -> np.ndarray:
    """The upper 64 of the 128 bits of words * multipliers, by long multiplication of their halves."""
    low, high = words & _LOW, words >> _HALF
    middle = high * _LOW_FACTORS
    middle += (low * _LOW_FACTORS) >> _HALF
    other = low * _HIGH_FACTORS
    other += middle & _LOW
    result = high * _HIGH_FACTORS
    result += middle >> _HALF
    other >>= _HALF
    result += other
    return result
