"""The primitives of neural networks. Tensors are channels last: (batch, *spatial, channels); kernels are (*spatial, in, out)."""

from abc import ABC, abstractmethod
from typing import Any

Native = Any
Pairs = tuple[tuple[int, int], ...]
"""For each spatial axis how much is added before and after it."""


class Neural(ABC):
    """Layers' arithmetic, for one and two spatial axes. All tensors of a call have one floating dtype unless said otherwise.

    In bfloat16 and float16 what adds up does so in float32 and is rounded once, in gradients as well. Beside a narrow `x` statistics,
    scales and offsets of normalisations may be float32; the result has the type of `x`.
    """

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
    def convolution_transpose(
        self,
        x: Native,
        kernel: Native,
        bias: Native | None,
        stride: tuple[int, ...],
        padding: Pairs,
        dilation: tuple[int, ...],
        groups: int,
    ) -> Native:
        """Each element of x writes the window, times itself, at `stride` times its place; what overlaps adds up.

            full[i * stride + u * dilation] += x[i] @ kernel[u]        size = (n - 1) * stride + (window - 1) * dilation + 1
            result = full[before : size - after] + bias

        x: (batch, *spatial, in); kernel: (*window, in / groups, out); bias: (out,). `before` is at least 0; an `after` below 0 adds places
        that nothing writes to. For one group it is the gradient of a convolution for its input, whose kernel is (*window, out, in).
        """

    @abstractmethod
    def max_pool(self, x: Native, window: tuple[int, ...], stride: tuple[int, ...], padding: Pairs, dilation: tuple[int, ...]) -> Native:
        """The largest of each window; what padding adds is minus infinity. The first largest one takes the gradient."""

    @abstractmethod
    def average_pool(self, x: Native, window: tuple[int, ...], stride: tuple[int, ...], padding: Pairs, count_padding: bool) -> Native:
        """The mean of each window; padded places count as zeros if `count_padding`, else not at all."""

    @abstractmethod
    def upsample(self, x: Native, factors: tuple[int, ...]) -> Native:
        """Each place repeated, `factors[i]` times along spatial axis `i`. x: (batch, *spatial, channels) of any type."""

    @abstractmethod
    def interpolate(self, x: Native, size: tuple[int, ...]) -> Native:
        """Linear along each spatial axis between the centres of places, without smoothing; beyond the outer centres the edge goes on.

        Place `o` of `size` lies at (o + 1/2) * n / size - 1/2 among the n places of `x`, cut to [0, n - 1].
        """

    @abstractmethod
    def batch_norm(self, x: Native, scale: Native | None, offset: Native | None, eps: float) -> tuple[Native, Native, Native]:
        """Normalises by the statistics of the batch, over all axes but the last.

        Returns:
            (x - mean) / sqrt(variance + eps) * scale + offset; the mean; the biased variance. The two statistics have shape
            (channels,), are float32 for a narrow `x`, and carry no gradient of their own.
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
    def leaky_relu(self, x: Native, negative_slope: float) -> Native:
        """x above 0, negative_slope * x below; its gradient at 0 is the slope."""

    @abstractmethod
    def elu(self, x: Native, alpha: float) -> Native:
        """x above 0, alpha * (exp(x) - 1) below; its gradient at 0 is alpha."""

    @abstractmethod
    def gelu(self, x: Native, approximate: bool) -> Native:
        """x times the share of the normal distribution below x: by erf, or by tanh if `approximate`."""

    @abstractmethod
    def silu(self, x: Native) -> Native:
        """x * sigmoid(x)."""

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
