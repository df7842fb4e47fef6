"""What is trained: the same weights, batches and hyperparameters for every contestant.

Two GANs at batch 64, each with one Adam for the generator and one for the discriminator; a step is the generator's turn, then the
discriminator's on the images just painted.

    dcgan   the networks of seed 000 (carefree-learn on MNIST): convolutions, batch norm, upsampling, bilinear resizing, max pooling
    gan     64-128-784 against 784-128-1, where the overhead of a step dominates

A round includes fetching the batches, drawing the noise, and reading both losses of all steps at the end.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np

from babel_dl.data import load_images
from benchmarks.protocol import Answer, clocked

BATCH_SIZE = 64
LEARNING_RATE = 2e-4
BETA1, BETA2, EPS = 0.5, 0.999, 1e-8
BN_EPS, BN_MOMENTUM = 1e-5, 0.1
STEPS = {"dcgan": 15, "gan": 150}
"""Steps in a round."""
NOISE = {"dcgan": 128, "gan": 64}
"""Numbers that an image is painted from."""
MODELS = tuple(STEPS)

GENERATOR = ((1, 8, 128), (3, 128, 64), (3, 64, 32), (3, 32, 1))
DISCRIMINATOR = ((3, 1, 16), (3, 16, 32), (3, 32, 64), (3, 64, 128))
"""The dcgan's convolutions: window, channels in and out. All but the last are followed by ReLU and batch norm."""


class Rounds(ABC):
    """What all contestants share.

    Attributes:
        model: What is trained.
    """

    model: str

    def __call__(self, number: int) -> Answer:
        """Times a round."""
        return clocked(self.model, STEPS[self.model], self.round)(number)

    @abstractmethod
    def round(self, number: int) -> float:
        """Trains a round, and returns the mean loss of the discriminator."""


class Batch(NamedTuple):
    """What a step gets: images (64, 28, 28, 1), uint8, and noise (64, n), which only a contestant uses that does not draw its own."""

    image: np.ndarray
    noise: np.ndarray


@cache
def arrays() -> np.ndarray:
    """Images (6000, 28, 28, 1), uint8."""
    images, _ = load_images("fashion_mnist", "train", data="mini")
    return images[..., None]


@cache
def given_noise(model: str, count: int) -> np.ndarray:
    """Noise for contestants that do not draw their own: (count, n), float32."""
    return np.random.default_rng(1).normal(size=(count, NOISE[model])).astype(np.float32)


def batches(model: str, number: int) -> Iterator[Batch]:
    """The batches of a round in random order, as a hand-written loop gathers them. Round 0 is in order, for comparisons."""
    images = arrays()
    noise = given_noise(model, len(images))
    order = np.arange(len(images)) if number == 0 else np.random.default_rng(number).permutation(len(images))
    order = np.resize(order, STEPS[model] * BATCH_SIZE)
    for start in range(0, len(order), BATCH_SIZE):
        chosen = order[start : start + BATCH_SIZE]
        yield Batch(images[chosen], noise[chosen])


def weights(model: str) -> dict[str, dict[str, np.ndarray]]:
    """The first weights by network and name, in babel_dl's layout: kernels (*window, in, out), matrices (in, out)."""
    rng = np.random.default_rng(0)

    def layer(name: str, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
        window = int(np.prod(shape[:-2]))
        limit = np.sqrt(6 / (window * (shape[-2] + shape[-1])))
        kernel = rng.uniform(-limit, limit, shape).astype(np.float32)
        return {f"{name}/weight": kernel, f"{name}/bias": np.zeros(shape[-1], np.float32)}

    if model == "gan":
        sizes = {"generator": (NOISE["gan"], 128, 784), "discriminator": (784, 128, 1)}
        return {net: {**layer("0", s[:2]), **layer("1", s[1:])} for net, s in sizes.items()}
    found: dict[str, dict[str, np.ndarray]] = {}
    for net, convolutions in (("generator", GENERATOR), ("discriminator", DISCRIMINATOR)):
        found[net] = {}
        for place, (window, before, after) in enumerate(convolutions):
            found[net].update(layer(str(place), (window, window, before, after)))
            if place + 1 < len(convolutions):
                found[net][f"{place}/scale"], found[net][f"{place}/offset"] = np.ones(after, np.float32), np.zeros(after, np.float32)
    return found
