"""The two models of part 2. An instance has its own weights, made when it sees its first batch."""

from babel_dl.core import ITensor, Module
from babel_dl.core.initializers import VarianceScaling
from babel_dl.model.layers import Activation, AveragePooling2D, Conv2D, Flatten, FullyConnected, Lambda, Sequential

LIKE_PYTORCH = VarianceScaling(1 / 3, "fan_in", "uniform")
"""How PyTorch's own layers start, and so the post's: uniform within 1 / sqrt(fan in)."""


class Linear(Module):
    """The model of part 1 as a class: a layer brings weights and bias, 7,850 numbers.

    Shapes:
        x: (batch, 784).      returns: (batch, 10), logits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.linear = FullyConnected(10)

    def call(self, x: ITensor) -> ITensor:
        """The logits of each class."""
        return self.linear(x)


def make_cnn() -> Sequential:
    """Three convolutions that halve the image each, 28 -> 14 -> 7 -> 4, and the mean over what is left; 3,930 numbers.

    The last ReLU lies on the logits, as in the post.

    Shapes:
        x: (batch, 784).      returns: (batch, 10), logits.
    """
    return Sequential(
        Lambda(lambda x: x.reshape((-1, 28, 28, 1)), name="to image"),
        Conv2D(16, kernel_size=3, stride=2, padding=1, initializer=LIKE_PYTORCH),
        Activation("relu"),
        Conv2D(16, kernel_size=3, stride=2, padding=1, initializer=LIKE_PYTORCH),
        Activation("relu"),
        Conv2D(10, kernel_size=3, stride=2, padding=1, initializer=LIKE_PYTORCH),
        Activation("relu"),
        AveragePooling2D(4),
        Flatten(),
    )
