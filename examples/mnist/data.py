"""The images: MNIST, or for a quick try the clothes that come with babel_dl, which have the same form."""

from typing import Any

import numpy as np

from babel_dl.core import ITensor
from babel_dl.data import ArrayDataset, load_dataset, load_images
from babel_dl.errors import ShapeError

SEED = 142857
"""The post's."""

SOURCES: dict[str, dict[str, Any]] = {"full": {"name": "mnist"}, "mini": {"name": "fashion_mnist", "data": "mini"}}
"""What `babel_dl.fit` takes as data, by what the command line calls it."""


def load_split(data: str, split: str) -> ArrayDataset:
    """The images of a split, `image`, with their classes, `class_id`.

    Args:
        data: "full" or "mini".
        split: `SPLIT_TRAIN` or `SPLIT_DEV`.
    """
    return load_dataset(**SOURCES[data], split=split)


def samples(data: str, split: str, limit: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The images of a split, (samples, 28, 28, 1), uint8, and their classes, (samples,).

    Args:
        data: "full" or "mini".
        split: `SPLIT_TRAIN` or `SPLIT_DEV`.
        limit: How many, the first ones; None for all.
    """
    images, classes = load_images(**SOURCES[data], split=split)
    return images[:limit, :, :, None], classes[:limit]


def to_unit(image: ITensor) -> ITensor:
    """float32 from 0 to 1. Images travel as uint8, a quarter of the bytes, and are scaled on the device."""
    return image.astype("float32") / 255.0


def to_bytes(images: np.ndarray) -> np.ndarray:
    """The way back, on the host: uint8 from numbers about 0 to 1."""
    return np.round(255.0 * np.clip(images, 0.0, 1.0)).astype(np.uint8)


def check_channels(image: ITensor, in_channels: int, who: str) -> None:
    """Compares the first image with what a network was made for.

    Args:
        image: The first batch.
        in_channels: How many channels were announced.
        who: The network, for the message.

    Raises:
        ShapeError: They differ.
    """
    if image.shape[-1] != in_channels:
        raise ShapeError(f"{who} was made for in_channels={in_channels}, and got images of shape {image.shape}, channels last.")
