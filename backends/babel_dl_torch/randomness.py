"""The rule `random_bits` in place, on few temporary arrays; the neutral rule makes some forty small tensors."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from babel_dl_torch.tracing import is_tracing

WORD = 0xFFFFFFFF
SIGN = 0x80000000
ODD = 0x9E3779B1
ROUNDS = ((16, 0x85EBCA6B), (13, 0xC2B2AE35))
"""Of the finaliser of MurmurHash3: by how much the word is shifted, and what it is multiplied by."""

SMALL = 1 << 16
"""Up to how many places numpy is quicker: its calls are cheaper, and its words have no sign. Beyond it PyTorch's threads win."""


def random_bits(key: tuple[int, int], counter: Tensor, count: int) -> Tensor:
    """The rule `random_bits` of `babel_dl.backend.contract.KERNELS`."""
    first, second = key
    if is_tracing():
        return _traced(first & WORD, second & WORD, counter.long() & WORD, count)
    if counter.is_cpu:  # the counter can be read without waiting: what depends on it alone is done in Python
        base = _mix_word(_mix_word(int(counter) ^ first) ^ second)
        last = _mix_word(base ^ second)
        if count <= SMALL:
            return _small(count, base, last)
        return _mix(_mix(_multiples(count).add_(_signed(base))).bitwise_xor_(_signed(last)))
    start = _mix(_mix(counter ^ first).bitwise_xor_(second))
    bits = _multiples(count, counter.device).add_(start)
    return _mix(_mix(bits).bitwise_xor_(_mix(start ^ second)))


def _traced(first: int, second: int, counter: Tensor, count: int) -> Tensor:
    """In int64, where no product is too large: in the C++ that a compiler writes, what overflows means nothing (seen with GCC 12)."""
    base = _mix_wide(_mix_wide(counter ^ first) ^ second)
    places = torch.arange(count, dtype=torch.int64, device=counter.device)
    bits = _mix_wide(_mix_wide(_times(places, ODD) + base & WORD) ^ _mix_wide(base ^ second))
    return ((bits ^ SIGN) - SIGN).to(torch.int32)


def _mix_wide(x: Tensor) -> Tensor:
    for bits, factor in ROUNDS:
        x = _times(x ^ x >> bits, factor)
    return x ^ x >> 16


def _times(x: Tensor, factor: int) -> Tensor:
    """The low word of a product of two words."""
    return x * (factor & 0xFFFF) + ((x * (factor >> 16) & 0xFFFF) << 16) & WORD


def _small(count: int, base: int, last: int) -> Tensor:
    words = _words(count) + np.uint32(base)
    room = np.empty_like(words)
    _mix_words(words, room)
    np.bitwise_xor(words, np.uint32(last), out=words)
    _mix_words(words, room)
    return torch.from_numpy(words.view(np.int32))


@lru_cache(maxsize=16)
def _words(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.uint32) * np.uint32(ODD)


def _mix_words(x: np.ndarray, room: np.ndarray) -> None:
    """The finaliser, in the place of its argument."""
    for bits, factor in ROUNDS:
        np.right_shift(x, np.uint32(bits), out=room)
        np.bitwise_xor(x, room, out=x)
        np.multiply(x, np.uint32(factor), out=x)
    np.right_shift(x, np.uint32(16), out=room)
    np.bitwise_xor(x, room, out=x)


def _multiples(count: int, device: torch.device | str = "cpu") -> Tensor:
    return torch.arange(count, dtype=torch.int32, device=device).mul_(_signed(ODD))


def _mix(x: Tensor) -> Tensor:
    """The same on tensors. int32 wraps around; its shift drags the sign along, which is masked away."""
    for bits, factor in ROUNDS:
        x.bitwise_xor_((x >> bits).bitwise_and_(WORD >> bits)).mul_(_signed(factor))
    return x.bitwise_xor_((x >> 16).bitwise_and_(WORD >> 16))


def _mix_word(x: int) -> int:
    """The same for one number; from 0 to below 2**32."""
    x &= WORD
    for bits, factor in ROUNDS:
        x = (x ^ x >> bits) * factor & WORD
    return x ^ x >> 16


def _signed(word: int) -> int:
    return word - (1 << 32) if word >> 31 else word
