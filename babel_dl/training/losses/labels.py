"""Finds labels outside of the classes. A compiled function cannot raise, so there the loss is NaN; here the sample is named."""

from __future__ import annotations

from typing import Any

import numpy as np

from babel_dl.core.diagnosing import is_diagnosing
from babel_dl.core.module import Module
from babel_dl.errors import ArgumentError, DTypeError
from babel_dl.ops.tensor import TensorLike
from babel_dl.training.metrics.matching import title


def check_labels(labels: Any, num_classes: int, name: str = "labels", ignore_label: int | None = None) -> None:
    """Refuses a label that is no class.

    Args:
        labels: An array on the host, of any shape and any integer type.
        num_classes: How many classes there are.
        name: What messages call the labels.
        ignore_label: A value that is allowed beside the classes.

    Raises:
        ArgumentError: A label is outside of the classes: its value, its place and the allowed range are named.
        DTypeError: The labels are no integers.

    Example:
        >>> check_labels(np.array([0, 9]), 10)
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu":
        raise DTypeError(f"{name} must be of an integer type, and got {labels.dtype}. Cast them: {name}.astype('int32').")
    wrong = (labels < 0) | (labels >= num_classes)
    if ignore_label is not None:
        wrong &= labels != ignore_label
    if not wrong.any():
        return
    place = [int(i) for i in np.unravel_index(int(np.argmax(wrong)), labels.shape)]
    value, others = int(labels[tuple(place)]), int(wrong.sum()) - 1
    raise ArgumentError(
        f"{name}{place or ''} is {value}, and there are {num_classes} classes: whole numbers from 0 to {num_classes - 1} are allowed.\n"
        f"  Of the {labels.size} labels, {others} more {'is' if others == 1 else 'are'} outside.\n"
        f"  Correct the data, let the model have more classes, or leave such samples out: Masked(loss, ignore_label={value})."
    )


def check_if_diagnosing(owner: Module, labels: TensorLike, num_classes: int) -> None:
    """`check_labels` on labels of the device while the cause of a NaN is looked for (`babel_dl.core.diagnosing`); else nothing.

    Raises:
        ArgumentError: A label is outside of the classes.
    """
    if is_diagnosing() and not labels.backend.is_traced(labels.native):
        check_labels(labels.numpy(), num_classes, f"{title(owner)}: y_true")
