"""Functions that move elements and change none. Axes may be negative; wrong axes and sizes are refused with the shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from babel_dl.backend.dtypes import is_integer, promote
from babel_dl.errors import ArgumentError, DTypeError, ShapeError
from babel_dl.ops.calls import check_same_length, normalize_axes, normalize_axis
from babel_dl.ops.dispatch import accepts_natives, as_tensor, find_backend, is_tensor, wrap
from babel_dl.ops.tensor import Tensor, TensorLike


@accepts_natives
def reshape(x: TensorLike, shape: tuple[int, ...] | int) -> Tensor:
    """The elements in row-major order in a new shape; one size may be -1, for whatever is left.

    Raises:
        ShapeError: The numbers of elements differ.
    """
    x = as_tensor(x)
    sizes = (shape,) if isinstance(shape, int) else tuple(int(size) for size in shape)
    old = x.shape
    if None not in old:
        known, count = math.prod([size for size in sizes if size != -1]), math.prod(old)
        fits = count == known if -1 not in sizes else sizes.count(-1) == 1 and (count % known == 0 if known else count == 0)
        if not fits:
            raise ShapeError(f"ops.reshape cannot make {sizes} from {old}: that has {count} elements. One size may be -1.")
    return wrap(x.backend.reshape(x.native, sizes), x.backend)


@accepts_natives
def permute_dims(x: TensorLike, axes: Sequence[int]) -> Tensor:
    """Axis `i` of the result is axis `axes[i]` of `x`.

    Raises:
        ShapeError: `axes` is not every axis once.
        ArgumentError: `axes` has the wrong length.
    """
    x = as_tensor(x)
    check_same_length("permute_dims", len(axes), x.ndim, "axes")
    return wrap(x.backend.permute_dims(x.native, normalize_axes(tuple(axes), x.ndim, "permute_dims")), x.backend)


@accepts_natives
def expand_dims(x: TensorLike, axis: int) -> Tensor:
    """A new axis of size 1 at position `axis`.

    Raises:
        ShapeError: The position does not exist.
    """
    x = as_tensor(x)
    return wrap(x.backend.expand_dims(x.native, normalize_axis(axis, x.ndim + 1, "expand_dims")), x.backend)


@accepts_natives
def squeeze(x: TensorLike, axis: int | tuple[int, ...]) -> Tensor:
    """Without these axes of size 1.

    Raises:
        ShapeError: An axis does not exist, or its size is not 1.
    """
    x = as_tensor(x)
    axes = normalize_axes(axis, x.ndim, "squeeze")
    for a in axes:
        if x.shape[a] not in (1, None):
            raise ShapeError(f"ops.squeeze cannot drop axis {a} of shape {x.shape}: its size is {x.shape[a]}, not 1.")
    return wrap(x.backend.squeeze(x.native, axes), x.backend)


@accepts_natives
def broadcast_to(x: TensorLike, shape: tuple[int, ...]) -> Tensor:
    """The values repeated to `shape`, as numpy broadcasts.

    Raises:
        ShapeError: The shape cannot be reached.
    """
    x = as_tensor(x)
    sizes = (1,) * (len(shape) - x.ndim) + x.shape
    if len(sizes) != len(shape) or any(old not in (1, new, None) for old, new in zip(sizes, shape, strict=True)):
        raise ShapeError(f"ops.broadcast_to cannot make {tuple(shape)} from {x.shape}: sizes must be equal or 1.")
    return wrap(x.backend.broadcast_to(x.native, tuple(shape)), x.backend)


@accepts_natives
def concat(xs: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """The tensors joined along an axis; types promote.

    Raises:
        ShapeError: There are none, or they differ on another axis.
    """
    tensors = _same_types("concat", xs)
    first = tensors[0]
    axis = normalize_axis(axis, first.ndim, "concat")
    for other in tensors[1:]:
        fits = other.ndim == first.ndim and all(
            a == axis or m == n or None in (m, n) for a, (m, n) in enumerate(zip(first.shape, other.shape, strict=True))
        )
        if not fits:
            raise ShapeError(f"ops.concat along axis {axis} got shapes {[t.shape for t in tensors]}; the other axes must agree.")
    return wrap(first.backend.concat([t.native for t in tensors], axis), first.backend)


@accepts_natives
def split(x: TensorLike, parts: int | Sequence[int], axis: int = 0) -> tuple[Tensor, ...]:
    """The tensor in parts along an axis.

    Args:
        x: Any tensor.
        parts: How many parts of equal size; or the size of each part, one of which may be -1 for whatever is left.
        axis: Which axis; negative counts from the end.

    Raises:
        ShapeError: There is no such axis, or the sizes do not add up to its size.
        ArgumentError: `parts` is below 1, or a size below 0.

    Example:
        >>> from babel_dl import ops
        >>> [part.shape for part in ops.split(ops.zeros((2, 6)), 2, axis=-1)]
        [(2, 3), (2, 3)]
        >>> [part.shape for part in ops.split(ops.zeros((2, 6)), (1, -1), axis=-1)]
        [(2, 1), (2, 5)]

    Source: with a number torch.chunk, with sizes torch.split.
    """
    x = as_tensor(x)
    axis = normalize_axis(axis, x.ndim, "split")
    sizes = _part_sizes(parts, x.shape, axis)
    return tuple(wrap(part, x.backend) for part in x.backend.split(x.native, sizes, axis))


def _part_sizes(parts: int | Sequence[int], shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    size = shape[axis]
    given = (parts,) if isinstance(parts, int) else tuple(parts)
    low = 1 if isinstance(parts, int) else -1
    if not given or any(isinstance(part, bool) or not isinstance(part, int) or part < low for part in given) or given.count(-1) > 1:
        raise ArgumentError(f"ops.split needs a number of parts of at least 1, or their sizes, one of which may be -1; it got {parts!r}.")
    if size is None:
        raise ShapeError(f"ops.split cannot part axis {axis} of shape {shape}: its size is not known.")
    if isinstance(parts, int):
        if size % parts:
            raise ShapeError(f"ops.split cannot part axis {axis} of shape {shape} into {parts} equal parts. Give their sizes.")
        return (size // parts,) * parts
    rest = size - sum(part for part in given if part >= 0)
    if rest < 0 or (rest and -1 not in given):
        raise ShapeError(f"ops.split got the sizes {given} for axis {axis} of shape {shape}; they must add up to {size}. One may be -1.")
    return tuple(rest if part == -1 else part for part in given)


@accepts_natives
def stack(xs: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """The tensors joined along a new axis; types promote.

    Raises:
        ShapeError: There are none, or their shapes differ.
    """
    tensors = _same_types("stack", xs)
    first = tensors[0]
    if any(t.shape != first.shape for t in tensors):
        raise ShapeError(f"ops.stack got shapes {[t.shape for t in tensors]}; they must be equal.")
    return wrap(first.backend.stack([t.native for t in tensors], normalize_axis(axis, first.ndim + 1, "stack")), first.backend)


def _same_types(name: str, xs: Sequence[TensorLike]) -> list[Tensor]:
    if not len(xs):
        raise ShapeError(f"ops.{name} needs at least one tensor, and got none.")
    backend = find_backend(list(xs))
    tensors = [as_tensor(x, backend) for x in xs]
    dtype = tensors[0].dtype
    for other in tensors[1:]:
        dtype = promote(dtype, other.dtype)
    return [t.astype(dtype) for t in tensors]


@accepts_natives
def flip(x: TensorLike, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """The order along the axes reversed; all axes for `None`.

    Raises:
        ShapeError: An axis does not exist.
    """
    x = as_tensor(x)
    return wrap(x.backend.flip(x.native, normalize_axes(axis, x.ndim, "flip")), x.backend)


@accepts_natives
def tile(x: TensorLike, repetitions: tuple[int, ...]) -> Tensor:
    """The tensor repeated along each axis.

    Raises:
        ArgumentError: There is not one count for each axis.
    """
    x = as_tensor(x)
    check_same_length("tile", len(repetitions), x.ndim, "counts, one for each axis")
    return wrap(x.backend.tile(x.native, tuple(repetitions)), x.backend)


@accepts_natives
def getitem(x: TensorLike, index: Any) -> Tensor:
    """`x[index]` with whole numbers, slices, `None`, `...`, and at most one integer or bool tensor.

    Raises:
        IndexError: A whole number is outside of its axis.
        ShapeError: There are more indices than axes.
        ArgumentError: An index is True or False, or no index at all; or several are tensors.
        BackendError: An index is a tensor of another backend.
    """
    x = as_tensor(x)
    parts = index if isinstance(index, tuple) else (index,)
    _check_index(parts, x.shape)
    backend = x.backend
    natives = tuple(p if p is None or p is ... or isinstance(p, (int, slice)) else as_tensor(p, backend).native for p in parts)
    return wrap(backend.getitem(x.native, natives), backend)


def _check_index(parts: tuple[Any, ...], shape: tuple[int, ...]) -> None:
    used = [p for p in parts if p is not None and p is not ...]
    if len(used) > len(shape):
        raise ShapeError(f"A tensor of shape {shape} has {len(shape)} axes, and {len(used)} indices came.")
    if any(isinstance(p, bool) for p in parts):
        raise ArgumentError("True and False are no indices of a tensor. For a new axis use None, for the first place 0.")
    strangers = [p for p in used if not isinstance(p, (int, slice, list)) and not is_tensor(p) and not hasattr(p, "dtype")]
    if strangers:
        raise ArgumentError(f"An index is a whole number, a slice, None, ... or a tensor, and {strangers[0]!r} came.")
    num_tensors = sum(not isinstance(p, (int, slice)) for p in used)
    if num_tensors > 1:
        raise ArgumentError("At most one index is a tensor or a list. For single elements by several, use ops.take_along_axis.")
    if num_tensors:
        return
    dots = next((place for place, part in enumerate(p for p in parts if p is not None) if part is ...), len(used))
    for place, part in enumerate(used):
        axis = place if place < dots else len(shape) - len(used) + place
        size = shape[axis]
        if isinstance(part, int) and size is not None and not -size <= part < size:
            raise IndexError(f"Index {part} is outside of axis {axis} of a tensor of shape {shape}.")


@accepts_natives
def take(x: TensorLike, indices: TensorLike, axis: int = 0) -> Tensor:
    """Slices of `x` at integer `indices` of any shape, which replaces the axis. Negative indices count from the end.

    Raises:
        DTypeError: The indices are not integers.
        ShapeError: There is no such axis.
    """
    x = as_tensor(x)
    indices = _checked_indices("take", indices, x)
    return wrap(x.backend.take(x.native, indices.native, normalize_axis(axis, x.ndim, "take")), x.backend)


@accepts_natives
def take_along_axis(x: TensorLike, indices: TensorLike, axis: int = -1) -> Tensor:
    """For each position the element of `x` at its index.

    Raises:
        DTypeError: The indices are not integers.
        ShapeError: There is no such axis, or the numbers of axes differ.
    """
    x = as_tensor(x)
    indices = _checked_indices("take_along_axis", indices, x)
    if indices.ndim != x.ndim:
        raise ShapeError(f"ops.take_along_axis got shapes {x.shape} and {indices.shape}; both need the same number of axes.")
    return wrap(x.backend.take_along_axis(x.native, indices.native, normalize_axis(axis, x.ndim, "take_along_axis")), x.backend)


def _checked_indices(name: str, indices: TensorLike, x: TensorLike) -> TensorLike:
    indices = as_tensor(indices, x.backend)
    if not is_integer(indices.dtype):
        raise DTypeError(f"ops.{name} needs whole numbers as indices, and got {indices.dtype}. Cast them: indices.astype('int32').")
    return indices
