"""The classifier of the post."""

from babel_dl.core import ITensor, Module
from babel_dl.core.registry import register_module
from babel_dl.model.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    FullyConnected,
    GlobalAveragePooling2D,
    MaxPooling2D,
    Sequential,
)
from examples.mnist.data import check_channels, to_unit


@register_module("simple_conv")
class SimpleConvClassifier(Module):
    """Four convolutions, after the first three of them batch normalization and pooling: 98,666 weights.

    Args:
        in_channels: Channels of an image.
        num_classes: How many logits it answers.

    Shapes:
        image: (batch, height, width, in_channels), from 0 to 255.      returns: (batch, num_classes), logits.

    Raises:
        ShapeError: The images have other channels.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        layers = []
        for filters in (16, 32, 64):
            layers += [Conv2D(filters, 3), Activation("relu"), BatchNormalization(), MaxPooling2D()]
        layers += [Conv2D(128, 3), Activation("relu"), GlobalAveragePooling2D(), FullyConnected(num_classes)]
        self.net = Sequential(layers)

    def build(self, image: ITensor) -> None:
        """Checks the first image; the layers see its size by themselves."""
        check_channels(image, self.in_channels, "simple_conv")

    def call(self, image: ITensor) -> ITensor:
        """The logits of each class."""
        return self.net(to_unit(image))
