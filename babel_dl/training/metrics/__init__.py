"""Numbers that say how good a prediction is: one for each sample, and means over many batches."""

from babel_dl.core.registry import register_metric
from babel_dl.training.metrics.base import Metric
from babel_dl.training.metrics.classification import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    TopKAccuracy,
)
from babel_dl.training.metrics.mean import Mean
from babel_dl.training.metrics.streaming import NonFinite, StreamingMean, StreamingMeans

__all__ = [
    "Accuracy", "BinaryAccuracy", "CategoricalAccuracy", "Mean", "Metric", "NonFinite", "SparseCategoricalAccuracy", "StreamingMean",
    "StreamingMeans", "TopKAccuracy", "register_metric",
]
