"""Dropout."""

from __future__ import annotations

from babel_dl import ops
from babel_dl.core.random_stream import RandomStream
from babel_dl.errors import ArgumentError
from babel_dl.model.layer import Layer
from babel_dl.ops.tensor import Tensor, TensorLike


class Dropout(Layer):
    """In training, sets elements to zero at random and scales the others up; in evaluation, does nothing.

        y = x * kept / (1 - rate)

    The mask is the same on every backend: it depends on the seed, the path of the layer and how often it dropped before.

    Args:
        rate: The probability of an element to be dropped; from 0 to below 1.

    Shapes:
        x: any, floating.      returns: that of x.

    Raises:
        ArgumentError: `rate` is out of its range.

    Source: Srivastava et al. 2014; torch.nn.Dropout.
    """

    def __init__(self, rate: float = 0.5) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ArgumentError(f"Dropout needs a rate from 0 to below 1, and got {rate}.")
        self.rate = float(rate)
        self.random = RandomStream()

    def call(self, x: TensorLike) -> Tensor:
        """The input with elements dropped."""
        if not self.training or self.rate == 0:
            return x  # type: ignore[return-value]
        kept = self.random.bernoulli(x.shape, 1 - self.rate)
        return ops.where(kept, x * (1 / (1 - self.rate)), 0.0)
