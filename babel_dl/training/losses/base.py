"""The base of losses: what training makes small."""

from __future__ import annotations

from typing import Any, ClassVar

from babel_dl.core.logged import log_value
from babel_dl.core.module import Module
from babel_dl.core.precision import FLOAT32
from babel_dl.core.variable import Variable
from babel_dl.ops.dispatch import as_tensor


class Loss(Module):
    """A module that says how far a prediction is from the truth. A subclass writes `call`.

    The trainer needs a scalar. The losses of this package give a value for each sample or element, so that users weight, mask, add and
    take the `mean()` themselves. Parts and metrics are reported on the way by `log`.

    Attributes:
        compares_tensors: Whether `call` takes one tensor of each side, as the losses of this package do, and not all that the model
            answered and the dataset says. `babel_dl.fit` picks the tensors then.

    Example:
        >>> from babel_dl import ops
        >>> class Distance(Loss):
        ...     def call(self, y_pred, y_true):
        ...         self.log("metrics/bias", (y_pred - y_true).mean())
        ...         return ops.abs(y_pred - y_true).mean()
        >>> float(Distance()(ops.asarray([1.0, 2.0]), ops.asarray([0.0, 0.0])))
        1.5
    """

    compares_tensors: ClassVar[bool] = False
    _precision = FLOAT32  # unless one is told otherwise itself: a total over a batch has no room in 8 bits

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The loss: a scalar, or named scalars with their total as "loss". A subclass writes `call(self, y_pred, y_true)`.

        Args:
            args: What the model answered, and what the dataset says: tensors, or named tuples of tensors.
            kwargs: With a third parameter `inputs`, what the model was given.

        Raises:
            NotImplementedError: The subclass did not write it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no computation. Write: def call(self, y_pred, y_true): ... return a scalar")

    def log(self, name: str, value: Any) -> None:
        """Reports a scalar beside the loss: a metric, or a part of the loss. It stays on the device, so it costs no waiting.

        Logged again under the same name in a step, it replaces the first. What was logged is averaged over the samples of an epoch.

        Args:
            name: How it is shown, such as "metrics/ca".
            value: A scalar: a tensor, a native, a variable or a number.

        Raises:
            ShapeError: The value is not a scalar.
        """
        # A variable may be changed in place before its value is read: what is logged is the value of now.
        log_value(name, value.value.copy() if isinstance(value, Variable) else as_tensor(value))
