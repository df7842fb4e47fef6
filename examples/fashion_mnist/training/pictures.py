"""Pictures for the folder of the run. Looking at them finds what numbers hide."""

from typing import Any

import numpy as np
from datasets.problem import CLASS_NAMES
from matplotlib.figure import Figure

from babel_dl.core import Module
from babel_dl.core.logging import log_image
from babel_dl.data import Dataset, image_grid_unwrap


def draw_samples(data: Dataset, model: Module | None, title: str, name: str) -> None:
    """24 images with their classes; with a model, what it says and how sure it is, red where it is wrong."""
    figure = Figure(figsize=(16, 7))
    figure.suptitle(title)
    for place, index in enumerate(np.linspace(0, len(data) - 1, 24).astype(int)):
        feat, label = data[int(index)]
        axes = figure.add_subplot(3, 8, place + 1)
        axes.axis("off")
        axes.imshow(image_grid_unwrap(feat.image)[:, :, 0], cmap="gray", vmin=0, vmax=255)
        truth, text, color = int(label.class_id), CLASS_NAMES[int(label.class_id)], "black"
        if model is not None:
            probabilities = softmax(model.predict(image=feat.image).class_id)
            guess = int(probabilities.argmax())
            text, color = f"{CLASS_NAMES[guess]} {probabilities[guess]:.0%}", "black" if guess == truth else "firebrick"
        axes.set_title(text, color=color, fontsize=10)
    log_image(name, figure)


def draw_history(rows: list[dict[str, Any]], name: str) -> None:
    """Loss and accuracy by epoch, on training and dev data."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    for place, (metric, label) in enumerate((("loss/total", "loss"), ("metrics/ca", "accuracy"))):
        axes = figure.add_subplot(1, 2, place + 1)
        for split, style in (("train", "--"), ("dev", "-")):
            chosen = [row for row in rows if row["split"] == split]
            axes.plot([row["epoch"] for row in chosen], [row[metric] for row in chosen], style, marker="o", markersize=3, label=split)
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    log_image(name, figure)


def draw_confusion(data: Dataset, predictions: list[Any], name: str) -> None:
    """How often each class was taken for each other one."""
    counts = np.zeros((10, 10), int)
    for (_, label), prediction in zip(data, predictions, strict=True):
        counts[int(label.class_id), int(np.argmax(prediction.class_id))] += 1
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(8, 7), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(10), CLASS_NAMES, rotation=45, ha="right")
    axes.set_yticks(range(10), CLASS_NAMES)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for row, column in np.ndindex(10, 10):
        if counts[row, column]:
            color = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, counts[row, column], ha="center", va="center", fontsize=8, color=color)
    axes.set_title(f"Dev accuracy {np.trace(counts) / counts.sum():.1%}")
    log_image(name, figure)


def softmax(x: np.ndarray) -> np.ndarray:
    """Probabilities from logits."""
    exponentials = np.exp(x - x.max())
    return exponentials / exponentials.sum()
