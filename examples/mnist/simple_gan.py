"""The training step of the GAN: one code for PyTorch, TensorFlow and JAX, compiled by each."""

from typing import Any

from babel_dl import ops
from babel_dl.core import ITensor, Module
from babel_dl.core.registry import register_module
from babel_dl.training import Trainer
from examples.mnist.data import to_unit
from examples.mnist.networks import Discriminator, Generator

SURE = 0.9


@register_module("simple_gan")
class SimpleGAN(Trainer):
    """A generator that paints, and a discriminator that tells its images from real ones. Each learns by its own optimizer.

        the generator makes small        mean of -log D(G(z))
        the discriminator makes small    (mean of -log D(x)  +  mean of -log(1 - D(G(z)))) / 2

    Args:
        in_channels: Channels of an image.
        img_size: Height and width of an image.
        latent_dim: How many numbers an image is painted from.
        judge: A trained classifier that `evaluate` asks; None if nobody is asked.
        options: Those of `Trainer`; of the optimizers one is named "generator" and one "discriminator".

    Source: Goodfellow et al. 2014, algorithm 1 with one step each; the generator's loss is the one that section 3 recommends.
    """

    def __init__(self, in_channels: int, img_size: int, latent_dim: int, judge: Module | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.generator = Generator(in_channels, img_size)
        self.discriminator = Discriminator(in_channels)
        self.latent_dim = latent_dim
        self.judge = judge

    def train_step(self, batch: Any) -> dict[str, ITensor]:
        """One step of the generator, then one of the discriminator on the images that the generator has just painted."""
        x = to_unit(batch[0].image)

        def generator_loss() -> tuple[ITensor, ITensor]:
            fake = self.paint(x.shape[0])
            return minus_log(self.discriminator(fake)), fake

        def discriminator_loss() -> tuple[ITensor, tuple[ITensor, ITensor]]:
            real = minus_log(self.discriminator(x))
            false = minus_log_of_rest(self.discriminator(ops.stop_gradient(fake)))
            return 0.5 * (real + false), (real, false)

        g, fake = self.minimize(generator_loss, over="generator", has_aux=True)
        d, (d_real, d_fake) = self.minimize(discriminator_loss, over="discriminator", has_aux=True)
        return {"loss/g": g, "loss/d": d, "loss/d_real": d_real, "loss/d_fake": d_fake}

    def evaluate_step(self, batch: Any) -> dict[str, ITensor]:
        """Of how many images the judge is sure what they show. The losses say who is ahead, not how good the images are."""
        fake = self.paint(batch[0].image.shape[0])
        found = {"loss/g": minus_log(self.discriminator(fake))}
        if self.judge is not None:
            sure = ops.softmax(self.judge(255.0 * fake)).max(axis=-1) > SURE
            found["metrics/sure"] = sure.astype("float32").mean()
        return found

    def paint(self, count: int) -> ITensor:
        """Images from noise."""
        return self.generator(self.random.normal((count, self.latent_dim)))


def minus_log(logits: ITensor) -> ITensor:
    """The mean of -log D, where D = sigmoid(logits) is the probability of "real"."""
    return ops.softplus(-logits).mean()


def minus_log_of_rest(logits: ITensor) -> ITensor:
    """The mean of -log(1 - D)."""
    return ops.softplus(logits).mean()
