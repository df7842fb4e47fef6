"""What is trained: the same data, batches and hyperparameters for every contestant.

A round is one epoch over the embedded 6,000 images of Fashion-MNIST: 187 steps of 32 images. It includes fetching the batches, the
accuracy, the learning-rate schedule, and reading loss and accuracy at the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from babel_dl.data import load_images

BATCH_SIZE = 32
LEARNING_RATE = 0.001
DECAY = 0.1 / 1875
MOMENTUM = 0.95
STEPS = 6000 // BATCH_SIZE
MODELS = ("cnn", "mlp")


def learning_rate(step: int) -> float:
    """The seed's schedule."""
    return LEARNING_RATE * math.exp(-DECAY * step)


def arrays() -> tuple[np.ndarray, np.ndarray]:
    """Images (6000, 28, 28, 1) and labels (6000,), both uint8."""
    images, labels = load_images("fashion_mnist", "train", data="mini")
    return images[..., None], labels


def batches(images: np.ndarray, labels: np.ndarray, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The batches of an epoch in random order, as a hand-written loop gathers them."""
    order = np.random.default_rng(epoch).permutation(len(images))
    for start in range(0, STEPS * BATCH_SIZE, BATCH_SIZE):
        chosen = order[start : start + BATCH_SIZE]
        yield images[chosen], labels[chosen]
