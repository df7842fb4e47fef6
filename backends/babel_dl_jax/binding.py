"""JAX's own functions as methods."""

from collections.abc import Callable
from typing import Any


def bound(function: Callable[..., Any]) -> Any:
    """A static method; typed Any, because JAX names its parameters in its own way (the contract's arrive by position).

    Args:
        function: A function whose positional arguments mean what the contract's mean.
    """
    return staticmethod(function)
