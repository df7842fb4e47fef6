"""Functions that join many elements into one.

`axes` is a tuple of valid axes that are not negative; an empty tuple never arrives (all axes are spelled out above).
"""

from abc import ABC, abstractmethod
from typing import Any

Native = Any


class Reduction(ABC):
    """Sums, extremes, positions and products of matrices. Results keep the dtype of `x` unless a docstring says otherwise.

    In bfloat16 and float16 sums, means and products are formed in float32, and rounded once.
    """

    @abstractmethod
    def sum(self, x: Native, axes: tuple[int, ...], keepdims: bool) -> Native:
        """The sum; bool never arrives."""

    @abstractmethod
    def mean(self, x: Native, axes: tuple[int, ...], keepdims: bool) -> Native:
        """The mean of floats."""

    @abstractmethod
    def prod(self, x: Native, axes: tuple[int, ...], keepdims: bool) -> Native:
        """The product."""

    @abstractmethod
    def max(self, x: Native, axes: tuple[int, ...], keepdims: bool) -> Native:
        """The largest. Where several are largest, they share its gradient equally."""

    @abstractmethod
    def min(self, x: Native, axes: tuple[int, ...], keepdims: bool) -> Native:
        """The smallest. Where several are smallest, they share its gradient equally."""

    @abstractmethod
    def any(self, x: Native, axes: tuple[int, ...], keepdims: bool) -> Native:
        """Whether one bool is true."""

    @abstractmethod
    def all(self, x: Native, axes: tuple[int, ...], keepdims: bool) -> Native:
        """Whether every bool is true."""

    @abstractmethod
    def argmax(self, x: Native, axis: int, keepdims: bool) -> Native:
        """The first position of the largest, int32."""

    @abstractmethod
    def argmin(self, x: Native, axis: int, keepdims: bool) -> Native:
        """The first position of the smallest, int32."""

    @abstractmethod
    def cumulative_sum(self, x: Native, axis: int) -> Native:
        """Sums up to and including each element."""

    @abstractmethod
    def argsort(self, x: Native, axis: int, descending: bool) -> Native:
        """Positions in sorted order, int32; equal elements keep their order."""

    @abstractmethod
    def matmul(self, x: Native, y: Native) -> Native:
        """The matrix product of the last two axes, as numpy's `@` (also with one axis on a side)."""
