"""The same step by hand in PyTorch: as the manuals and the seed show it, and as well as we know how."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from benchmarks.custom_step import task
from benchmarks.protocol import Setup


class Upsample(nn.Module):
    """Twice as many places, or another size."""

    def __init__(self, size: int | None = None) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Nearest by the factor 2; bilinear to a size."""
        if self.size is None:
            return nn.functional.interpolate(x, scale_factor=2)
        return nn.functional.interpolate(x, size=self.size, mode="bilinear")


class Painted(nn.Module):
    """Noise (batch, 128) as 4 x 4 places of 8 channels; babel_dl's order is channels last."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """A view."""
        return z.view(-1, 4, 4, 8).permute(0, 3, 1, 2)


def networks(model: str) -> tuple[nn.Sequential, nn.Sequential]:
    """The generator and the discriminator."""
    layers: list[nn.Module]
    if model == "gan":
        layers = [nn.Linear(task.NOISE["gan"], 128), nn.ReLU(), nn.Linear(128, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28))]
        return nn.Sequential(*layers), nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 1))
    layers = [Painted()]
    for place, (window, before, after) in enumerate(task.GENERATOR):
        layers += [Upsample()] if place else []
        layers += [nn.Conv2d(before, after, window, padding=window // 2)]
        layers += [nn.ReLU(inplace=True), nn.BatchNorm2d(after)] if place + 1 < len(task.GENERATOR) else [Upsample(28)]
    generator, layers = nn.Sequential(*layers), []
    for place, (window, before, after) in enumerate(task.DISCRIMINATOR):
        layers += [nn.Conv2d(before, after, window, padding=window // 2)]
        if place + 1 < len(task.DISCRIMINATOR):
            layers += [nn.ReLU(inplace=True), nn.BatchNorm2d(after), nn.MaxPool2d(2)]
    return generator, nn.Sequential(*layers)


def load(net: nn.Sequential, values: dict[str, np.ndarray]) -> None:
    """Gives a network the task's first weights."""
    place = -1
    with torch.no_grad():
        for layer in net:
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                place += 1
                kernel = torch.from_numpy(values[f"{place}/weight"])
                layer.weight.copy_(kernel.permute(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T)
                layer.bias.copy_(torch.from_numpy(values[f"{place}/bias"]))  # type: ignore[union-attr]


def contestant(setup: Setup) -> Contestant:
    """The twin of a style; it draws its noise, unless it is given."""
    return Contestant(setup.workload, setup.style, setup.option != "given")


class Contestant(task.Rounds):
    """Trains rounds.

    Args:
        model: What.
        style: "manual" for the usual loop; "best" with channels last and fused optimizers.
        draws: Whether the step draws its noise.
    """

    def __init__(self, model: str, style: str, draws: bool) -> None:
        self.model, self.draws = model, draws
        self.memory = torch.channels_last if style == "best" and model == "dcgan" else torch.contiguous_format
        self.generator, self.discriminator = (net.to(memory_format=self.memory) for net in networks(model))  # type: ignore[call-overload]
        first = task.weights(model)
        load(self.generator, first["generator"])
        load(self.discriminator, first["discriminator"])
        options = {"lr": task.LEARNING_RATE, "betas": (task.BETA1, task.BETA2), "eps": task.EPS, "fused": style == "best"}
        self.rules = [torch.optim.Adam(net.parameters(), **options) for net in (self.generator, self.discriminator)]
        self.criterion = nn.BCEWithLogitsLoss()

    def step(self, batch: task.Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """The generator's turn, then the discriminator's."""
        real = torch.from_numpy(batch.image).permute(0, 3, 1, 2).float() / 127.5 - 1.0
        real = real.contiguous(memory_format=self.memory)
        z = torch.randn(len(real), task.NOISE[self.model]) if self.draws else torch.from_numpy(batch.noise)
        self.discriminator.requires_grad_(False)
        fake = self.generator(z)
        logits = self.discriminator(fake)
        g_loss = self.criterion(logits, torch.ones_like(logits))
        self.rules[0].zero_grad()
        g_loss.backward()
        self.rules[0].step()
        self.discriminator.requires_grad_(True)
        on_fake, on_real = self.discriminator(fake.detach()), self.discriminator(real)
        d_loss = 0.5 * (self.criterion(on_fake, torch.zeros_like(on_fake)) + self.criterion(on_real, torch.ones_like(on_real)))
        self.rules[1].zero_grad()
        d_loss.backward()
        self.rules[1].step()
        return g_loss.detach(), d_loss.detach()

    def losses(self, number: int = 0) -> np.ndarray:
        """Both losses of each step of a round, (steps, 2)."""
        return torch.stack([torch.stack(self.step(batch)) for batch in task.batches(self.model, number)]).numpy()

    def round(self, number: int) -> float:
        """One round; the mean loss of the discriminator."""
        return float(self.losses(number)[:, 1].mean())
