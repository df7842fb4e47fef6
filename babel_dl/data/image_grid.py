"""Between pictures as people hold them and pictures as the network takes them: channels last, with a channel axis always there."""

from typing import Any

import numpy as np

from babel_dl.errors import ShapeError


def image_grid_wrap(image: Any) -> np.ndarray:
    """Makes a picture ready for the network: a channel axis is added where there is none. The numbers and their type stay.

    Args:
        image: A picture without a batch axis; an array, or what numpy can read as one.

    Shapes:
        image: (height, width) or (height, width, channels).      returns: (height, width, channels).

    Returns:
        A view of the same memory where the argument is an array.

    Raises:
        ShapeError: `image` has not two or three axes.

    Example:
        >>> image_grid_wrap(np.zeros((28, 28), "uint8")).shape
        (28, 28, 1)
    """
    return _with_channels(image, "image_grid_wrap")


def image_grid_unwrap(grid: Any) -> np.ndarray:
    """Makes a picture of the network ready to look at. The layout of babel_dl is channels last already, so nothing moves.

    Args:
        grid: A picture without a batch axis; an array, or what numpy can read as one.

    Shapes:
        grid: (height, width, channels) or (height, width).      returns: (height, width, channels).

    Returns:
        A view of the same memory where the argument is an array.

    Raises:
        ShapeError: `grid` has not two or three axes.

    Example:
        >>> image_grid_unwrap(np.zeros((28, 28, 1), "uint8"))[:, :, 0].shape
        (28, 28)
    """
    return _with_channels(grid, "image_grid_unwrap")


def _with_channels(image: Any, caller: str) -> np.ndarray:
    array = np.asarray(image)
    if array.ndim not in (2, 3):
        raise ShapeError(
            f"{caller} got an array of shape {array.shape}.\n"
            f"  It takes one picture: (height, width) or (height, width, channels).\n"
            f"  Hand over the pictures of a batch one by one."
        )
    return array[:, :, None] if array.ndim == 2 else array
