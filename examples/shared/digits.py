"""The images: MNIST, or for a quick try the clothes that come with babel_dl, which have the same form."""

import numpy as np

from babel_dl.data import load_images

DIGITS = tuple("0123456789")
CLOTHES = ("T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


def load_digits(data: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images and classes.

    Args:
        data: "full" for MNIST: 60,000 training and 10,000 test images, looked for in the folder that `BABEL_DL_DATA_DIR` names, and
            downloaded if they are nowhere. "mini" for 6,000 and 1,000 images of Fashion-MNIST.
        split: `SPLIT_TRAIN` or `SPLIT_TEST`.

    Shapes:
        images: (samples, 28, 28), uint8.      classes: (samples,), uint8.
    """
    return load_images("mnist", split) if data == "full" else load_images("fashion_mnist", split, data="mini")


def class_names(data: str) -> tuple[str, ...]:
    """What the ten classes are called.

    Args:
        data: As in `load_digits`.
    """
    return DIGITS if data == "full" else CLOTHES
