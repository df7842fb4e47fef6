"""A GAN as one custom step, and its twin: the loop that one would write by hand in PyTorch, in float64."""

from collections import namedtuple
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from babel_dl import ops, use_backend
from babel_dl.core import Module, RandomStream, current_seed
from babel_dl.data import ArrayDataset
from babel_dl.model.layers import Activation, BatchNormalization, Conv2D, Dropout, Flatten, FullyConnected, Reshape, Sequential
from babel_dl.training import Trainer
from babel_dl.training.losses import BinaryCrossEntropyLossFromLogits
from babel_dl.training.optimizers import Adam
from tests.parity.twin import dropout_masks, to_our_layout, to_torch_layout

Picture = namedtuple("Picture", ["image"])
Nothing = namedtuple("Nothing", ["index"])

NUM_NOISE = 6
RATES = {"generator": 2.0**-10, "discriminator": 2.0**-9}
DROP = {"generator": 0.2, "discriminator": 0.3}


def pictures(count: int = 48) -> ArrayDataset:
    """Bright blobs on 8 x 8 places, (8, 8, 1), in [-1, 1]."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:8, :8]
    centers = rng.uniform(2, 6, size=(count, 2))
    distance = (rows - centers[:, 0, None, None]) ** 2 + (columns - centers[:, 1, None, None]) ** 2
    images = (2 * np.exp(-distance / 4) - 1).astype(np.float32)[..., None]
    return ArrayDataset(Picture(images), Nothing(np.arange(count, dtype=np.int32)), version=f"blobs-{count}")


def make_generator() -> Module:
    """Noise (batch, 6) to pictures (batch, 8, 8, 1)."""
    return Sequential(
        FullyConnected(8 * 8 * 3), Reshape((8, 8, 3)), BatchNormalization(), Activation("gelu"), Dropout(DROP["generator"]),
        Conv2D(1, 3, activation="tanh"),
    )  # fmt: skip


def make_discriminator() -> Module:
    """Pictures to a logit (batch, 1)."""
    return Sequential(
        Conv2D(6, 3, 2, 1, activation="gelu"), BatchNormalization(), Dropout(DROP["discriminator"]),
        Conv2D(8, 3, 2, 1, activation="gelu"), Flatten(), FullyConnected(1),
    )  # fmt: skip


class GAN(Trainer):
    """The generator's turn, then the discriminator's, each with an Adam of its own; the pictures of the first are used in the second."""

    def __init__(self, callbacks: Any = (), **options: Any) -> None:
        rules = {name: Adam(rate, beta1=0.5) for name, rate in RATES.items()}
        super().__init__(callbacks=callbacks, optimizers=rules, **options)
        self.generator, self.discriminator = make_generator(), make_discriminator()
        self.bce = BinaryCrossEntropyLossFromLogits()

    def score(self, images: Any, is_real: float) -> Any:
        """How far the discriminator is from saying so."""
        logits = self.discriminator(images)
        return ops.mean(self.bce(logits, is_real * ops.ones_like(logits)))

    def generated(self, z: Any) -> tuple[Any, Any]:
        """The generator's loss, and its pictures."""
        fake = self.generator(z)
        return self.score(fake, 1.0), fake

    def told_apart(self, real: Any, fake: Any) -> tuple[Any, Any]:
        """The discriminator's loss, and its part on real pictures."""
        on_fake, on_real = self.score(fake, 0.0), self.score(real, 1.0)
        return 0.5 * (on_fake + on_real), on_real

    def train_step(self, batch: Any) -> dict[str, Any]:
        """One turn of each."""
        real = batch[0].image
        z = self.random.normal((len(real), NUM_NOISE))
        g, fake = self.minimize(lambda: self.generated(z), over="generator", has_aux=True)
        d, on_real = self.minimize(lambda: self.told_apart(real, ops.stop_gradient(fake)), over="discriminator", has_aux=True)
        return {"g": g, "d": d, "d_real": on_real}

    def evaluate_step(self, batch: Any) -> dict[str, Any]:
        """How real the real ones look."""
        return {"d_real": self.score(batch[0].image, 1.0)}


class Twin:
    """The same training by hand. Its weights are those of a trainer that was not trained yet.

    Args:
        trainer: A prepared `GAN`.
    """

    def __init__(self, trainer: GAN) -> None:
        gelu, tanh = nn.GELU(), nn.Tanh()
        places = {"generator": "/generator/layers/4", "discriminator": "/discriminator/layers/2"}
        kept = {name: dropout_masks(current_seed(), path, DROP[name]) for name, path in places.items()}
        self.generator = nn.Sequential(
            nn.Linear(NUM_NOISE, 192), nn.Unflatten(1, (8, 8, 3)), ChannelsFirst(), nn.BatchNorm2d(3), gelu,
            Dropped(kept["generator"], DROP["generator"]), nn.Conv2d(3, 1, 3, padding=1), tanh,
        ).double()  # fmt: skip
        self.discriminator = nn.Sequential(
            nn.Conv2d(1, 6, 3, 2, 1), gelu, nn.BatchNorm2d(6), Dropped(kept["discriminator"], DROP["discriminator"]),
            nn.Conv2d(6, 8, 3, 2, 1), gelu, ChannelsLast(), nn.Flatten(), nn.Linear(32, 1),
        ).double()  # fmt: skip
        self.layers = {
            "/generator/layers/0": self.generator[0], "/generator/layers/2": self.generator[3], "/generator/layers/5": self.generator[6],
            "/discriminator/layers/0": self.discriminator[0], "/discriminator/layers/1": self.discriminator[2],
            "/discriminator/layers/3": self.discriminator[4], "/discriminator/layers/5": self.discriminator[8],
        }  # fmt: skip
        self.load(values_of(trainer))
        self.rules = {
            name: torch.optim.Adam(getattr(self, name).parameters(), lr=rate, betas=(0.5, 0.999)) for name, rate in RATES.items()
        }
        with use_backend("torch"):
            self.noise = RandomStream()  # its bits are judged in tests/core; here it is where the noise comes from
            self.noise.path, self.noise._has_place = "/random", True

    def load(self, ours: dict[str, np.ndarray]) -> None:
        """Copies values in our layout."""
        with torch.no_grad():
            for path, value in self.named().items():
                value.copy_(torch.from_numpy(np.array(to_torch_layout(ours[path]) if ours[path].ndim in (2, 4) else ours[path], order="C")))

    def named(self) -> dict[str, torch.Tensor]:
        """Weights and running statistics by our paths."""
        return {f"{path}/{name}": value for path, layer in self.layers.items() for name, value in layer.state_dict(keep_vars=True).items()}

    def canonical(self) -> dict[str, np.ndarray]:
        """The same in our layout."""
        found = {path: value.detach().numpy() for path, value in self.named().items()}
        return {path: to_our_layout(value) if value.ndim in (2, 4) else value for path, value in found.items()}

    def steps(self, batches: Any) -> Iterator[dict[str, float]]:
        """The losses of each step."""
        for batch in batches:
            real = torch.from_numpy(batch[0].image).double().permute(0, 3, 1, 2)
            with use_backend("torch"):
                z = torch.from_numpy(self.noise.normal((len(real), NUM_NOISE)).numpy()).double()
            fake = self.generator(z)
            logits = self.discriminator(fake)
            g = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
            self.move("generator", g)
            logits = self.discriminator(fake.detach())
            on_fake = F.binary_cross_entropy_with_logits(logits, torch.zeros_like(logits))
            logits = self.discriminator(real)
            on_real = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
            d = 0.5 * (on_fake + on_real)
            self.move("discriminator", d)
            yield {"g": g.item(), "d": d.item(), "d_real": on_real.item()}

    def move(self, name: str, loss: torch.Tensor) -> None:
        """One step of one optimizer."""
        self.rules[name].zero_grad()
        loss.backward(inputs=list(getattr(self, name).parameters()))
        self.rules[name].step()


class ChannelsFirst(nn.Module):
    """(batch, height, width, channels) to (batch, channels, height, width)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """A view."""
        return x.permute(0, 3, 1, 2)


class ChannelsLast(nn.Module):
    """The other way."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """A view."""
        return x.permute(0, 2, 3, 1)


class Dropped(nn.Module):
    """Dropout with masks that come from outside, for channels last."""

    def __init__(self, kept: Any, rate: float) -> None:
        super().__init__()
        self.kept, self.rate = kept, rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Drops."""
        last = x.permute(0, 2, 3, 1)
        return torch.where(self.kept(tuple(last.shape)), last / (1 - self.rate), 0.0).permute(0, 3, 1, 2)


def values_of(trainer: Trainer) -> dict[str, np.ndarray]:
    """The values of all modules by attribute and path: `/generator/layers/0/weight`."""
    return {f"/{name}{path}": v.numpy() for name, module in trainer.modules.items() for path, v in module.named_variables.items()}
