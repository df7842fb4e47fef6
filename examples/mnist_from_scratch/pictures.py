"""What the linear model looks for: its weights as ten images."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from babel_dl.core.logging import log_image


def draw_weights(weights: np.ndarray, names: Sequence[str], name: str) -> None:
    """The weights of each class: red where a bright pixel speaks for the class, blue where it speaks against it.

    Args:
        weights: (784, 10).
        names: What the classes are called.
        name: The file in the folder of the run.
    """
    limit = float(np.abs(weights).max())
    figure = Figure(figsize=(11, 5), layout="constrained")
    for place, (column, title) in enumerate(zip(weights.T, names, strict=True), 1):
        axes = figure.add_subplot(2, 5, place)
        axes.axis("off")
        axes.imshow(column.reshape(28, 28), cmap="RdBu_r", vmin=-limit, vmax=limit)
        axes.set_title(title)
    log_image(name, figure)
