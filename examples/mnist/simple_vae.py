"""The variational auto-encoder of the post, and its loss."""

from babel_dl import ops
from babel_dl.core import ITensor, Module, RandomStream
from babel_dl.core.registry import register_loss, register_module
from babel_dl.data.sources import ClassOutput, ImageInput
from babel_dl.model.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Flatten,
    FullyConnected,
    MaxPooling2D,
    Reshape,
    Resize,
    Sequential,
    UpsampleConv2D,
)
from babel_dl.training.losses import Loss
from examples.mnist.data import check_channels, to_unit

LATENT_DIM = 64
KLD_WEIGHT = 0.001


@register_module("simple_vae")
class SimpleVAE(Module):
    """Describes an image by a normal distribution over 64 numbers, draws from it, and paints the image from the draw.

    Args:
        in_channels: Channels of an image.
        img_size: Height and width of an image.

    Shapes:
        image: (batch, img_size, img_size, in_channels), from 0 to 255.
        returns: a dict: "mu" and "log_var", (batch, 64), and "image", shaped like the image, about from 0 to 1.

    Raises:
        ShapeError: The images have other channels.
    """

    def __init__(self, in_channels: int, img_size: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        encoder = []
        for filters in (16, 32, 64):
            encoder += [Conv2D(filters, 3), Activation("relu"), BatchNormalization(), MaxPooling2D()]
        self.encoder = Sequential(*encoder, Conv2D(128, 3), Activation("relu"), Flatten(), FullyConnected(2 * LATENT_DIM))
        decoder = [FullyConnected(4 * 4 * 128), Reshape((4, 4, 128)), Activation("relu"), BatchNormalization()]
        for filters in (64, 32):
            decoder += [UpsampleConv2D(filters, 3, factor=2), Activation("relu"), BatchNormalization()]
        self.decoder = Sequential(*decoder, UpsampleConv2D(in_channels, 3, factor=2), Resize(img_size, mode="bilinear"))
        self.noise = RandomStream()

    def build(self, image: ITensor) -> None:
        """Checks the first image; the layers see its size by themselves."""
        check_channels(image, self.in_channels, "simple_vae")

    def call(self, image: ITensor) -> dict[str, ITensor]:
        """The distribution, and the image painted from a draw of it."""
        net = self.encoder(to_unit(image))
        mu, log_var = net[:, :LATENT_DIM], net[:, LATENT_DIM:]
        latent = mu + ops.exp(0.5 * log_var) * self.noise.normal(mu.shape)
        return {"mu": mu, "log_var": log_var, "image": self.decoder(latent)}


@register_loss("simple_vae")
@register_loss("simple_vae_foo")
class SimpleVAELoss(Loss):
    """How far the painted image is from the original, and how far the distribution is from the standard normal one.

        mse = mean((image - original)**2)
        kld = mean over samples of -0.5 * sum(1 + log_var - mu**2 - exp(log_var))
        loss = mse + 0.001 * kld

    Source: Kingma and Welling 2014, appendix B; the weight is the post's.
    """

    def call(self, y_pred: dict[str, ITensor], y_true: ClassOutput, inputs: ImageInput) -> dict[str, ITensor]:
        """The parts, and their total."""
        mse = ops.square(y_pred["image"] - to_unit(inputs.image)).mean()
        mu, log_var = y_pred["mu"], y_pred["log_var"]
        kld = (-0.5 * (1 + log_var - ops.square(mu) - ops.exp(log_var)).sum(axis=1)).mean()
        return {"mse": mse, "kld": kld, "loss": mse + KLD_WEIGHT * kld}
