"""What is trained: the same data, batches and hyperparameters for every contestant.

    mlp     784-64-10, batch 32, SGD with Nesterov momentum: the overhead of a step dominates
    cnn     the tutorial's network, batch 32, the same rule
    conv    convolutions of 32, 64 and 128 filters with pooling and a dense layer of 256, batch 256, Adam: arithmetic dominates

A round is one epoch or several over the embedded 6,000 images of Fashion-MNIST. It includes fetching the batches, the accuracy, the
learning-rate schedule, and reading loss and accuracy at the end of each epoch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from babel_dl.data import load_images
from benchmarks.protocol import Contestant, clocked

LEARNING_RATE = 0.001
DECAY = 0.1 / 1875
MOMENTUM = 0.95
BETA1, BETA2, EPS = 0.9, 0.999, 1e-8
BN_EPS, BN_MOMENTUM = 1e-5, 0.1

CNN = (1, 12, 18, 18, 18)
CONV = (1, 32, 64, 128)
"""Channels before and after each convolution."""


class Settings(NamedTuple):
    """How much a round is: steps in an epoch, and epochs."""

    batch_size: int
    rule: str
    epochs: int

    @property
    def steps(self) -> int:
        """In an epoch; a last batch that is not full is left out."""
        return 6000 // self.batch_size


SETTINGS = {"mlp": Settings(32, "sgd", 4), "cnn": Settings(32, "sgd", 1), "conv": Settings(256, "adam", 1)}


def learning_rate(step: int) -> float:
    """The seed's schedule."""
    return LEARNING_RATE * math.exp(-DECAY * step)


def learning_rates(first: int, count: int) -> np.ndarray:
    """The schedule for so many steps, float32."""
    return np.array([learning_rate(step) for step in range(first, first + count)], np.float32)


@cache
def arrays() -> tuple[np.ndarray, np.ndarray]:
    """Images (6000, 28, 28, 1) and labels (6000,), both uint8."""
    images, labels = load_images("fashion_mnist", "train", data="mini")
    return images[..., None], labels


def order(model: str, epoch: int) -> np.ndarray:
    """Which images each batch of an epoch has: (steps, batch), in random order."""
    batch_size, steps = SETTINGS[model].batch_size, SETTINGS[model].steps
    return np.random.default_rng(epoch).permutation(6000)[: steps * batch_size].reshape(steps, batch_size)


def batches(model: str, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The batches of an epoch, as a hand-written loop gathers them."""
    images, labels = arrays()
    for chosen in order(model, epoch):
        yield images[chosen], labels[chosen]


def weights(model: str) -> dict[str, np.ndarray]:
    """First weights after Glorot: kernels (*window, in, out), matrices (in, out); in the order of the layers."""
    random = np.random.default_rng(0)

    def drawn(*shape: int) -> np.ndarray:
        limit = np.sqrt(6 / (math.prod(shape[:-2]) * (shape[-2] + shape[-1])))
        return random.uniform(-limit, limit, shape).astype(np.float32)

    sizes = {"mlp": (784, 64, 10), "cnn": (18, 18, 10), "conv": (3 * 3 * 128, 256, 10)}[model]
    found = {}
    for place, (before, after) in enumerate(pairwise({"mlp": (), "cnn": CNN, "conv": CONV}[model])):
        found[f"kernel{place}"], found[f"shift{place}"] = drawn(3, 3, before, after), np.zeros(after, np.float32)
    for place, (before, after) in enumerate(pairwise(sizes)):
        found[f"weight{place}"], found[f"bias{place}"] = drawn(before, after), np.zeros(after, np.float32)
    for place, channels in enumerate(CNN if model == "cnn" else ()):
        found[f"scale{place}"], found[f"offset{place}"] = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    return found


def trained(model: str, run: Callable[[int], float]) -> Contestant:
    """The contestant.

    Args:
        model: What it trains.
        run: Trains one epoch of that number, and returns its mean loss.
    """
    epochs = SETTINGS[model].epochs

    def run_epochs(number: int) -> float:
        return [run(number * epochs + epoch) for epoch in range(epochs)][-1]

    return clocked(model, epochs * SETTINGS[model].steps, run_epochs)
