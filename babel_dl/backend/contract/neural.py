"""The primitives of neural networks. Tensors are channels last: (batch, *spatial, channels); kernels are (*spatial, in, out)."""

from abc import ABC, abstractmethod
from typing import Any

Native = Any
Pairs = tuple[tuple[int, int], ...]
"""For each spatial axis how much is added before and after it."""


class Neural(ABC):
    """Layers' arithmetic, for one and two spatial axes. All tensors of a call have one floating dtype unless said otherwise."""

    @abstractmethod
    def linear(self, x: Native, kernel: Native, bias: Native | None) -> Native:
        """x @ kernel + bias over the last axis. x: (*batch, in); kernel: (in, out); bias: (out,)."""

    @abstractmethod
    def convolution(
        self,
        x: Native,
        kernel: Native,
        bias: Native | None,
        stride: tuple[int, ...],
        padding: Pairs,
        dilation: tuple[int, ...],
        groups: int,
    ) -> Native:
        """Cross-correlation with zeros around. x: (batch, *spatial, in); kernel: (*window, in / groups, out); bias: (out,)."""

    @abstractmethod
    def max_pool(self, x: Native, window: tuple[int, ...], stride: tuple[int, ...], padding: Pairs, dilation: tuple[int, ...]) -> Native:
        """The largest of each window; what padding adds is minus infinity. The first largest one takes the gradient."""

    @abstractmethod
    def average_pool(self, x: Native, window: tuple[int, ...], stride: tuple[int, ...], padding: Pairs, count_padding: bool) -> Native:
        """The mean of each window; padded places count as zeros if `count_padding`, else not at all."""

    @abstractmethod
    def batch_norm(self, x: Native, scale: Native | None, offset: Native | None, eps: float) -> tuple[Native, Native, Native]:
        """Normalises by the statistics of the batch, over all axes but the last.

        Returns:
            (x - mean) / sqrt(variance + eps) * scale + offset; the mean; the biased variance. The two statistics have shape
            (channels,), and carry no gradient of their own.
        """

    @abstractmethod
    def normalize(self, x: Native, mean: Native, variance: Native, scale: Native | None, offset: Native | None, eps: float) -> Native:
        """(x - mean) / sqrt(variance + eps) * scale + offset with given statistics of shape (channels,)."""

    @abstractmethod
    def layer_norm(self, x: Native, num_axes: int, scale: Native | None, offset: Native | None, eps: float) -> Native:
        """Normalises each sample over its last `num_axes` axes; scale and offset have the shape of these."""

    @abstractmethod
    def relu(self, x: Native) -> Native:
        """max(x, 0); its gradient at 0 is 0."""

    @abstractmethod
    def sigmoid(self, x: Native) -> Native:
        """1 / (1 + exp(-x))."""

    @abstractmethod
    def softplus(self, x: Native) -> Native:
        """log(1 + exp(x)), without overflow, exact at both ends."""

    @abstractmethod
    def softmax(self, x: Native, axis: int) -> Native:
        """exp(x) / sum(exp(x)), without overflow."""

    @abstractmethod
    def log_softmax(self, x: Native, axis: int) -> Native:
        """x - log(sum(exp(x))), without overflow."""

    @abstractmethod
    def sparse_cross_entropy(self, logits: Native, labels: Native) -> Native:
        """-log_softmax(logits)[label] for each sample. logits: (*batch, classes); labels: (*batch,), any integer type.

        A label outside of the classes gives NaN for its sample: a compiled function cannot raise, and a NaN is found.
        """
