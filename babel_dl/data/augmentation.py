"""Transformers that draw: each epoch shows the network another version of a picture. They belong into `realtime_transformers`."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from babel_dl.core.registry import register_transformer
from babel_dl.data.fields import check_names, replace_fields
from babel_dl.data.streams import SampleStreams
from babel_dl.data.transformer import Sample, Transformer
from babel_dl.errors import ArgumentError, ShapeError


class _Flip(Transformer):
    """What the flips share."""

    def __init__(self, probability: float, axis: int, fields: Sequence[str]) -> None:
        owner = type(self).__name__
        if not 0.0 <= probability <= 1.0:
            raise ArgumentError(f"{owner}: probability is {probability}, and must be between 0 and 1.")
        if axis not in (0, 1):
            raise ArgumentError(f"{owner}: axis is {axis}, and must be 0 (top and bottom) or 1 (left and right).")
        self.probability, self.axis, self.fields = float(probability), axis, check_names(fields, owner)

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
            return replace_fields(inp, outp, self.fields, np.asarray, type(self).__name__)
        return replace_fields(inp, outp, self.fields, lambda image: np.flip(image, axis=self.axis), type(self).__name__)

    def batch(self, inp: Any, outp: Any, *, rng: SampleStreams) -> Sample:
        """The batch, each sample mirrored or not, as `__call__` does it.

        Args:
            inp: Named tuple of arrays with a leading batch axis; they stay as they are.
            outp: The same for the output.
            rng: Where the draws come from.

        Raises:
            ArgumentError: Neither named tuple has a field of `fields`.
        """
        chosen = rng.random(1)[:, 0] < self.probability
        return replace_fields(inp, outp, self.fields, lambda images: self._flipped(images, chosen), type(self).__name__)

    def _flipped(self, images: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        result = np.array(images, order="C")
        pixels = _as_pixels(result)
        reverse = (slice(None), slice(None, None, -1)) if self.axis == 0 else (slice(None), slice(None), slice(None, None, -1))
        pixels[chosen] = pixels[chosen][reverse]
        return result

    @property
    def version(self) -> str:
        """All settings."""
        return f"{type(self).__name__}({self.probability}, axis={self.axis}, fields={self.fields})"


@register_transformer("random_flip", "flip")
class RandomFlip(_Flip):
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
        super().__init__(probability, axis, fields)


@register_transformer("random_horizontal_flip", "horizontal_flip")
class RandomHorizontalFlip(_Flip):
    """Mirrors pictures left for right in a part of the draws; the numbers of `RandomFlip(axis=1)`.

    Args:
        probability: Of being mirrored, 0 to 1.
        fields: The fields that are mirrored together, of the input or of the output.

    Shapes:
        each field: (height, width) or (height, width, channels); unchanged.

    Raises:
        ArgumentError: The probability is outside of 0 to 1, or no field is named.

    Source: torchvision.transforms.RandomHorizontalFlip.
    """

    def __init__(self, probability: float = 0.5, fields: Sequence[str] = ("image",)) -> None:
        super().__init__(probability, 1, fields)


@register_transformer("random_vertical_flip", "vertical_flip")
class RandomVerticalFlip(_Flip):
    """Mirrors pictures top for bottom in a part of the draws; the numbers of `RandomFlip(axis=0)`.

    Args:
        probability: Of being mirrored, 0 to 1.
        fields: The fields that are mirrored together, of the input or of the output.

    Shapes:
        each field: (height, width) or (height, width, channels); unchanged.

    Raises:
        ArgumentError: The probability is outside of 0 to 1, or no field is named.

    Source: torchvision.transforms.RandomVerticalFlip.
    """

    def __init__(self, probability: float = 0.5, fields: Sequence[str] = ("image",)) -> None:
        super().__init__(probability, 0, fields)


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

    def batch(self, inp: Any, outp: Any, *, rng: SampleStreams) -> Sample:
        """The batch, each sample cut at a place of its own, as `__call__` does it.

        Args:
            inp: Named tuple of arrays with a leading batch axis; they stay as they are.
            outp: The same for the output.
            rng: Where the places come from.

        Raises:
            ArgumentError: Neither named tuple has a field of `fields`.
            ShapeError: The pictures with their border are smaller than the window.
        """
        places = rng.random(2)
        return replace_fields(inp, outp, self.fields, lambda images: self._cut_batch(images, places), "RandomCrop")

    def _cut_batch(self, images: np.ndarray, places: np.ndarray) -> np.ndarray:
        room = self._room(images.shape[1:])
        count, height, width, *channels = images.shape
        if self.padding:
            padded = np.zeros((count, height + 2 * self.padding, width + 2 * self.padding, *channels), images.dtype)
            padded[:, self.padding : self.padding + height, self.padding : self.padding + width] = images
        else:
            padded = np.ascontiguousarray(images)
        num_values = math.prod(channels)
        of_sample, of_row, of_pixel = padded.strides[:3]
        windows = np.lib.stride_tricks.as_strided(  # a row of a window is one run of memory, so it is copied in one go
            padded,
            (count, room[0] + 1, room[1] + 1, self.size[0], self.size[1] * num_values),
            (of_sample, of_row, of_pixel, of_row, padded.itemsize),
            writeable=False,
        )
        starts = [(places[:, axis] * (room[axis] + 1)).astype(np.int64) for axis in (0, 1)]
        return windows[np.arange(count), starts[0], starts[1]].reshape(count, *self.size, *channels)

    def _room(self, shape: tuple[int, ...]) -> list[int]:
        """How many pixels the window can move down and to the right."""
        room = [shape[axis] + 2 * self.padding - self.size[axis] for axis in (0, 1)]
        if min(room) < 0:
            raise ShapeError(
                f"RandomCrop: a picture of shape {shape}, padded by {self.padding} pixels, is smaller than the window {self.size}.\n"
                f"  Take a smaller size or more padding."
            )
        return room

    def _cut(self, image: np.ndarray, place: np.ndarray) -> np.ndarray:
        room = self._room(image.shape)
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


def _as_pixels(images: np.ndarray) -> np.ndarray:
    """The same memory with each pixel as one element, so that numpy moves a pixel at once and not channel after channel."""
    if images.ndim != 4:
        return images
    size = images.shape[3] * images.itemsize
    return images.view(np.dtype((np.void, size)))[..., 0] if size and images.shape[3] > 1 else images
