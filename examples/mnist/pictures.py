"""Pictures for the folder of the run: sheets of small images."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from babel_dl.core.logging import log_image


def draw_sheet(images: np.ndarray, columns: int, title: str, name: str) -> None:
    """Images side by side, row by row, without space between them.

    Args:
        images: (samples, height, width, 1), uint8. There are as many rows as fill up; what is left over is not shown.
        columns: Images in a row.
        title: Stands above.
        name: The file in the folder of the run.
    """
    rows, (height, width) = len(images) // columns, images.shape[1:3]
    grid = images[: rows * columns, :, :, 0].reshape(rows, columns, height, width)
    sheet = grid.transpose(0, 2, 1, 3).reshape(rows * height, columns * width)
    figure = Figure(figsize=(0.7 * columns, 0.7 * rows + 0.6), layout="constrained")
    figure.suptitle(title)
    axes = figure.add_subplot()
    axes.axis("off")
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=255)
    log_image(name, figure)


def draw_reconstructions(originals: np.ndarray, painted: np.ndarray, name: str) -> None:
    """40 images, and below each row of them what became of it.

    Args:
        originals: (samples, height, width, 1), uint8; at least 40.
        painted: The same shape.
        name: The file in the folder of the run.
    """
    pairs = [(originals[start : start + 10], painted[start : start + 10]) for start in range(0, 40, 10)]
    draw_sheet(np.concatenate([half for pair in pairs for half in pair]), 10, "Originals, and below them their reconstructions", name)


def draw_counts(counts: Sequence[int], names: Sequence[str], title: str, name: str) -> None:
    """A bar for each class.

    Args:
        counts: How often each class was seen.
        names: What the classes are called.
        title: Stands above.
        name: The file in the folder of the run.
    """
    figure = Figure(figsize=(8, 3.5), layout="constrained")
    axes = figure.add_subplot()
    axes.bar(range(len(counts)), counts, color="steelblue")
    axes.axhline(sum(counts) / len(counts), color="gray", linestyle="--", linewidth=1)
    axes.set_xticks(range(len(counts)), names, rotation=0 if max(map(len, names)) < 3 else 30)
    axes.set_title(title)
    log_image(name, figure)


def walk(start: np.ndarray, end: np.ndarray, count: int) -> np.ndarray:
    """Points on the great circle from one normal draw to another; on a straight line the middle would be too short for a normal draw.

    Args:
        start: (dim,).
        end: (dim,).
        count: How many points, both ends included; at least 2.

    Shapes:
        returns: (count, dim).
    """
    lengths = np.linalg.norm(start), np.linalg.norm(end)
    angle = np.arccos(np.clip(start @ end / (lengths[0] * lengths[1]), -1.0, 1.0))
    shares = np.linspace(0.0, 1.0, count)[:, None]
    if np.sin(angle) < 1e-6:
        return (1 - shares) * start + shares * end
    return (np.sin((1 - shares) * angle) * start + np.sin(shares * angle) * end) / np.sin(angle)


def to_bytes(images: np.ndarray) -> np.ndarray:
    """uint8 images from numbers about 0 to 1."""
    return np.round(255 * np.clip(images, 0.0, 1.0)).astype(np.uint8)
