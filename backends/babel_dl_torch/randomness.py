"""The rule `random_bits` in place, on few temporary tensors; the neutral rule makes some forty small ones."""

from functools import lru_cache

import torch
from torch import Tensor

from babel_dl_torch.tracing import is_tracing

WORD = 0xFFFFFFFF
ODD = 0x9E3779B1
ROUNDS = ((16, 0x85EBCA6B), (13, 0xC2B2AE35))
"""Of the finaliser of MurmurHash3: by how much the word is shifted, and what it is multiplied by."""

KEPT = 1 << 16
"""Up to how many places their multiples of `ODD` are kept for the next draw; more would hold memory, and gain little."""


def random_bits(key: tuple[int, int], counter: Tensor, count: int) -> Tensor:
    """The rule `random_bits` of `babel_dl.backend.contract.KERNELS`."""
    first, second = key
    if counter.is_cpu and not is_tracing():  # the counter can be read without waiting: what depends on it alone is done in Python
        base = _mix_word(_mix_word(int(counter) ^ first) ^ second)
        bits = (_kept_multiples if count <= KEPT else _multiples)(count) + _signed(base)
        return _mix(_mix(bits).bitwise_xor_(_signed(_mix_word(base ^ second))))
    start = _mix(_mix(counter ^ first).bitwise_xor_(second))
    bits = _multiples(count, counter.device).add_(start)
    return _mix(_mix(bits).bitwise_xor_(_mix(start ^ second)))


def _multiples(count: int, device: torch.device | str = "cpu") -> Tensor:
    return torch.arange(count, dtype=torch.int32, device=device).mul_(_signed(ODD))


_kept_multiples = lru_cache(maxsize=16)(_multiples)


def _mix(x: Tensor) -> Tensor:
    """The finaliser, in the place of its argument. int32 wraps around; its shift drags the sign along, which is masked away."""
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
