"""Transformers that compute the same result every time; they may stand before or after the cache."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from babel_dl.core.registry import register_transformer
from babel_dl.data.fields import check_names, replace_fields
from babel_dl.data.image_grid import image_grid_wrap
from babel_dl.data.transformer import Sample, Transformer, is_random, name_of
from babel_dl.errors import ArgumentError, DTypeError


@register_transformer("as_type")
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


@register_transformer("normalize")
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


@register_transformer("to_tensor")
class ToTensor(Transformer):
    """Makes pictures ready for a network: float32, and a channel axis where there is none.

        uint8:  y = x / 255          floating:  y = x          bool:  y = 1 or 0

    Args:
        fields: The fields that change, of the input or of the output.

    Shapes:
        each field: (height, width) or (height, width, channels).      result: (height, width, channels), float32.

    Raises:
        ArgumentError: No field is named.

    Source: torchvision.transforms.ToTensor, with channels last.
    """

    def __init__(self, fields: Sequence[str] = ("image",)) -> None:
        self.fields = check_names(fields, "ToTensor")

    def __call__(self, inp: Any, outp: Any) -> Sample:
        """The sample with float32 pictures; the given arrays stay as they are.

        Args:
            inp: Named tuple with the input.
            outp: Named tuple with the output.

        Raises:
            ArgumentError: Neither named tuple has a field of `fields`.
            DTypeError: A picture has whole numbers of another type, so that nobody knows which number is white.
            ShapeError: A picture has not two or three axes.
        """
        return replace_fields(inp, outp, self.fields, self._converted, "ToTensor")

    @staticmethod
    def _converted(image: Any) -> np.ndarray:
        grid = image_grid_wrap(image)
        if grid.dtype == np.uint8:
            return grid.astype("float32") / np.float32(255.0)
        if grid.dtype.kind not in "fb":
            raise DTypeError(f"ToTensor takes pictures of uint8 (0 to 255), floating or bool, and got {grid.dtype.name}. Cast them first.")
        return grid.astype("float32")

    @property
    def version(self) -> str:
        """All settings."""
        return f"ToTensor(fields={self.fields})"


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
