"""Learnt vectors for whole numbers."""

from __future__ import annotations

import numpy as np

from babel_dl import ops
from babel_dl.core.diagnosing import is_diagnosing
from babel_dl.core.initializers import Initializer, find_initializer
from babel_dl.core.precision import to_compute_dtype
from babel_dl.errors import ArgumentError
from babel_dl.model.layer import Layer
from babel_dl.model.layers.arguments import positive
from babel_dl.ops.tensor import Tensor, TensorLike


class Embedding(Layer):
    """Looks up a learnt vector for each index.

    Args:
        num_embeddings: How many indices there are; at least 1. Indices go from 0 to below it; negative ones count from the end.
        features: Size of a vector; at least 1.
        initializer: How the vectors start; a name or a function of (shape, generator).

    Shapes:
        indices: (*batch,), integers.      returns: (*batch, features).      weight: (num_embeddings, features).

    Raises:
        ArgumentError: A size is below 1, or a name is unknown; or an index has no vector. A compiled function cannot raise: there
            frameworks differ in what they do with such an index, so look at the data first.
        DTypeError: The indices are not integers.

    Example:
        >>> Embedding(10, 4)(ops.asarray([[1, 2, 3]])).shape
        (1, 3, 4)

    Source: torch.nn.Embedding, which starts from a standard normal as well.
    """

    casts_parameters = False  # the vectors are cast after they were picked: fewer, and their gradients add up in float32

    def __init__(self, num_embeddings: int, features: int, initializer: str | Initializer = "normal") -> None:
        super().__init__()
        self.num_embeddings = positive(num_embeddings, "Embedding", "num_embeddings")
        self.features = positive(features, "Embedding", "features")
        self.initializer = find_initializer(initializer)

    def build(self, indices: TensorLike) -> None:
        """Makes the vectors."""
        self.weight = self.variable("weight", (self.num_embeddings, self.features), self.initializer)

    def call(self, indices: TensorLike) -> Tensor:
        """The vectors of the indices."""
        if is_diagnosing():
            self._check_range(indices)
        try:
            return to_compute_dtype(ops.take(self.weight, indices, axis=0))
        except Exception:
            self._check_range(indices)
            raise

    def _check_range(self, indices: TensorLike) -> None:
        if indices.backend.is_traced(indices.native):
            return
        host = indices.numpy()
        wrong = (host < -self.num_embeddings) | (host >= self.num_embeddings)
        if wrong.any():
            place = [int(i) for i in np.argwhere(wrong)[0]]
            raise ArgumentError(
                f"{self.title} got the index {int(host[tuple(place)])} at {place}, and has vectors for 0 to {self.num_embeddings - 1}.\n"
                f"  Correct the data, or make a layer with more: Embedding({int(host.max()) + 1}, {self.features})."
            )
