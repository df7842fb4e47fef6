"""The base of layers: modules with one tensor in and one out, which refuse what they were not built for."""

from __future__ import annotations

from babel_dl.core.module import Module
from babel_dl.errors import ShapeError
from babel_dl.ops.tensor import TensorLike


class Layer(Module):
    """A module that maps one tensor to one tensor. Its errors name it by class and path."""

    @property
    def title(self) -> str:
        """How messages call it: `Conv2D '/encoder/0'`."""
        return f"{type(self).__name__} {self.path!r}" if self.path else type(self).__name__

    def check_ndim(self, x: TensorLike, ndim: int, axes: str) -> None:
        """Refuses a tensor with another number of axes.

        Args:
            x: The input.
            ndim: How many axes it must have.
            axes: Their meaning, for the message: "(batch, height, width, channels)".

        Raises:
            ShapeError: The number differs.
        """
        if x.ndim != ndim:
            raise ShapeError(
                f"{self.title} got an input of shape {x.shape}.\n"
                f"  It needs {ndim} axes: {axes}.\n"
                f"  Reshape the input, or add an axis with ops.expand_dims(x, axis)."
            )

    def check_features(self, x: TensorLike, features: int) -> None:
        """Refuses a tensor whose last axis has not the size that the layer was built for.

        Raises:
            ShapeError: The size differs, or there is no axis.
        """
        shape = x.shape
        if not shape or shape[-1] != features:
            raise ShapeError(
                f"{self.title} got an input of shape {shape}.\n"
                f"  It was built at its first call for a last axis of {features}, and a layer is built once.\n"
                f"  Feed {features} features, or make a new layer."
            )

    def known_features(self, x: TensorLike) -> int:
        """The size of the last axis, to build for.

        Raises:
            ShapeError: There is no axis, or its size is unknown or 0.
        """
        shape = x.shape
        if not shape or not shape[-1]:
            raise ShapeError(
                f"{self.title} cannot be built on an input of shape {shape}: the size of the last axis must be known and not 0."
            )
        return shape[-1]
