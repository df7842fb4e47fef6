"""Transformers that draw: each epoch shows the network another version of a picture. They belong into `realtime_transformers`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from babel_dl.core.registry import register_transformer
from babel_dl.data.fields import check_names, replace_fields
from babel_dl.data.transformer import Sample, Transformer
from babel_dl.errors import ArgumentError, ShapeError


@register_transformer("random_flip", "flip")
class RandomFlip(Transformer):
    """Mirrors pictures, left for right, in a part of the draws.

    Args:
        probability: Of being mirrored, 0 to 1.
        axis: The axis to mirror: 1 for left and right, 0 for top and bottom.
        fields: The fields that are mirrored together, of the input or of the output: a picture and its mask, for example.

    Shapes:
        each field: (height, width) or (height, width, channels); unchanged.

    Raises:
        ArgumentError: The probability is outside of 0 to 1, the axis is not 0 or 1, or no field is named.

    Source: torchvision.transforms.RandomHorizontalFlip.
    """

    def __init__(self, probability: float = 0.5, axis: int = 1, fields: Sequence[str] = ("image",)) -> None:
        if not 0.0 <= probability <= 1.0:
            raise ArgumentError(f"RandomFlip: probability is {probability}, and must be between 0 and 1.")
        if axis not in (0, 1):
            raise ArgumentError(f"RandomFlip: axis is {axis}, and must be 0 (top and bottom) or 1 (left and right).")
        self.probability, self.axis, self.fields = float(probability), axis, check_names(fields, "RandomFlip")

    def __call__(self, inp: Any, outp: Any, *, rng: np.random.Generator) -> Sample:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The sample, mirrored or not.

        Args:
            inp: Named tuple with the input.
            outp: Named tuple with the output.
            rng: Where the draw comes from.

        Raises:
            ArgumentError: Neither named tuple has a field of `fields`.
        """
        if rng.random() >= self.probability:
            return replace_fields(inp, outp, self.fields, np.asarray, "RandomFlip")
        return replace_fields(inp, outp, self.fields, lambda image: np.flip(image, axis=self.axis), "RandomFlip")

    @property
    def version(self) -> str:
        """All settings."""
        return f"RandomFlip({self.probability}, axis={self.axis}, fields={self.fields})"


@register_transformer("random_crop")
class RandomCrop(Transformer):
    """Surrounds pictures with zeros, and cuts a window of a fixed size at a drawn place.

    Args:
        size: Height and width of the window, in pixels; one number for both.
        padding: Width of the border of zeros, in pixels.
        fields: The fields that are cut at the same place, of the input or of the output.

    Shapes:
        each field: (height, width) or (height, width, channels).      result: (*size) or (*size, channels).

    Raises:
        ArgumentError: A size is below 1, the padding is below 0, or no field is named.

    Source: torchvision.transforms.RandomCrop.
    """

    def __init__(self, size: int | tuple[int, int], padding: int = 0, fields: Sequence[str] = ("image",)) -> None:
        height, width = (size, size) if isinstance(size, int) else size
        if height < 1 or width < 1:
            raise ArgumentError(f"RandomCrop: size is {size}, and must be at least 1 pixel.")
        if padding < 0:
            raise ArgumentError(f"RandomCrop: padding is {padding}, and must be at least 0 pixels.")
        self.size, self.padding, self.fields = (height, width), padding, check_names(fields, "RandomCrop")

    def __call__(self, inp: Any, outp: Any, *, rng: np.random.Generator) -> Sample:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The cut sample.

        Args:
            inp: Named tuple with the input.
            outp: Named tuple with the output.
            rng: Where the place comes from.

        Raises:
            ArgumentError: Neither named tuple has a field of `fields`.
            ShapeError: A picture with its border is smaller than the window.
        """
        place = rng.random(2)  # a fraction of the free room, so that fields of different sizes are cut at the same relative place
        return replace_fields(inp, outp, self.fields, lambda image: self._cut(np.asarray(image), place), "RandomCrop")

    def _cut(self, image: np.ndarray, place: np.ndarray) -> np.ndarray:
        room = [image.shape[axis] + 2 * self.padding - self.size[axis] for axis in (0, 1)]
        if min(room) < 0:
            raise ShapeError(
                f"RandomCrop: a picture of shape {image.shape}, padded by {self.padding} pixels, is smaller than the window {self.size}.\n"
                f"  Take a smaller size or more padding."
            )
        result = np.zeros((*self.size, *image.shape[2:]), image.dtype)
        target, source = [], []
        for axis in (0, 1):
            start = int(place[axis] * (room[axis] + 1)) - self.padding  # of the window, in the picture without its border
            first, end = max(start, 0), min(start + self.size[axis], image.shape[axis])
            source.append(slice(first, end))
            target.append(slice(first - start, end - start))
        if all(part.start < part.stop for part in source):  # a wide border can hold the whole window
            result[tuple(target)] = image[tuple(source)]
        return result

    @property
    def version(self) -> str:
        """All settings."""
        return f"RandomCrop({self.size}, padding={self.padding}, fields={self.fields})"
