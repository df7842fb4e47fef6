"""The primitives of neural networks in plain numpy: short, slow, and written from the definitions in `contract.Neural`."""

from collections.abc import Iterator

import numpy as np

Pairs = tuple[tuple[int, int], ...]


def linear(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """x @ kernel + bias."""
    return x @ kernel + (0.0 if bias is None else bias)


def convolution(
    x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None,
    stride: tuple[int, ...], padding: Pairs, dilation: tuple[int, ...], groups: int,
) -> np.ndarray:
    """Cross-correlation: for each offset in the window one product of matrices, for each group apart."""
    window, out_channels = kernel.shape[:-2], kernel.shape[-1]
    width, out_width = x.shape[-1] // groups, out_channels // groups
    total = 0.0 if bias is None else bias
    for offset, part in _windows(x, window, stride, padding, dilation, 0.0):
        groupwise = [
            part[..., g * width:(g + 1) * width] @ kernel[(*offset, slice(None), slice(g * out_width, (g + 1) * out_width))]
            for g in range(groups)
        ]
        total = total + np.concatenate(groupwise, -1)
    return np.asarray(total)


def convolution_transpose(
    x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None,
    stride: tuple[int, ...], padding: Pairs, dilation: tuple[int, ...], groups: int,
) -> np.ndarray:
    """Every place adds its window, for each group apart; what padding cuts off goes, and what it adds is 0."""
    window, out = kernel.shape[:-2], kernel.shape[-1]
    width, out_width = x.shape[-1] // groups, out // groups
    sizes = [(n - 1) * s + (w - 1) * d + 1 for n, s, w, d in zip(x.shape[1:-1], stride, window, dilation, strict=True)]
    full = np.zeros((x.shape[0], *sizes, out))
    for place in np.ndindex(*x.shape[1:-1]):
        for offset in np.ndindex(*window):
            target = tuple(i * s + u * d for i, s, u, d in zip(place, stride, offset, dilation, strict=True))
            for g in range(groups):
                inside, outside = slice(g * width, (g + 1) * width), slice(g * out_width, (g + 1) * out_width)
                full[(slice(None), *target, outside)] += x[(slice(None), *place, inside)] @ kernel[(*offset, slice(None), outside)]
    added = np.pad(full, ((0, 0), *[(0, max(-after, 0)) for _, after in padding], (0, 0)))
    kept = [slice(before, size - after) for size, (before, after) in zip(sizes, padding, strict=True)]
    return added[(slice(None), *kept)] + (0.0 if bias is None else bias)


def upsample(x: np.ndarray, factors: tuple[int, ...]) -> np.ndarray:
    """Each place repeated."""
    for axis, factor in enumerate(factors, 1):
        x = np.repeat(x, factor, axis)
    return x


def interpolate(x: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Between the centres of places, one axis after the other, by `np.interp`, which goes on with the edge."""
    for axis, count in enumerate(size, 1):
        n = x.shape[axis]
        centres = (np.arange(count) + 0.5) * n / count - 0.5
        shares = np.array([np.interp(centres, np.arange(n), unit) for unit in np.eye(n)])  # (n, count)
        x = np.moveaxis(np.tensordot(x, shares, ((axis,), (0,))), -1, axis)
    return x


def max_pool(x: np.ndarray, window: tuple[int, ...], stride: tuple[int, ...], padding: Pairs, dilation: tuple[int, ...]) -> np.ndarray:
    """The largest of each window."""
    return np.max([part for _, part in _windows(x, window, stride, padding, dilation, -np.inf)], axis=0)


def average_pool(x: np.ndarray, window: tuple[int, ...], stride: tuple[int, ...], padding: Pairs, count_padding: bool) -> np.ndarray:
    """The mean of each window; the count is the pooled sum of ones."""
    ones = (1,) * len(window)
    sums = np.sum([part for _, part in _windows(x, window, stride, padding, ones, 0.0)], axis=0)
    counts = np.sum([part for _, part in _windows(np.ones_like(x), window, stride, padding, ones, float(count_padding))], axis=0)
    return sums / counts


def batch_norm(
    x: np.ndarray, scale: np.ndarray | None, offset: np.ndarray | None, eps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The normalised tensor, the mean and the biased variance over all axes but the last."""
    axes = tuple(range(x.ndim - 1))
    mean, variance = x.mean(axes), x.var(axes)
    return normalize(x, mean, variance, scale, offset, eps), mean, variance


def normalize(
    x: np.ndarray, mean: np.ndarray, variance: np.ndarray, scale: np.ndarray | None, offset: np.ndarray | None, eps: float
) -> np.ndarray:
    """(x - mean) / sqrt(variance + eps) * scale + offset."""
    return (x - mean) / np.sqrt(variance + eps) * (1.0 if scale is None else scale) + (0.0 if offset is None else offset)


def layer_norm(x: np.ndarray, num_axes: int, scale: np.ndarray | None, offset: np.ndarray | None, eps: float) -> np.ndarray:
    """Normalises over the last `num_axes` axes."""
    axes = tuple(range(x.ndim - num_axes, x.ndim))
    return normalize(x, x.mean(axes, keepdims=True), x.var(axes, keepdims=True), scale, offset, eps)


def log_softmax(x: np.ndarray, axis: int) -> np.ndarray:
    """x - log(sum(exp(x))), shifted by the largest."""
    shifted = x - np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def sparse_cross_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """-log_softmax(logits)[label], NaN where the label is no class."""
    classes = logits.shape[-1]
    labels = labels.astype(np.int64)
    inside = (labels >= 0) & (labels < classes)
    picked = np.take_along_axis(log_softmax(logits, -1), np.where(inside, labels, 0)[..., None], -1)[..., 0]
    return np.where(inside, -picked, np.nan)


def _windows(
    x: np.ndarray, window: tuple[int, ...], stride: tuple[int, ...], padding: Pairs, dilation: tuple[int, ...], fill: float
) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """For each offset in the window, in row-major order, the elements of `x` that all windows have there: (batch, *out, channels)."""
    padded = np.pad(x, ((0, 0), *padding, (0, 0)), constant_values=fill)
    sizes = padded.shape[1:-1]
    out = [(n - (w - 1) * d - 1) // s + 1 for n, w, s, d in zip(sizes, window, stride, dilation, strict=True)]
    for offset in np.ndindex(*window):
        slices = [slice(o * d, o * d + (n - 1) * s + 1, s) for o, d, n, s in zip(offset, dilation, out, stride, strict=True)]
        yield offset, padded[(slice(None), *slices, slice(None))]
