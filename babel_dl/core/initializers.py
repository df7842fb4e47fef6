"""How a variable starts: functions of a shape and a generator, by name or given. All draw on the host, so every backend starts alike.

Kernels are (*window, in, out): the fan in is window x in, the fan out window x out. What has settings is a class whose instances are such
functions: `Conv2D(8, 3, initializer=Orthogonal(gain=2**0.5))`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from babel_dl.errors import ArgumentError, did_you_mean

Initializer = Callable[[tuple[int, ...], np.random.Generator], np.ndarray]

_FANS = ("fan_in", "fan_out", "fan_avg")
_DISTRIBUTIONS = ("uniform", "normal", "truncated_normal")
_STD_WITHIN_TWO = 0.8796256610342398
"""The standard deviation of a standard normal that is cut at 2."""


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


def lecun_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Uniform within sqrt(3 / fan in). Source: LeCun et al. 1998, eq. 16."""
    return VarianceScaling(1.0, "fan_in", "uniform")(shape, rng)


def lecun_normal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Normal with variance 1 / fan in, for SELU networks. Source: LeCun et al. 1998, eq. 16; Klambauer et al. 2017."""
    return VarianceScaling(1.0, "fan_in", "normal")(shape, rng)


def standard_normal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Normal with variance 1, as embeddings start in PyTorch."""
    return rng.standard_normal(shape).astype(np.float32)


@dataclass(frozen=True)
class Constant:
    """One value.

    Args:
        value: The value.
    """

    value: float

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """The values, float32."""
        return np.full(shape, self.value, np.float32)


@dataclass(frozen=True)
class Uniform:
    """Evenly spread in [low, high).

    Args:
        low: The smallest value.
        high: What no value reaches; above `low`.

    Raises:
        ArgumentError: `low` is not below `high`.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ArgumentError(f"Uniform needs low below high, and got {self.low} and {self.high}.")

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """The values, float32."""
        return rng.uniform(self.low, self.high, shape).astype(np.float32)


@dataclass(frozen=True)
class Normal:
    """Normal values.

    Args:
        std: The standard deviation; at least 0.
        mean: The mean.

    Raises:
        ArgumentError: `std` is below 0.
    """

    std: float = 1.0
    mean: float = 0.0

    def __post_init__(self) -> None:
        _check_std(self.std, "Normal")

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """The values, float32."""
        return (rng.standard_normal(shape) * self.std + self.mean).astype(np.float32)


@dataclass(frozen=True)
class TruncatedNormal:
    """Normal values, drawn anew where they lie further than `cut` times `std` from the mean.

    Args:
        std: The standard deviation before the cut; at least 0. With a cut at 2 that of the values is 0.88 times it.
        mean: The mean.
        cut: How many `std` a value may lie from the mean; at least 0.1.

    Raises:
        ArgumentError: `std` is below 0, or `cut` below 0.1.

    Source: torch.nn.init.trunc_normal_; keras.initializers.TruncatedNormal, which cuts at 2.
    """

    std: float = 1.0
    mean: float = 0.0
    cut: float = 2.0

    def __post_init__(self) -> None:
        _check_std(self.std, "TruncatedNormal")
        if not self.cut >= 0.1:
            raise ArgumentError(f"TruncatedNormal needs a cut of at least 0.1 standard deviations, and got {self.cut}.")

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """The values, float32."""
        values = rng.standard_normal(math.prod(shape))
        outside = np.flatnonzero(np.abs(values) > self.cut)
        while outside.size:
            values[outside] = rng.standard_normal(outside.size)
            outside = outside[np.abs(values[outside]) > self.cut]
        return (values * self.std + self.mean).reshape(shape).astype(np.float32)


@dataclass(frozen=True)
class VarianceScaling:
    """Values around 0 whose variance is `scale` over a fan: what the initializers of Glorot, He and LeCun have in common.

    Args:
        scale: The factor; above 0. For a gain that multiplies the values give its square.
        mode: "fan_in", "fan_out", or "fan_avg", the mean of both.
        distribution: "uniform", "normal", or "truncated_normal", which is cut at 2 standard deviations and made as wide again.

    Raises:
        ArgumentError: `scale` is not above 0, or a name is unknown.

    Example:
        >>> shape, rng = (3, 3, 64, 64), np.random.default_rng(0)
        >>> VarianceScaling(2.0, "fan_out")(shape, rng).shape  # how torchvision's ResNets start
        (3, 3, 64, 64)
        >>> float(abs(VarianceScaling(1 / 3, "fan_in", "uniform")(shape, rng)).max()) <= 1 / 576**0.5  # PyTorch's own layers
        True

    Source: keras.initializers.VarianceScaling; torch.nn.init, where "normal" is not cut.
    """

    scale: float = 1.0
    mode: str = "fan_in"
    distribution: str = "normal"

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise ArgumentError(f"VarianceScaling needs a scale above 0, and got {self.scale}.")
        if self.mode not in _FANS:
            raise ArgumentError(f"VarianceScaling has no mode {self.mode!r}.{did_you_mean(self.mode, _FANS)}")
        if self.distribution not in _DISTRIBUTIONS:
            raise ArgumentError(
                f"VarianceScaling has no distribution {self.distribution!r}.{did_you_mean(self.distribution, _DISTRIBUTIONS)}"
            )

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """The values, float32."""
        fan_in, fan_out = fans(shape)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, fan)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return rng.uniform(-limit, limit, shape).astype(np.float32)
        if self.distribution == "truncated_normal":
            return TruncatedNormal(math.sqrt(variance) / _STD_WITHIN_TWO)(shape, rng)
        return (rng.standard_normal(shape) * math.sqrt(variance)).astype(np.float32)


@dataclass(frozen=True)
class Orthogonal:
    """A matrix (window x in, out) whose rows or columns, whichever are fewer, are orthogonal and of length `gain`.

    Args:
        gain: Their length.

    Raises:
        ArgumentError: A variable has fewer than 2 axes.

    Source: Saxe et al. 2013; keras.initializers.Orthogonal. torch.nn.init.orthogonal_ does the same with the transposed matrix.
    """

    gain: float = 1.0

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """The values, float32."""
        _check_matrix(shape, "Orthogonal")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        drawn = rng.standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(drawn)
        q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)  # else some matrices would be drawn more often than others
        return (self.gain * (q if rows >= columns else q.T)).reshape(shape).astype(np.float32)


@dataclass(frozen=True)
class Identity:
    """A matrix with `gain` on the diagonal; for a kernel at the middle of its window, so that channels stay what they are.

    Args:
        gain: The diagonal.

    Raises:
        ArgumentError: A variable has fewer than 2 axes.

    Source: keras.initializers.Identity; torch.nn.init.eye_ and dirac_.
    """

    gain: float = 1.0

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """The values, float32."""
        _check_matrix(shape, "Identity")
        values = np.zeros(shape, np.float32)
        if values.size:
            values[tuple(size // 2 for size in shape[:-2])] = self.gain * np.eye(shape[-2], shape[-1])
        return values


def _check_std(std: float, who: str) -> None:
    if not std >= 0:
        raise ArgumentError(f"{who} needs a std of at least 0, and got {std}.")


def _check_matrix(shape: tuple[int, ...], who: str) -> None:
    if len(shape) < 2:
        raise ArgumentError(f"{who} makes matrices and kernels, with 2 axes or more, and got the shape {shape}. Use another for offsets.")


INITIALIZERS: dict[str, Initializer] = {
    "zeros": zeros, "ones": ones, "glorot_uniform": glorot_uniform, "xavier_uniform": glorot_uniform, "glorot_normal": glorot_normal,
    "xavier_normal": glorot_normal, "he_uniform": he_uniform, "kaiming_uniform": he_uniform, "he_normal": he_normal,
    "kaiming_normal": he_normal, "lecun_uniform": lecun_uniform, "lecun_normal": lecun_normal, "normal": standard_normal,
    "truncated_normal": TruncatedNormal(), "orthogonal": Orthogonal(), "identity": Identity(),
}  # fmt: skip


def find_initializer(initializer: Any) -> Initializer:
    """The function of this name; a function is returned as it is, and of a class an instance.

    Args:
        initializer: A name, a function of (shape, generator), or a class of such that needs no arguments.

    Raises:
        ArgumentError: There is no initializer of this name, it is none, or its class needs arguments.
    """
    found: Any = initializer
    if isinstance(initializer, type):
        try:
            found = initializer()
        except TypeError as error:
            raise ArgumentError(f"{initializer.__name__} needs arguments: initializer={initializer.__name__}(...).") from error
    if callable(found):
        return found  # type: ignore[return-value]
    if not isinstance(initializer, str):
        raise ArgumentError(f"An initializer is a name or a function of (shape, generator), and {initializer!r} is neither.")
    if initializer not in INITIALIZERS:
        raise ArgumentError(f"There is no initializer {initializer!r}.{did_you_mean(initializer, INITIALIZERS)}")
    return INITIALIZERS[initializer]
