"""Binds PyTorch's functions as methods of a family, with nothing between the call and them."""

from collections.abc import Callable
from typing import Any


def bound(function: Callable[..., Any]) -> Any:
    """A static method; typed Any, because PyTorch names its parameters in its own way (the contract's arrive by position).

    Args:
        function: A function whose positional arguments mean what the contract's mean.
    """
    return staticmethod(function)
