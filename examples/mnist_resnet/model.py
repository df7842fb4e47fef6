"""The network: residual blocks between convolutions that halve the image, down to one place with a number for each class."""

from typing import Any, NamedTuple

from babel_dl.core import ITensor, Module
from babel_dl.core.initializers import VarianceScaling
from babel_dl.model.layers import Activation, BatchNormalization, Conv2D, Flatten, ResidualBlock, Sequential

LIKE_PYTORCH = VarianceScaling(1 / 3, "fan_in", "uniform")
"""How PyTorch's own layers start, and so the post's: uniform within 1 / sqrt(fan in)."""


class Input(NamedTuple):
    """What the network sees: `image`, (28, 28, 1) and uint8 in a sample."""

    image: Any


class Output(NamedTuple):
    """What it answers: `digit`, the class in the data, logits (10,) in a prediction."""

    digit: Any


def halving(filters: int) -> Sequential:
    """A convolution that halves the image: kernel 3, stride 2, padding 1 on all sides. The post calls it convk3s2p1."""
    return Sequential(
        Conv2D(filters, kernel_size=3, stride=2, padding=1, use_bias=False, initializer=LIKE_PYTORCH),
        BatchNormalization(),
        Activation("relu"),
    )


def residual(filters: int) -> ResidualBlock:
    """Two convolutions and a way around them: y = relu(x + norm(conv(relu(norm(conv(x)))))). The post writes it as ResBlock."""
    return ResidualBlock(filters, initializer=LIKE_PYTORCH)


class ResNet(Module):
    """28 -> 14 -> 7 -> 4 -> 2 -> 1 places; 36,460 weights.

    Shapes:
        image: (batch, 28, 28, 1), from 0 to 255.      returns: digit of shape (batch, 10), logits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = Sequential(
            halving(8),
            residual(8),
            halving(16),
            residual(16),
            halving(32),
            residual(32),
            halving(16),
            halving(10),
            Flatten(),
        )

    def call(self, image: ITensor) -> Output:
        """The logits of each class; the image is brought to 0 to 1 first."""
        return Output(digit=self.layers(image.astype("float32") / 255.0))
