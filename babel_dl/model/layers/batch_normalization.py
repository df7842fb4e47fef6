"""Batch normalization."""

from __future__ import annotations

import math

from babel_dl.core import variable as variables
from babel_dl.core.variable import is_dry_run
from babel_dl.errors import ArgumentError
from babel_dl.model.layer import Layer
from babel_dl.ops.dispatch import check_same_backend, wrap
from babel_dl.ops.tensor import Tensor, TensorLike


class BatchNormalization(Layer):
    """Normalises each channel by the statistics of the batch, and in evaluation by running ones.

        y = (x - mean) / sqrt(variance + eps) * weight + bias
        running = (1 - momentum) * running + momentum * new        (the running variance takes the unbiased one)

    Mean and variance go over all axes but the last.

    Args:
        eps: Added to the variance; above 0.
        momentum: Weight of the new value in the running statistics, from 0 to 1 (Keras means 1 - this). None makes them the mean over
            all batches so far.
        affine: Whether to learn a scale and an offset for each channel.
        track_running_stats: Whether to keep running statistics; without them evaluation uses those of the batch, too.

    Shapes:
        x: (batch, *any, channels), floating.                        returns: that of x.
        weight, bias, running_mean, running_var: (channels,).        num_batches_tracked: ().

    Raises:
        ArgumentError: `eps` or `momentum` is out of its range.
        ShapeError: `x` has fewer than 2 axes, or not the channels built for.

    Source: Ioffe and Szegedy 2015, algorithm 1; torch.nn.BatchNorm2d in channels-last order.
    """

    casts_parameters = False

    def __init__(
        self, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True, track_running_stats: bool = True
    ) -> None:
        super().__init__()
        if not eps > 0:
            raise ArgumentError(f"BatchNormalization needs eps above 0, and got {eps}.")
        if momentum is not None and not 0 <= momentum <= 1:
            raise ArgumentError(f"BatchNormalization needs a momentum from 0 to 1, or None, and got {momentum}.")
        self.eps = float(eps)
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats

    def build(self, x: TensorLike) -> None:
        """Makes scale, offset and running statistics."""
        if x.ndim < 2:
            self.check_ndim(x, 2, "(batch, channels)")
        self.features = self.known_features(x)
        shape = (self.features,)
        self.weight = self.variable("weight", shape, "ones") if self.affine else None
        self.bias = self.variable("bias", shape, "zeros") if self.affine else None
        if self.track_running_stats:
            self.running_mean = self.variable("running_mean", shape, "zeros", trainable=False)
            self.running_var = self.variable("running_var", shape, "ones", trainable=False)
            self.num_batches_tracked = self.variable("num_batches_tracked", (), "zeros", trainable=False, dtype="int32")

    def call(self, x: TensorLike) -> Tensor:
        """The normalised input; in training the running statistics move."""
        self.check_features(x, self.features)
        check_same_backend(x, self.weight, self.bias, self.running_mean if self.track_running_stats else None)
        backend, native = x.backend, x.native
        scale = None if self.weight is None else self.weight.native
        offset = None if self.bias is None else self.bias.native
        if not self.training and self.track_running_stats:
            mean, variance = self.running_mean.native, self.running_var.native
            return wrap(backend.normalize(native, mean, variance, scale, offset, self.eps), backend)
        y, mean, variance = backend.batch_norm(native, scale, offset, self.eps)
        if self.training and self.track_running_stats:
            self._track(wrap(mean, backend), wrap(variance, backend), math.prod(x.shape[:-1]))
        return wrap(y, backend)

    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        track = mean.backend.kernels.get("track")
        if track is not None and self.momentum is not None and mean.dtype == self.running_mean.static_dtype and not is_dry_run():
            if variables.watches:  # a kernel writes past the variables, and who looks for those in use must hear of them
                for variable in (self.num_batches_tracked, self.running_mean, self.running_var):
                    variables.note_use(variable)
            averages = [self.running_mean.storage, self.running_var.storage]
            factors = (1.0, count / max(count - 1, 1))
            track(self.num_batches_tracked.storage, averages, [mean.native, variance.native], factors, self.momentum)
            return
        self.num_batches_tracked.assign(self.num_batches_tracked + 1)
        new = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        unbiased = variance * (count / max(count - 1, 1))
        self.running_mean.assign(self.running_mean + new * (mean - self.running_mean))
        self.running_var.assign(self.running_var + new * (unbiased - self.running_var))
