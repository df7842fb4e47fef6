"""Pictures for the folder of the run."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from babel_dl.core.logging import log_image


class Panel(NamedTuple):
    """A diagram with curves.

    Args:
        ylabel: What is measured.
        curves: The values by the name of the curve, one value for each epoch or step, counted from 1.
        xlabel: What is counted.
        is_log: Whether the vertical axis is logarithmic.
    """

    ylabel: str
    curves: Mapping[str, Sequence[float]]
    xlabel: str = "epoch"
    is_log: bool = False


def draw_curves(panels: Sequence[Panel], name: str) -> None:
    """Diagrams side by side.

    Args:
        panels: The diagrams.
        name: The file in the folder of the run.
    """
    figure = Figure(figsize=(5.5 * len(panels), 4), layout="constrained")
    for place, panel in enumerate(panels, 1):
        axes = figure.add_subplot(1, len(panels), place)
        for label, values in panel.curves.items():
            marker = "o" if len(values) <= 30 else None
            style = "--" if label.startswith("the post") else "-"
            axes.plot(range(1, len(values) + 1), values, style, marker=marker, markersize=3, label=label)
        axes.set_xlabel(panel.xlabel)
        axes.set_ylabel(panel.ylabel)
        axes.set_yscale("log" if panel.is_log else "linear")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    log_image(name, figure)


def draw_mistakes(images: np.ndarray, labels: np.ndarray, logits: np.ndarray, names: Sequence[str], title: str, name: str) -> None:
    """The 40 images that the network is most sure of and wrong about, with what it says, how sure it is, and the truth.

    Args:
        images: (samples, 28, 28).
        labels: (samples,), the true classes.
        logits: (samples, classes), the network's answers.
        names: What the classes are called.
        title: Stands above, with the number of mistakes.
        name: The file in the folder of the run.
    """
    probabilities = softmax(logits)
    guesses, certainties = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(guesses != labels)
    chosen = wrong[np.argsort(-certainties[wrong], kind="stable")][:40].tolist()
    figure = Figure(figsize=(15, 9), layout="constrained")
    figure.suptitle(f"{title}: {len(wrong)} of {len(labels)} wrong")
    for place, index in enumerate(chosen, 1):
        axes = figure.add_subplot(5, 8, place)
        axes.axis("off")
        axes.imshow(images[index], cmap="gray", vmin=0, vmax=255)
        axes.set_title(f"{names[int(guesses[index])]} {certainties[index]:.0%}, is {names[int(labels[index])]}", fontsize=9)
    log_image(name, figure)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities.

    Args:
        logits: (samples, classes).
    """
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)
