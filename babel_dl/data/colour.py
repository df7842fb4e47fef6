"""Augmentation that changes the colours of a picture."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from babel_dl.core.registry import register_transformer
from babel_dl.data.batch_transformer import BatchTransformer
from babel_dl.data.fields import check_names, replace_fields
from babel_dl.data.streams import SampleStreams
from babel_dl.data.transformer import Sample
from babel_dl.errors import ArgumentError, DTypeError, ShapeError

_GREY = (0.2989, 0.587, 0.114)  # ITU-R BT.601: how bright red, green and blue look
_BLOCK_BYTES = 2**20  # of float32 worked on at once, so that they stay in the processor's cache

Range = float | tuple[float, float]
"""A factor: how far it goes from 1, or its least and greatest value."""


@register_transformer("color_jitter")
class ColorJitter(BatchTransformer):
    """Makes pictures brighter or darker, of more or less contrast, more or less colourful, by drawn factors.

        brightness:  x <- factor * x
        contrast:    x <- factor * x + (1 - factor) * mean of the picture's grey
        saturation:  x <- factor * x + (1 - factor) * grey of the pixel

    They follow in this order. After each the numbers are clipped to what a picture can hold: 0 to 255 for uint8, 0 to 1 for floating; uint8
    is rounded once, at the end. Pictures with one channel have no saturation to change.

    Args:
        brightness: How far the factor goes from 1, at least 0: 0.2 for 0.8 to 1.2; or its least and greatest value.
        contrast: The same for contrast.
        saturation: The same for saturation.
        fields: The fields that are changed by the same factors, of the input or of the output.

    Shapes:
        each field: (height, width) or (height, width, channels), one channel or three; unchanged.

    Raises:
        ArgumentError: A range is below 0 or falls, or no field is named.

    Source: torchvision.transforms.ColorJitter, with a fixed order, without hue, and without a rounding after each change.
    """

    def __init__(self, brightness: Range = 0.0, contrast: Range = 0.0, saturation: Range = 0.0, fields: Sequence[str] = ("image",)) -> None:
        self.brightness, self.contrast = _checked(brightness, "brightness"), _checked(contrast, "contrast")
        self.saturation, self.fields = _checked(saturation, "saturation"), check_names(fields, "ColorJitter")

    def batch(self, inp: Any, outp: Any, *, rng: SampleStreams) -> Sample:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The batch, each sample changed by factors of its own; the given arrays stay as they are.

        Args:
            inp: Named tuple of arrays with a leading batch axis.
            outp: The same for the output.
            rng: Where the factors come from.

        Raises:
            ArgumentError: Neither named tuple has a field of `fields`.
            DTypeError: The pictures are neither uint8 nor floating.
            ShapeError: They have a number of channels that is no picture's.
        """
        ranges = np.array([self.brightness, self.contrast, self.saturation])
        factors = (ranges[:, 0] + (ranges[:, 1] - ranges[:, 0]) * rng.random(3)).astype(np.float32)  # (batch, 3)
        return replace_fields(inp, outp, self.fields, lambda images: self._changed(images, factors), "ColorJitter")

    def _changed(self, images: np.ndarray, factors: np.ndarray) -> np.ndarray:
        if images.dtype != np.uint8 and images.dtype.kind != "f":
            raise DTypeError(f"ColorJitter takes pictures of uint8 (0 to 255) or floating (0 to 1), and got {images.dtype.name}.")
        if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3)):
            raise ShapeError(
                f"ColorJitter got pictures of shape {images.shape[1:]}, and takes (height, width) or (height, width, 1 or 3 channels)."
            )
        num_channels = images.shape[3] if images.ndim == 4 else 1
        pixels = images.reshape(len(images), -1, num_channels)
        result = np.empty_like(pixels, order="C")
        size = max(1, _BLOCK_BYTES // max(1, 4 * pixels[0].size))
        for start in range(0, len(pixels), size):
            block = slice(start, start + size)
            self._change(pixels[block], factors[block], result[block])
        return result.reshape(images.shape)

    def _change(self, pixels: np.ndarray, factors: np.ndarray, result: np.ndarray) -> None:
        """Some samples: (samples, pixels, channels), worked on as one plane for each channel."""
        highest = np.float32(255.0 if pixels.dtype == np.uint8 else 1.0)
        planes = [pixels[:, :, channel].astype(np.float32) for channel in range(pixels.shape[2])]
        brightness, contrast, saturation = (factors[:, place, None] for place in range(3))
        if self.brightness != (1.0, 1.0):
            for plane in planes:
                plane *= brightness
                np.clip(plane, 0.0, highest, out=plane)
        if self.contrast != (1.0, 1.0):
            mean = _grey(planes).mean(axis=1, keepdims=True)
            _blend(planes, contrast, mean, highest)
        if self.saturation != (1.0, 1.0) and len(planes) > 1:
            _blend(planes, saturation, _grey(planes), highest)
        for channel, plane in enumerate(planes):
            result[:, :, channel] = np.rint(plane, out=plane) if result.dtype == np.uint8 else plane

    @property
    def version(self) -> str:
        """All settings."""
        return f"ColorJitter({self.brightness}, {self.contrast}, {self.saturation}, fields={self.fields})"


def _grey(planes: list[np.ndarray]) -> np.ndarray:
    if len(planes) == 1:
        return planes[0]
    red, green, blue = (plane * np.float32(weight) for plane, weight in zip(planes, _GREY, strict=True))
    red += green
    red += blue
    return red


def _blend(planes: list[np.ndarray], factor: np.ndarray, other: np.ndarray, highest: np.float32) -> None:
    rest = (np.float32(1.0) - factor) * other
    for plane in planes:
        plane *= factor
        plane += rest
        np.clip(plane, 0.0, highest, out=plane)


def _checked(given: Range, name: str) -> tuple[float, float]:
    if isinstance(given, (int, float)):
        if given < 0:
            raise ArgumentError(f"ColorJitter: {name} is {given}, and must be at least 0.")
        return max(0.0, 1.0 - given), 1.0 + given
    low, high = map(float, given)
    if not 0.0 <= low <= high:
        raise ArgumentError(f"ColorJitter: {name} is {given}, and must be two rising factors, the first at least 0.")
    return low, high
