"""The model: convolutions after VGG, then two fully connected layers."""

from configs.fashion_mnist import FashionMnistConfig
from datasets.problem import NetworkOutput

from babel_dl.core import ITensor, Module
from babel_dl.model.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Flatten,
    FullyConnected,
    GlobalAveragePooling2D,
    MaxPooling2D,
)


class FashionMnistModel(Module):
    """8,616 weights; the same on every backend.

    Args:
        config: Says how many classes there are.

    Shapes:
        image: (batch, height, width, channels), any number type.      returns: class_id of shape (batch, classes), logits.
    """

    def __init__(self, config: FashionMnistConfig) -> None:
        super().__init__()
        self.config = config
        self.linear = []

    def build(self, image: ITensor) -> None:
        """Runs once, when the first image comes and its size is known."""
        for filters in (12, 18, 18):
            self.linear.append(BatchNormalization())
            self.linear.append(Conv2D(filters=filters, kernel_size=(3, 3)))
            self.linear.append(Activation("relu"))
            self.linear.append(MaxPooling2D())

        self.linear.append(BatchNormalization())
        self.linear.append(Conv2D(filters=18, kernel_size=(3, 3)))
        self.linear.append(Activation("relu"))
        self.linear.append(GlobalAveragePooling2D())

        self.linear.append(BatchNormalization())
        self.linear.append(Flatten())
        self.linear.append(FullyConnected(out_features=18))
        self.linear.append(Activation("relu"))
        self.linear.append(FullyConnected(out_features=self.config.problem_number_of_categories))

    def call(self, image: ITensor) -> NetworkOutput:
        """The logits of each class."""
        net = image.astype("float32")
        for layer in self.linear:
            net = layer(net)
        return NetworkOutput(class_id=net)
