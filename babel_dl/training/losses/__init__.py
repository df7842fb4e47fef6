"""What training makes small. Accuracies are here too, because a loss logs them; more of them are in `babel_dl.training.metrics`."""

from babel_dl.core.registry import register_loss
from babel_dl.training.losses.base import Loss
from babel_dl.training.losses.classification import (
    BinaryCrossEntropyLossFromLogits,
    CrossEntropyLossFromLogits,
    SparseCrossEntropyLossFromLogits,
)
from babel_dl.training.losses.labels import check_labels
from babel_dl.training.losses.masking import Masked, Weighted, masked_mean, weighted_mean
from babel_dl.training.losses.regression import MeanAbsoluteError, MeanSquaredError, SmoothL1Loss
from babel_dl.training.metrics import BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy, TopKAccuracy

__all__ = [
    "BinaryAccuracy", "BinaryCrossEntropyLossFromLogits", "CategoricalAccuracy", "CrossEntropyLossFromLogits", "Loss", "Masked",
    "MeanAbsoluteError", "MeanSquaredError", "SmoothL1Loss", "SparseCategoricalAccuracy", "SparseCrossEntropyLossFromLogits",
    "TopKAccuracy", "Weighted", "check_labels", "masked_mean", "register_loss", "weighted_mean",
]
