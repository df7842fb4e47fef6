"""How a variable starts: functions of a shape and a generator, by name or given. All draw on the host, so every backend starts alike.

Kernels are (*window, in, out): the fan in is window x in, the fan out window x out.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from babel_dl.errors import ArgumentError, did_you_mean

Initializer = Callable[[tuple[int, ...], np.random.Generator], np.ndarray]


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Fan in and fan out of a kernel of this shape."""
    if len(shape) < 2:
        size = math.prod(shape)
        return size, size
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


def zeros(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """All 0."""
    return np.zeros(shape, np.float32)


def ones(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """All 1."""
    return np.ones(shape, np.float32)


def glorot_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Uniform within sqrt(6 / (fan in + fan out)). Source: Glorot and Bengio 2010, eq. 16."""
    limit = math.sqrt(6.0 / max(1, sum(fans(shape))))
    return rng.uniform(-limit, limit, shape).astype(np.float32)


def glorot_normal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Normal with variance 2 / (fan in + fan out). Source: Glorot and Bengio 2010, eq. 12."""
    return (rng.standard_normal(shape) * math.sqrt(2.0 / max(1, sum(fans(shape))))).astype(np.float32)


def he_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Uniform within sqrt(6 / fan in). Source: He et al. 2015, eq. 10."""
    limit = math.sqrt(6.0 / max(1, fans(shape)[0]))
    return rng.uniform(-limit, limit, shape).astype(np.float32)


def he_normal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Normal with variance 2 / fan in. Source: He et al. 2015, eq. 10."""
    return (rng.standard_normal(shape) * math.sqrt(2.0 / max(1, fans(shape)[0]))).astype(np.float32)


def standard_normal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Normal with variance 1, as embeddings start in PyTorch."""
    return rng.standard_normal(shape).astype(np.float32)


INITIALIZERS: dict[str, Initializer] = {
    "zeros": zeros, "ones": ones, "glorot_uniform": glorot_uniform, "xavier_uniform": glorot_uniform, "glorot_normal": glorot_normal,
    "xavier_normal": glorot_normal, "he_uniform": he_uniform, "he_normal": he_normal, "normal": standard_normal,
}  # fmt: skip


def find_initializer(initializer: str | Initializer) -> Initializer:
    """The function of this name; a function is returned as it is.

    Raises:
        ArgumentError: There is no initializer of this name.
    """
    if callable(initializer):
        return initializer
    if initializer not in INITIALIZERS:
        raise ArgumentError(f"There is no initializer {initializer!r}.{did_you_mean(initializer, INITIALIZERS)}")
    return INITIALIZERS[initializer]
