"""Functions that move elements and change none."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

Native = Any


class Shape(ABC):
    """Reshaping, joining, indexing. Every axis that arrives is valid and not negative, and sizes fit: that is checked above."""

    @abstractmethod
    def reshape(self, x: Native, shape: tuple[int, ...]) -> Native:
        """The elements in row-major order in a new shape; one size may be -1."""

    @abstractmethod
    def permute_dims(self, x: Native, axes: tuple[int, ...]) -> Native:
        """Axis `i` of the result is axis `axes[i]` of `x`."""

    @abstractmethod
    def expand_dims(self, x: Native, axis: int) -> Native:
        """A new axis of size 1 at position `axis`."""

    @abstractmethod
    def squeeze(self, x: Native, axes: tuple[int, ...]) -> Native:
        """Without these axes of size 1."""

    @abstractmethod
    def broadcast_to(self, x: Native, shape: tuple[int, ...]) -> Native:
        """The values repeated to `shape`, as numpy broadcasts."""

    @abstractmethod
    def concat(self, xs: Sequence[Native], axis: int) -> Native:
        """Joined along an axis."""

    @abstractmethod
    def stack(self, xs: Sequence[Native], axis: int) -> Native:
        """Joined along a new axis."""

    @abstractmethod
    def split(self, x: Native, sizes: tuple[int, ...], axis: int) -> tuple[Native, ...]:
        """Parts of these sizes along an axis, in order; they add up to its size."""

    @abstractmethod
    def flip(self, x: Native, axes: tuple[int, ...]) -> Native:
        """The order along the axes reversed."""

    @abstractmethod
    def tile(self, x: Native, repetitions: tuple[int, ...]) -> Native:
        """The tensor repeated along each axis; one count for each axis of `x`."""

    @abstractmethod
    def pad(self, x: Native, widths: tuple[tuple[int, int], ...], value: float) -> Native:
        """`value` before and after each axis; a pair for each axis."""

    @abstractmethod
    def getitem(self, x: Native, index: tuple[Any, ...]) -> Native:
        """`x[index]`: whole numbers, slices with positive or negative steps, `None`, `...`, one integer tensor or one bool tensor."""

    @abstractmethod
    def take(self, x: Native, indices: Native, axis: int) -> Native:
        """Slices of `x` at integer `indices` of any shape, which replaces the axis. Negative indices count from the end."""

    @abstractmethod
    def take_along_axis(self, x: Native, indices: Native, axis: int) -> Native:
        """For each position the element of `x` at its index; both have the same number of axes and broadcast elsewhere."""
