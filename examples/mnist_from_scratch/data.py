"""The post's data: its pickle holds (train, validation, test), and what the post calls "test" is the second part."""

from typing import Any, NamedTuple

import numpy as np

from babel_dl import SPLIT_TEST, SPLIT_TRAIN
from babel_dl.data import ArrayDataset
from examples.shared.digits import load_digits


class Part(NamedTuple):
    """Images and their classes.

    Shapes:
        x: (samples, 784), float32, from 0 to 255/256 as in the pickle.      y: (samples,), uint8.
    """

    x: np.ndarray
    y: np.ndarray


class Input(NamedTuple):
    """What the network sees: `x`, an image as a row of 784 numbers."""

    x: Any


class Output(NamedTuple):
    """What it shall answer: `y`, the class."""

    y: Any


class Data(NamedTuple):
    """The three parts of the pickle: 50,000, 10,000 and 10,000 images.

    Args:
        train: The first five sixths of MNIST's training images.
        post_test: The last sixth of them: what the post calls test, and everybody else validation.
        true_test: MNIST's test images, which the post leaves aside.
    """

    train: Part
    post_test: Part
    true_test: Part


def read_data(data: str) -> Data:
    """All parts.

    Args:
        data: "full" or "mini".
    """
    images, labels = load_digits(data, SPLIT_TRAIN)
    test_images, test_labels = load_digits(data, SPLIT_TEST)
    cut = len(images) * 5 // 6
    return Data(_part(images[:cut], labels[:cut]), _part(images[cut:], labels[cut:]), _part(test_images, test_labels))


def generate_validation_set(train: Part, k: int = 10) -> tuple[Part, Part]:
    """Parts the first k-th off, for validation.

    Args:
        train: What there is.
        k: Which share.

    Returns:
        What is left to train on, and the validation set.
    """
    num_valid = len(train.x) // k
    return Part(train.x[num_valid:], train.y[num_valid:]), Part(train.x[:num_valid], train.y[:num_valid])


def as_dataset(part: Part) -> ArrayDataset:
    """The part as a dataset, from which loaders take batches."""
    return ArrayDataset(Input(part.x), Output(part.y))


def _part(images: np.ndarray, labels: np.ndarray) -> Part:
    return Part(images.reshape(len(images), 784) / np.float32(256), labels)
