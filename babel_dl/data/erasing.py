"""Augmentation that hides a part of a picture."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from babel_dl.core.registry import register_transformer
from babel_dl.data.batch_transformer import BatchTransformer
from babel_dl.data.fields import check_names, replace_fields
from babel_dl.data.streams import SampleStreams
from babel_dl.data.transformer import Sample
from babel_dl.errors import ArgumentError

_TRIES = 10


@register_transformer("random_erasing")
class RandomErasing(BatchTransformer):
    """Overwrites a drawn rectangle of pictures with one colour, in a part of the draws.

        area = U(scale) * height * width;   ratio = exp(U(log ratio));   rectangle = (sqrt(area * ratio), sqrt(area / ratio)), rounded

    A rectangle that is not smaller than the picture is drawn again; after ten of them the picture stays as it is. A square of one size, as
    Cutout has it, is `RandomErasing(1.0, scale=(0.25, 0.25), ratio=(1.0, 1.0))`: here a quarter of the picture.

    Args:
        probability: Of being erased, 0 to 1.
        scale: The least and the greatest part of the picture's area, above 0 and at most 1.
        ratio: The least and the greatest height of the rectangle divided by its width, above 0.
        value: What is written, in the unit of the field: one number, or one for each channel.
        fields: The fields that are erased at the same relative place, of the input or of the output.

    Shapes:
        each field: (height, width) or (height, width, channels); unchanged.

    Raises:
        ArgumentError: The probability is outside of 0 to 1, a range falls, begins at 0 or ends above its limit, or no field is named.

    Source: torchvision.transforms.RandomErasing; Zhong et al. 2020, algorithm 1; DeVries and Taylor 2017 (Cutout).
    """

    def __init__(
        self,
        probability: float = 0.5,
        scale: tuple[float, float] = (0.02, 0.33),
        ratio: tuple[float, float] = (0.3, 3.3),
        value: float | Sequence[float] = 0.0,
        fields: Sequence[str] = ("image",),
    ) -> None:
        if not 0.0 <= probability <= 1.0:
            raise ArgumentError(f"RandomErasing: probability is {probability}, and must be between 0 and 1.")
        if not 0.0 < scale[0] <= scale[1] <= 1.0:
            raise ArgumentError(f"RandomErasing: scale is {scale}, and must be two rising parts of the area, above 0 and at most 1.")
        if not 0.0 < ratio[0] <= ratio[1]:
            raise ArgumentError(f"RandomErasing: ratio is {ratio}, and must be two rising numbers above 0.")
        self.probability, self.fields = float(probability), check_names(fields, "RandomErasing")
        self.scale, self.ratio = (float(scale[0]), float(scale[1])), (float(ratio[0]), float(ratio[1]))
        self.value = np.asarray(value)

    def batch(self, inp: Any, outp: Any, *, rng: SampleStreams) -> Sample:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The batch, with a rectangle of its own in each sample that is erased; the given arrays stay as they are.

        Args:
            inp: Named tuple of arrays with a leading batch axis.
            outp: The same for the output.
            rng: Where the draws come from.

        Raises:
            ArgumentError: Neither named tuple has a field of `fields`.
        """
        draws = rng.random(3 + 2 * _TRIES)
        return replace_fields(inp, outp, self.fields, lambda images: self._erased(images, draws), "RandomErasing")

    def _erased(self, images: np.ndarray, draws: np.ndarray) -> np.ndarray:
        result = np.array(images, order="C")
        samples, tops, lefts, heights, widths = self._rectangles(draws, images.shape[1], images.shape[2])
        for sample, top, left, height, width in zip(samples, tops, lefts, heights, widths, strict=True):  # faster than one mask for all
            result[sample, top : top + height, left : left + width] = self.value
        return result

    def _rectangles(self, draws: np.ndarray, height: int, width: int) -> list[list[int]]:
        """The places of the samples that are erased, and the top, left, height and width of each rectangle."""
        areas = (self.scale[0] + (self.scale[1] - self.scale[0]) * draws[:, 3 : 3 + _TRIES]) * (height * width)
        lowest, highest = np.log(self.ratio[0]), np.log(self.ratio[1])
        ratios = np.exp(lowest + (highest - lowest) * draws[:, 3 + _TRIES :])
        heights, widths = np.rint(np.sqrt(areas * ratios)).astype(np.int64), np.rint(np.sqrt(areas / ratios)).astype(np.int64)
        fits = (heights < height) & (widths < width)
        samples = np.flatnonzero((draws[:, 0] < self.probability) & fits.any(axis=1))
        tries = fits[samples].argmax(axis=1)
        heights, widths = heights[samples, tries], widths[samples, tries]
        tops = (draws[samples, 1] * (height - heights + 1)).astype(np.int64)
        lefts = (draws[samples, 2] * (width - widths + 1)).astype(np.int64)
        return [part.tolist() for part in (samples, tops, lefts, heights, widths)]

    @property
    def version(self) -> str:
        """All settings."""
        return f"RandomErasing({self.probability}, {self.scale}, {self.ratio}, {self.value.tolist()}, fields={self.fields})"
