"""Transformers that compute the same result every time; they may stand before or after the cache."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from babel_dl.core.registry import register_transformer
from babel_dl.data.batch_transformer import BatchTransformer, is_vectorised
from babel_dl.data.fields import check_names, replace_fields
from babel_dl.data.image_grid import image_grid_wrap
from babel_dl.data.streams import SampleStreams
from babel_dl.data.transformer import Sample, Transformer, is_random, name_of
from babel_dl.errors import ArgumentError, DTypeError, ShapeError


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

    batch = __call__
    """The same for a whole batch."""

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

    def batch(self, inp: Any, outp: Any) -> Sample:
        """The batch with normalised fields, with the numbers of `__call__`; the given arrays stay as they are.

        Args:
            inp: Named tuple of arrays with a leading batch axis.
            outp: The same for the output.

        Raises:
            ArgumentError: Neither named tuple has a field of `fields`.
        """
        return replace_fields(inp, outp, self.fields, self._normalised, "Normalize")

    def _normalised(self, values: np.ndarray) -> np.ndarray:
        missing = max(self.mean.ndim, self.std.ndim) + 1 - values.ndim
        rows = values.reshape(len(values), *(1,) * max(missing, 0), *values.shape[1:])  # the batch axis meets no axis of mean and std
        mean, std, shape = self.mean, self.std, rows.shape
        if max(mean.ndim, std.ndim) == 1 and rows.ndim > 2 and {mean.size, std.size} <= {1, shape[-1]}:
            # numpy is slow where the last axis has a few numbers only: one run of them for each row of pixels
            rows = np.ascontiguousarray(rows).reshape(*shape[:-2], shape[-2] * shape[-1])
            mean, std = (np.tile(np.broadcast_to(array, shape[-1:]), shape[-2]) for array in (mean, std))
        result = np.subtract(rows, mean, dtype=np.float32, casting="unsafe")
        is_same_shape = np.broadcast_shapes(result.shape, std.shape) == result.shape
        result = np.divide(result, std, out=result if is_same_shape else None)
        return result.reshape(shape) if result.size == rows.size else result

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

    def batch(self, inp: Any, outp: Any) -> Sample:
        """The batch with float32 pictures, with the numbers of `__call__`; the given arrays stay as they are.

        Args:
            inp: Named tuple of arrays with a leading batch axis.
            outp: The same for the output.

        Raises:
            ArgumentError: Neither named tuple has a field of `fields`.
            DTypeError: As `__call__`.
            ShapeError: As `__call__`.
        """
        return replace_fields(inp, outp, self.fields, self._converted_batch, "ToTensor")

    def _converted_batch(self, images: np.ndarray) -> np.ndarray:
        shape = image_grid_wrap(images[0]).shape
        return self._as_floats(images).reshape(len(images), *shape)

    def _converted(self, image: Any) -> np.ndarray:
        return self._as_floats(image_grid_wrap(image))

    @staticmethod
    def _as_floats(grid: np.ndarray) -> np.ndarray:
        if grid.dtype == np.uint8:
            return np.divide(grid, np.float32(255.0), dtype=np.float32)
        if grid.dtype.kind not in "fb":
            raise DTypeError(f"ToTensor takes pictures of uint8 (0 to 255), floating or bool, and got {grid.dtype.name}. Cast them first.")
        return grid.astype("float32")

    @property
    def version(self) -> str:
        """All settings."""
        return f"ToTensor(fields={self.fields})"


@register_transformer("center_crop")
class CenterCrop(BatchTransformer):
    """Cuts a window of a fixed size out of the middle of pictures.

    Args:
        size: Height and width of the window, in pixels; one number for both.
        fields: The fields that are cut, of the input or of the output.

    Shapes:
        each field: (height, width) or (height, width, channels).      result: (*size) or (*size, channels).

    Raises:
        ArgumentError: A size is below 1, or no field is named.

    Source: torchvision.transforms.CenterCrop, without its border of zeros around pictures that are too small.
    """

    def __init__(self, size: int | tuple[int, int], fields: Sequence[str] = ("image",)) -> None:
        height, width = (size, size) if isinstance(size, int) else size
        if height < 1 or width < 1:
            raise ArgumentError(f"CenterCrop: size is {size}, and must be at least 1 pixel.")
        self.size, self.fields = (height, width), check_names(fields, "CenterCrop")

    def batch(self, inp: Any, outp: Any) -> Sample:
        """The batch with cut fields; the given arrays stay as they are.

        Args:
            inp: Named tuple of arrays with a leading batch axis.
            outp: The same for the output.

        Raises:
            ArgumentError: Neither named tuple has a field of `fields`.
            ShapeError: The pictures are smaller than the window.
        """
        return replace_fields(inp, outp, self.fields, self._cut, "CenterCrop")

    def _cut(self, images: np.ndarray) -> np.ndarray:
        room = [images.shape[axis + 1] - self.size[axis] for axis in (0, 1)]
        if min(room) < 0:
            raise ShapeError(
                f"CenterCrop: a picture of shape {images.shape[1:]} is smaller than the window {self.size}.\n"
                f"  Take a smaller size, or RandomCrop with padding."
            )
        top, left = (round(free / 2) for free in room)
        return images[:, top : top + self.size[0], left : left + self.size[1]].copy()

    @property
    def version(self) -> str:
        """All settings."""
        return f"CenterCrop({self.size}, fields={self.fields})"


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

    def batch(self, inp: Any, outp: Any, *, rng: SampleStreams | None = None) -> Sample:
        """The batch after all of them; where `is_vectorised`.

        Args:
            inp: Named tuple of arrays with a leading batch axis.
            outp: The same for the output.
            rng: Where the draws come from; needed if one of them draws.
        """
        for transformer in self.transformers:
            change: Any = transformer
            inp, outp = change.batch(inp, outp, rng=rng) if is_random(transformer) else change.batch(inp, outp)
        return inp, outp

    @property
    def is_vectorised(self) -> bool:
        """Whether all of them can change a whole batch at once."""
        return all(map(is_vectorised, self.transformers))

    @property
    def is_random(self) -> bool:
        """Whether one of them draws."""
        return any(is_random(transformer) for transformer in self.transformers)

    @property
    def version(self) -> str:
        """The versions of all."""
        return f"Compose({', '.join(str(getattr(t, 'version', name_of(t))) for t in self.transformers)})"
