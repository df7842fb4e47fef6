"""Primitives of neural networks on handles. Tensors are channels last; layers check shapes, so these trust them.

Activations are the backends' own where one kernel takes the place of several; the others are written here, once.
"""

from __future__ import annotations

from typing import Any

from babel_dl.backend.dtypes import BOOL, DEFAULT_FLOAT, is_floating, is_integer, promote
from babel_dl.errors import DTypeError
from babel_dl.ops.calls import normalize_axis
from babel_dl.ops.dispatch import accepts_natives, as_tensor, check_same_backend, wrap
from babel_dl.ops.elementwise import where
from babel_dl.ops.tensor import Tensor, TensorLike


def _floating(x: TensorLike) -> TensorLike:
    x = as_tensor(x)
    return x if is_floating(x.dtype) else x.astype(DEFAULT_FLOAT)


@accepts_natives
def relu(x: TensorLike) -> Tensor:
    """max(x, 0); its gradient at 0 is 0."""
    x = as_tensor(x)
    return wrap(x.backend.relu(x.native), x.backend)


@accepts_natives
def sigmoid(x: TensorLike) -> Tensor:
    """1 / (1 + exp(-x))."""
    x = _floating(x)
    return wrap(x.backend.sigmoid(x.native), x.backend)


@accepts_natives
def softplus(x: TensorLike) -> Tensor:
    """log(1 + exp(x)), without overflow."""
    x = _floating(x)
    return wrap(x.backend.softplus(x.native), x.backend)


@accepts_natives
def softmax(x: TensorLike, axis: int = -1) -> Tensor:
    """exp(x) / sum(exp(x)) along one axis, without overflow.

    Raises:
        ShapeError: There is no such axis.
    """
    x = _floating(x)
    return wrap(x.backend.softmax(x.native, normalize_axis(axis, x.ndim, "softmax")), x.backend)


@accepts_natives
def log_softmax(x: TensorLike, axis: int = -1) -> Tensor:
    """x - log(sum(exp(x))) along one axis, without overflow.

    Raises:
        ShapeError: There is no such axis.
    """
    x = _floating(x)
    return wrap(x.backend.log_softmax(x.native, normalize_axis(axis, x.ndim, "log_softmax")), x.backend)


@accepts_natives
def silu(x: TensorLike) -> Tensor:
    """x * sigmoid(x)."""
    x = _floating(x)
    return wrap(x.backend.silu(x.native), x.backend)


@accepts_natives
def gelu(x: TensorLike, approximate: bool = False) -> Tensor:
    """x times the normal distribution's share below x; exact by erf unless `approximate` (tanh) is asked for.

    Source: Hendrycks and Gimpel 2016, section 2.
    """
    x = _floating(x)
    return wrap(x.backend.gelu(x.native, approximate), x.backend)


@accepts_natives
def leaky_relu(x: TensorLike, negative_slope: float = 0.01) -> Tensor:
    """x above 0, negative_slope * x below; its gradient at 0 is the slope."""
    x = _floating(x)
    return wrap(x.backend.leaky_relu(x.native, negative_slope), x.backend)


@accepts_natives
def elu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """x above 0, alpha * (exp(x) - 1) below. Source: Clevert et al. 2015, eq. 15."""
    x = _floating(x)
    return wrap(x.backend.elu(x.native, alpha), x.backend)


@accepts_natives
def selu(x: TensorLike) -> Tensor:
    """1.0507 * elu(x, 1.67326): keeps mean 0 and variance 1 from layer to layer. Source: Klambauer et al. 2017, eq. 2."""
    return 1.0507009873554805 * elu(x, 1.6732632423543772)


@accepts_natives
def hard_sigmoid(x: TensorLike) -> Tensor:
    """x / 6 + 1/2, between 0 and 1; its gradient at both ends is 0."""
    return where(x <= -3, 0.0, where(x >= 3, 1.0, x / 6 + 0.5))


def _of_one_type(x: TensorLike, kernel: TensorLike, bias: TensorLike | None) -> tuple[Any, Any, Any]:
    check_same_backend(x, kernel, bias)
    dtype, kernel_dtype = x.dtype, kernel.dtype
    if dtype == kernel_dtype:
        return x.native, kernel.native, None if bias is None else bias.native
    common = promote(dtype, kernel_dtype)  # such as of uint8 images with float32 kernels
    return x.astype(common).native, kernel.astype(common).native, None if bias is None else bias.astype(common).native


@accepts_natives
def linear(x: TensorLike, kernel: TensorLike, bias: TensorLike | None = None) -> Tensor:
    """x @ kernel + bias over the last axis; types promote.

    Shapes:
        x: (*batch, in). kernel: (in, out). bias: (out,). returns: (*batch, out).

    Raises:
        BackendError: Tensors of two backends meet.
    """
    return wrap(x.backend.linear(*_of_one_type(x, kernel, bias)), x.backend)


@accepts_natives
def convolution(
    x: TensorLike,
    kernel: TensorLike,
    bias: TensorLike | None,
    stride: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    dilation: tuple[int, ...],
    groups: int = 1,
) -> Tensor:
    """Cross-correlation with zeros around; types promote.

    Shapes:
        x: (batch, *spatial, in). kernel: (*window, in / groups, out). returns: (batch, *spatial, out).

    Raises:
        BackendError: Tensors of two backends meet.
    """
    return wrap(x.backend.convolution(*_of_one_type(x, kernel, bias), stride, padding, dilation, groups), x.backend)


@accepts_natives
def convolution_transpose(
    x: TensorLike,
    kernel: TensorLike,
    bias: TensorLike | None,
    stride: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    dilation: tuple[int, ...],
    groups: int = 1,
) -> Tensor:
    """Each element of x writes the window, times itself, at `stride` times its place; what overlaps adds up. Types promote.

        full[i * stride + u * dilation] += x[i] @ kernel[u]        size = (n - 1) * stride + (window - 1) * dilation + 1
        result = full[before : size - after] + bias

    Padding is what is cut off the full result; an `after` below 0 adds places that nothing writes to.

    Shapes:
        x: (batch, *spatial, in). kernel: (*window, in / groups, out). returns: (batch, *spatial, out).

    Raises:
        BackendError: Tensors of two backends meet.
    """
    return wrap(x.backend.convolution_transpose(*_of_one_type(x, kernel, bias), stride, padding, dilation, groups), x.backend)


@accepts_natives
def max_pool(
    x: TensorLike,
    window: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    dilation: tuple[int, ...],
) -> Tensor:
    """The largest of each window. Shapes: (batch, *spatial, channels) to the same with fewer places."""
    return wrap(x.backend.max_pool(x.native, window, stride, padding, dilation), x.backend)


@accepts_natives
def average_pool(
    x: TensorLike,
    window: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    count_padding: bool = False,
) -> Tensor:
    """The mean of each window. Shapes: (batch, *spatial, channels) to the same with fewer places."""
    return wrap(x.backend.average_pool(x.native, window, stride, padding, count_padding), x.backend)


@accepts_natives
def one_hot(indices: TensorLike, num_classes: int, dtype: str = DEFAULT_FLOAT) -> Tensor:
    """1 at the index, 0 elsewhere; an index outside gives zeros.

    Shapes:
        indices: (*batch,), integers. returns: (*batch, num_classes).

    Raises:
        DTypeError: The indices are not integers, or there is no type `dtype`.
    """
    indices = as_tensor(indices)
    if not is_integer(indices.dtype):
        raise DTypeError(f"ops.one_hot needs whole numbers, and got {indices.dtype}. Cast them: indices.astype('int32').")
    backend = indices.backend
    places = backend.arange(0, num_classes, 1, "int32")
    wide = backend.astype(backend.expand_dims(indices.native, indices.ndim), "int32")
    hits = backend.equal(wide, places)
    return wrap(hits if dtype == BOOL else backend.astype(hits, dtype), backend)
