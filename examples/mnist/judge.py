"""What a trained classifier says about painted images."""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np

from babel_dl.core import Module, TensorSpec, logging
from babel_dl.errors import CheckpointError
from babel_dl.training.checkpoint import read_checkpoint
from examples.mnist import classification
from examples.mnist.simple_conv import SimpleConvClassifier
from examples.shared.pictures import softmax

SURE = 0.9
"""Above which probability the judge is sure."""


class Verdict(NamedTuple):
    """What the judge says.

    Args:
        sure: The share of the images of which it is sure what they show.
        counts: How often it saw each class, sure or not.
        counts_sure: How often it was sure of each class.
    """

    sure: float
    counts: list[int]
    counts_sure: list[int]


def add_judge_option(parser: argparse.ArgumentParser) -> None:
    """Adds `--judge` to a command line."""
    parser.add_argument("--judge", default=None, metavar="FILE", help="a checkpoint of examples.mnist.classification, of any backend")


def find_judge(path: str | None, data: str) -> Module:
    """The judge of a checkpoint, or else a new one.

    Args:
        path: The checkpoint; None to train one.
        data: What to train it on: "full" or "mini".

    Raises:
        CheckpointError: The checkpoint cannot be read, or holds no such classifier.
    """
    if path is not None:
        return load_judge(path)
    logging.info("First the judge.")
    return classification.train(data, epochs=1, run_folder=False).model


def load_judge(path: str | Path) -> Module:
    """The classifier of a checkpoint.

    Args:
        path: The file, written by `examples.mnist.classification` on any backend.

    Raises:
        CheckpointError: It cannot be read, or holds no such classifier.
    """
    tensors = read_checkpoint(path).tensors
    weights = {name.removeprefix("model"): value for name, value in tensors.items() if name.startswith("model/")}
    if not weights:
        raise CheckpointError(f"The checkpoint '{path}' holds no model. Give one that examples.mnist.classification wrote.")
    judge = SimpleConvClassifier(in_channels=1, num_classes=10)
    return judge.build_from(TensorSpec((None, 28, 28, 1), "uint8")).load_state_dict(weights)


def look(judge: Module, images: np.ndarray) -> np.ndarray:
    """The judge's probability for each class, (samples, classes).

    Args:
        judge: A trained classifier.
        images: (samples, height, width, channels), uint8.
    """
    return softmax(classification.logits_of(judge, images))


def give_verdict(probabilities: np.ndarray) -> Verdict:
    """The verdict.

    Args:
        probabilities: (samples, classes), from `look`.
    """
    classes, is_sure = probabilities.argmax(axis=1), probabilities.max(axis=1) > SURE
    num_classes = probabilities.shape[1]
    seen, sure = np.bincount(classes, minlength=num_classes), np.bincount(classes[is_sure], minlength=num_classes)
    return Verdict(float(is_sure.mean()), seen.tolist(), sure.tolist())
