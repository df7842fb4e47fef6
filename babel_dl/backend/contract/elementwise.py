"""Functions of each element.

Both arguments of a binary function have one dtype when they arrive, or one of them is a Python number that this dtype can hold:
promotion has happened above. Shapes broadcast as in numpy. Comparisons return bool.
"""

from abc import ABC, abstractmethod
from typing import Any

Native = Any
Operand = Any
"""A native tensor, or a Python number."""


class Elementwise(ABC):
    """Arithmetic, comparisons and elementary functions. `divide`, `sqrt`, `exp` and their like receive floats only."""

    @abstractmethod
    def add(self, x: Operand, y: Operand) -> Native:
        """x + y."""

    @abstractmethod
    def subtract(self, x: Operand, y: Operand) -> Native:
        """x - y."""

    @abstractmethod
    def multiply(self, x: Operand, y: Operand) -> Native:
        """x * y; integers wrap around."""

    @abstractmethod
    def divide(self, x: Operand, y: Operand) -> Native:
        """x / y."""

    @abstractmethod
    def floor_divide(self, x: Operand, y: Operand) -> Native:
        """The quotient, rounded towards minus infinity."""

    @abstractmethod
    def remainder(self, x: Operand, y: Operand) -> Native:
        """x - floor(x / y) * y: the sign of `y`, as Python's `%`."""

    @abstractmethod
    def power(self, x: Operand, y: Operand) -> Native:
        """x to the power of y."""

    @abstractmethod
    def maximum(self, x: Operand, y: Operand) -> Native:
        """The larger one; NaN if one is NaN. Where both are equal, they share its gradient equally."""

    @abstractmethod
    def minimum(self, x: Operand, y: Operand) -> Native:
        """The smaller one; NaN if one is NaN. Where both are equal, they share its gradient equally."""

    @abstractmethod
    def equal(self, x: Operand, y: Operand) -> Native:
        """x == y."""

    @abstractmethod
    def not_equal(self, x: Operand, y: Operand) -> Native:
        """x != y."""

    @abstractmethod
    def less(self, x: Operand, y: Operand) -> Native:
        """x < y."""

    @abstractmethod
    def less_equal(self, x: Operand, y: Operand) -> Native:
        """x <= y."""

    @abstractmethod
    def greater(self, x: Operand, y: Operand) -> Native:
        """x > y."""

    @abstractmethod
    def greater_equal(self, x: Operand, y: Operand) -> Native:
        """x >= y."""

    @abstractmethod
    def bitwise_and(self, x: Operand, y: Operand) -> Native:
        """Bits set in both; on bool the logical and."""

    @abstractmethod
    def bitwise_or(self, x: Operand, y: Operand) -> Native:
        """Bits set in one or both; on bool the logical or."""

    @abstractmethod
    def bitwise_xor(self, x: Operand, y: Operand) -> Native:
        """Bits set in one; on bool the exclusive or."""

    @abstractmethod
    def bitwise_left_shift(self, x: Native, y: int) -> Native:
        """x * 2**y, without the bits that fall off."""

    @abstractmethod
    def bitwise_right_shift(self, x: Native, y: int) -> Native:
        """floor(x / 2**y): arithmetic, the sign stays."""

    @abstractmethod
    def logical_not(self, x: Native) -> Native:
        """The opposite of each bool."""

    @abstractmethod
    def negative(self, x: Native) -> Native:
        """-x."""

    @abstractmethod
    def abs(self, x: Native) -> Native:
        """|x|."""

    @abstractmethod
    def sign(self, x: Native) -> Native:
        """-1, 0 or 1."""

    @abstractmethod
    def square(self, x: Native) -> Native:
        """x * x."""

    @abstractmethod
    def sqrt(self, x: Native) -> Native:
        """The square root."""

    @abstractmethod
    def exp(self, x: Native) -> Native:
        """e to the x."""

    @abstractmethod
    def expm1(self, x: Native) -> Native:
        """exp(x) - 1, exact near 0."""

    @abstractmethod
    def log(self, x: Native) -> Native:
        """The natural logarithm."""

    @abstractmethod
    def log1p(self, x: Native) -> Native:
        """log(1 + x), exact near 0."""

    @abstractmethod
    def sin(self, x: Native) -> Native:
        """The sine of radians."""

    @abstractmethod
    def cos(self, x: Native) -> Native:
        """The cosine of radians."""

    @abstractmethod
    def tanh(self, x: Native) -> Native:
        """The hyperbolic tangent."""

    @abstractmethod
    def erf(self, x: Native) -> Native:
        """The error function."""

    @abstractmethod
    def floor(self, x: Native) -> Native:
        """The next whole number towards minus infinity."""

    @abstractmethod
    def ceil(self, x: Native) -> Native:
        """The next whole number towards infinity."""

    @abstractmethod
    def round(self, x: Native) -> Native:
        """The nearest whole number; halves go to the even one."""

    @abstractmethod
    def isnan(self, x: Native) -> Native:
        """Whether it is not a number."""

    @abstractmethod
    def isfinite(self, x: Native) -> Native:
        """Whether it is neither NaN nor infinite."""

    @abstractmethod
    def where(self, condition: Native, x: Operand, y: Operand) -> Native:
        """x where the condition holds, else y; the three broadcast. One of `x` and `y` is a tensor."""
