"""Transformers that compute the same result every time; they may stand before or after the cache."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from babel_dl.data.fields import check_names, replace_fields
from babel_dl.data.transformer import Sample, Transformer, is_random, name_of
from babel_dl.errors import ArgumentError


class AsType(Transformer):
    """Changes the element type of fields.

    Args:
        dtype: Name of the new type: `"float32"`, `"uint8"`, ...
        fields: The fields that change, of the input or of the output.

    Raises:
        ArgumentError: There is no such type, or no field is named.
    """

    def __init__(self, dtype: str, fields: Sequence[str] = ("image",)) -> None:
        try:
            self.dtype = np.dtype(dtype)
        except TypeError as error:
            raise ArgumentError(f"AsType: numpy has no element type {dtype!r}. Take one such as 'float32', 'int64', 'uint8'.") from error
        self.fields = check_names(fields, "AsType")

    def __call__(self, inp: Any, outp: Any) -> Sample:
        """The sample with converted fields.

        Args:
            inp: Named tuple with the input.
            outp: Named tuple with the output.

        Raises:
            ArgumentError: Neither named tuple has a field of `fields`.
        """
        return replace_fields(inp, outp, self.fields, lambda value: np.asarray(value).astype(self.dtype), "AsType")

    @property
    def version(self) -> str:
        """All settings."""
        return f"AsType({self.dtype.name}, fields={self.fields})"


class Normalize(Transformer):
    """Shifts and scales fields to float32.

        y = (x - mean) / std

    Args:
        mean: One number, or one for each channel, in the unit of the field.
        std: One number above 0, or one for each channel, in the unit of the field.
        fields: The fields that change, of the input or of the output.

    Shapes:
        each field: (..., channels); unchanged.

    Raises:
        ArgumentError: A `std` is not above 0, or no field is named.

    Source: torchvision.transforms.Normalize, with channels last and without the division by 255.
    """

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float], fields: Sequence[str] = ("image",)) -> None:
        self.mean, self.std = np.asarray(mean, "float32"), np.asarray(std, "float32")
        if not np.all(self.std > 0):
            raise ArgumentError(f"Normalize: std is {self.std.tolist()}, and must be above 0.")
        self.fields = check_names(fields, "Normalize")

    def __call__(self, inp: Any, outp: Any) -> Sample:
        """The sample with normalised fields; the given arrays stay as they are.

        Args:
            inp: Named tuple with the input.
            outp: Named tuple with the output.

        Raises:
            ArgumentError: Neither named tuple has a field of `fields`.
        """
        return replace_fields(inp, outp, self.fields, lambda value: (np.asarray(value, "float32") - self.mean) / self.std, "Normalize")

    @property
    def version(self) -> str:
        """All settings."""
        return f"Normalize({self.mean.tolist()}, {self.std.tolist()}, fields={self.fields})"


class Compose(Transformer):
    """Several transformers as one.

    Args:
        transformers: What to apply, first to last. If one of them draws, all of them share the generator of the sample.
    """

    def __init__(self, transformers: Sequence[Callable[..., Sample]]) -> None:
        self.transformers = tuple(transformers)

    def __call__(self, inp: Any, outp: Any, *, rng: np.random.Generator | None = None) -> Sample:
        """The sample after all of them.

        Args:
            inp: Named tuple with the input.
            outp: Named tuple with the output.
            rng: Where the draws come from; needed if one of them draws.

        Raises:
            ArgumentError: One of them draws, and no `rng` was given.
        """
        if self.is_random and rng is None:
            raise ArgumentError("Compose: one of its transformers draws random numbers. Hand over rng=numpy.random.default_rng(seed).")
        for transformer in self.transformers:
            inp, outp = transformer(inp, outp, rng=rng) if is_random(transformer) else transformer(inp, outp)
        return inp, outp

    @property
    def is_random(self) -> bool:
        """Whether one of them draws."""
        return any(is_random(transformer) for transformer in self.transformers)

    @property
    def version(self) -> str:
        """The versions of all."""
        return f"Compose({', '.join(str(getattr(t, 'version', name_of(t))) for t in self.transformers)})"
