"""The fully connected layer."""

from __future__ import annotations

from babel_dl import ops
from babel_dl.core.initializers import Initializer, find_initializer
from babel_dl.model.layer import Layer
from babel_dl.model.layers.activation import Function, find_activation
from babel_dl.model.layers.arguments import positive
from babel_dl.ops.tensor import Tensor, TensorLike


class FullyConnected(Layer):
    """Multiplies the last axis by a learnt matrix and adds a learnt offset.

        y = activation(x @ weight + bias)

    The matrix is made at the first call, when the size of the last axis is known; later calls must bring the same size.

    Args:
        out_features: Size of the last axis of the output; at least 1.
        use_bias: Whether to add the offset.
        activation: What to apply to the result: a name, a function or a layer; None for nothing.
        initializer: How the matrix starts; a name or a function of (shape, generator).

    Shapes:
        x: (*batch, in_features).                returns: (*batch, out_features), the type that x and weight promote to.
        weight: (in_features, out_features).     bias: (out_features,).

    Raises:
        ArgumentError: `out_features` is below 1, or a name is unknown.
        ShapeError: `x` has no axis, or its last axis is not the one built for.

    Example:
        >>> FullyConnected(10)(ops.zeros((32, 784))).shape
        (32, 10)

    Source: initial weights after Glorot and Bengio 2010, eq. 16; torch.nn.Linear with the matrix transposed.
    """

    def __init__(
        self,
        out_features: int,
        use_bias: bool = True,
        activation: str | Function | None = None,
        initializer: str | Initializer = "glorot_uniform",
    ) -> None:
        super().__init__()
        self.out_features = positive(out_features, "FullyConnected", "out_features")
        self.use_bias = use_bias
        self.activation = find_activation(activation) if activation is not None else None
        self.initializer = find_initializer(initializer)

    def build(self, x: TensorLike) -> None:
        """Makes the matrix and the offset."""
        self.in_features = self.known_features(x)
        self.weight = self.variable("weight", (self.in_features, self.out_features), self.initializer)
        self.bias = self.variable("bias", (self.out_features,), "zeros") if self.use_bias else None

    def call(self, x: TensorLike) -> Tensor:
        """The product, with offset and activation."""
        self.check_features(x, self.in_features)
        y = ops.linear(x, self.weight, self.bias)  # (*batch, out_features)
        return y if self.activation is None else self.activation(y)
