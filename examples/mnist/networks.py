"""The two networks of the GAN. Every operation is smooth, so that rounding stays rounding: see the README."""

from babel_dl.core import ITensor, Module
from babel_dl.model.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Conv2DTranspose,
    FullyConnected,
    Lambda,
    Reshape,
    Sequential,
)
from examples.mnist.data import check_channels

ACTIVATION = "silu"


def _normalized(*layers: Module) -> list[Module]:
    return [*layers, BatchNormalization(), Activation(ACTIVATION)]


class Generator(Module):
    """Paints images from noise: 4x4 places, then three times twice as many along each axis, of which the middle is cut out.

    Layers before a batch normalization have no bias: it would be taken off again, and Adam would make steps of rounding.

    Args:
        in_channels: Channels of an image.
        img_size: Height and width of an image; at most 32.

    Shapes:
        z: (batch, latent_dim).      returns: (batch, img_size, img_size, in_channels), from 0 to 1.
    """

    def __init__(self, in_channels: int, img_size: int) -> None:
        super().__init__()
        middle = slice((32 - img_size) // 2, (32 - img_size) // 2 + img_size)
        self.net = Sequential(
            *_normalized(FullyConnected(4 * 4 * 256, use_bias=False), Reshape((4, 4, 256))),
            *_normalized(Conv2DTranspose(128, 4, stride=2, use_bias=False)),
            *_normalized(Conv2DTranspose(64, 4, stride=2, use_bias=False)),
            Conv2DTranspose(in_channels, 4, stride=2),
            Lambda(lambda image: image[:, middle, middle], name="cut"),
            Activation("sigmoid"),
        )

    def call(self, z: ITensor) -> ITensor:
        """The images."""
        return self.net(z)


class Discriminator(Module):
    """Says whether an image is real: four opinions, each on nearly all of the image.

    Args:
        in_channels: Channels of an image.

    Shapes:
        image: (batch, 28, 28, in_channels), from 0 to 1.      returns: (batch, 2, 2, 1), logits: above 0 for real.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.net = Sequential(
            Conv2D(32, 3, stride=2, activation=ACTIVATION),
            *_normalized(Conv2D(64, 3, stride=2, use_bias=False)),
            *_normalized(Conv2D(128, 3, stride=2, use_bias=False)),
            Conv2D(256, 3, activation=ACTIVATION),
            Conv2D(1, 3, padding="valid"),
        )

    def build(self, image: ITensor) -> None:
        """Checks the first image; the layers see its size by themselves."""
        check_channels(image, self.in_channels, "simple_gan")

    def call(self, image: ITensor) -> ITensor:
        """The logits."""
        return self.net(image)
