"""What the model should become good at."""

from datasets.problem import NetworkOutput

from babel_dl.core import ITensor
from babel_dl.training.losses import Loss, SparseCrossEntropyLossFromLogits
from babel_dl.training.metrics import SparseCategoricalAccuracy


class FashionMnistLoss(Loss):
    """Cross entropy; logs the accuracy as `metrics/ca`."""

    def __init__(self) -> None:
        super().__init__()
        self.ce = SparseCrossEntropyLossFromLogits()
        self.ca = SparseCategoricalAccuracy()

    def call(self, y_pred: NetworkOutput, y_true: NetworkOutput) -> ITensor:
        """The mean cross entropy of a batch."""
        self.log("metrics/ca", self.ca(y_pred.class_id, y_true.class_id).mean())
        return self.ce(y_pred.class_id, y_true.class_id).mean()
