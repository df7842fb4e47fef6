"""The network of the lab: two convolutions with pooling, and a fully connected layer."""

from typing import Any, NamedTuple

from babel_dl.core import ITensor, Module
from babel_dl.model.layers import Activation, Conv2D, Flatten, FullyConnected, MaxPooling2D, Sequential


class Input(NamedTuple):
    """What the network sees: `image`, (28, 28, 1) and uint8 in a sample."""

    image: Any


class Output(NamedTuple):
    """What it answers: `digit`, the class in the data, logits (10,) in a prediction."""

    digit: Any


class LabCnn(Module):
    """50,186 weights.

        (28, 28, 1)  -> convolution, relu -> (28, 28, 32) -> pooling -> (14, 14, 32)
                     -> convolution, relu -> (14, 14, 64) -> pooling -> (7, 7, 64) -> flat (3136,) -> fully connected (10,)

    Shapes:
        image: (batch, 28, 28, 1), from 0 to 255.      returns: digit of shape (batch, 10), logits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = Sequential(Conv2D(32, kernel_size=3, padding=1), Activation("relu"), MaxPooling2D(2, stride=2))
        self.layer2 = Sequential(Conv2D(64, kernel_size=3, padding=1), Activation("relu"), MaxPooling2D(2, stride=2))
        self.flatten = Flatten()
        self.fc = FullyConnected(10, initializer="xavier_uniform")

    def call(self, image: ITensor) -> Output:
        """The logits of each class. The image is brought to 0 to 1 here, so that nobody can forget it."""
        return self.network(image.astype("float32") / 255.0)

    def network(self, image: ITensor) -> Output:
        """The logits for an image that is taken as it comes."""
        return Output(digit=self.fc(self.flatten(self.layer2(self.layer1(image)))))
