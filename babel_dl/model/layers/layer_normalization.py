"""Layer normalization."""

from __future__ import annotations

from babel_dl.errors import ArgumentError, ShapeError
from babel_dl.model.layer import Layer
from babel_dl.model.layers.arguments import positive
from babel_dl.ops.dispatch import check_same_backend, wrap
from babel_dl.ops.tensor import Tensor, TensorLike


class LayerNorm(Layer):
    """Normalises each sample over its last axes.

        y = (x - mean) / sqrt(variance + eps) * weight + bias

    Args:
        num_axes: Over how many of the last axes to normalise; at least 1.
        eps: Added to the variance; above 0.
        affine: Whether to learn a scale and an offset for each place.

    Shapes:
        x: (*batch, *normalised), floating.      returns: that of x.      weight, bias: normalised.

    Raises:
        ArgumentError: `num_axes` is below 1, or `eps` is not above 0.
        ShapeError: `x` has too few axes, or other sizes than built for.

    Source: Ba et al. 2016, eq. 4; torch.nn.LayerNorm.
    """

    casts_parameters = False

    def __init__(self, num_axes: int = 1, eps: float = 1e-5, affine: bool = True) -> None:
        super().__init__()
        if not eps > 0:
            raise ArgumentError(f"LayerNorm needs eps above 0, and got {eps}.")
        self.num_axes = positive(num_axes, "LayerNorm", "num_axes")
        self.eps = float(eps)
        self.affine = affine

    def build(self, x: TensorLike) -> None:
        """Makes scale and offset."""
        if x.ndim < self.num_axes:
            raise ShapeError(f"{self.title} normalises over {self.num_axes} axes, and got an input of shape {x.shape}.")
        self.normalised = x.shape[-self.num_axes :]
        self.weight = self.variable("weight", self.normalised, "ones") if self.affine else None
        self.bias = self.variable("bias", self.normalised, "zeros") if self.affine else None

    def call(self, x: TensorLike) -> Tensor:
        """The normalised input."""
        if x.shape[-self.num_axes :] != self.normalised:
            raise ShapeError(
                f"{self.title} got an input of shape {x.shape}.\n"
                f"  It was built at its first call for last axes of {self.normalised}, and a layer is built once.\n"
                f"  Feed these sizes, or make a new layer."
            )
        check_same_backend(x, self.weight, self.bias)
        backend = x.backend
        scale = None if self.weight is None else self.weight.native
        offset = None if self.bias is None else self.bias.native
        return wrap(backend.layer_norm(x.native, self.num_axes, scale, offset, self.eps), backend)
