"""What is asked: 10,000 images in batches of 256, and one image at a time; numpy arrays of uint8 in, numpy arrays of logits out.

The network is that of the workload "conv": convolutions of 32, 64 and 128 filters with pooling, and a dense layer of 256.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.protocol import Answer, Contestant, microseconds

COUNT, BATCH_SIZE, CALLS = 10_000, 256, 100
MODEL = "conv"


def images() -> np.ndarray:
    """Images (10000, 28, 28, 1), uint8; noise, for nobody looks at the answers."""
    return np.random.default_rng(0).integers(0, 256, (COUNT, 28, 28, 1), np.uint8)


def batches(images: np.ndarray) -> Iterator[np.ndarray]:
    """One after the other; the last one has 16 images."""
    for start in range(0, len(images), BATCH_SIZE):
        yield images[start : start + BATCH_SIZE]


def asked(many: Callable[[], object], one: Callable[[], object]) -> Contestant:
    """The contestant.

    Args:
        many: Answers all images in batches.
        one: Answers a single one.
    """

    def answer(number: int) -> Answer:
        latency = statistics.median(microseconds(one) for _ in range(CALLS))
        return Answer({"per image of 256": microseconds(many, COUNT), "one image": latency})

    return answer


def asked_in_batches(predict: Callable[[np.ndarray], np.ndarray]) -> Contestant:
    """The contestant that has one function for both.

    Args:
        predict: From images (batch, 28, 28, 1), uint8, to logits (batch, 10).
    """
    data = images()
    single = data[:1]
    return asked(lambda: np.concatenate([predict(batch) for batch in batches(data)]), lambda: predict(single))
