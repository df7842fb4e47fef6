"""The base of metrics: numbers that say how good a prediction is, and are not trained on."""

from __future__ import annotations

from typing import Any, ClassVar

from babel_dl.core.module import Module
from babel_dl.core.precision import FLOAT32


class Metric(Module):
    """A module that gives a number for each sample; users take its `mean()`, and log it in their loss.

    A subclass writes `call`. The answer is float32, so that a mean over it is a share between 0 and 1, or a mean in the unit of the values.

    Attributes:
        compares_tensors: Whether `call` takes one tensor of each side, which `babel_dl.fit` picks then, and not all that the model answered
            and the dataset says.

    Example:
        >>> from babel_dl import ops
        >>> class AbsoluteError(Metric):
        ...     def call(self, y_pred, y_true):
        ...         return ops.abs(y_pred - y_true)
        >>> AbsoluteError()(ops.ones(2), ops.zeros(2)).numpy()
        array([1., 1.], dtype=float32)
    """

    compares_tensors: ClassVar[bool] = True
    _precision = FLOAT32  # unless one is told otherwise itself

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """A number for each sample, as a rule from `(y_pred, y_true)`.

        Raises:
            NotImplementedError: The subclass did not write it.
        """
        raise NotImplementedError(f"{type(self).__name__} measures nothing yet. Write: def call(self, y_pred, y_true): ... return values")
