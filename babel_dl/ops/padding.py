"""Places added around a tensor, in one value or as its own elements go on."""

from __future__ import annotations

from collections.abc import Sequence

from babel_dl.errors import ArgumentError, ShapeError, did_you_mean
from babel_dl.ops.calls import check_same_length
from babel_dl.ops.dispatch import accepts_natives, as_tensor, wrap
from babel_dl.ops.shape import concat, flip, getitem
from babel_dl.ops.tensor import Tensor, TensorLike

PADDING_MODES = ("constant", "reflect", "replicate", "circular")


@accepts_natives
def pad(x: TensorLike, widths: Sequence[tuple[int, int]], value: float = 0, mode: str = "constant") -> Tensor:
    """Places before and after each axis.

        "constant"    v v | a b c | v v
        "reflect"     c b | a b c | b a        the edge itself is not repeated
        "replicate"   a a | a b c | c c
        "circular"    b c | a b c | a b

    Args:
        x: Any tensor.
        widths: (before, after) for each axis; at least 0.
        value: What "constant" adds.
        mode: One of the above.

    Raises:
        ArgumentError: There is not one pair for each axis, or a number below 0, or no such mode.
        ShapeError: An axis is too short to be reflected or gone around so far.

    Example:
        >>> from babel_dl import ops
        >>> ops.pad(ops.asarray([1, 2, 3]), [(2, 1)], mode="reflect").numpy().tolist()
        [3, 2, 1, 2, 3, 2]

    Source: torch.nn.functional.pad, whose widths begin at the last axis.
    """
    x = as_tensor(x)
    check_same_length("pad", len(widths), x.ndim, "pairs (before, after), one for each axis")
    pairs = tuple((int(before), int(after)) for before, after in widths)
    if any(number < 0 for pair in pairs for number in pair):
        raise ArgumentError(f"ops.pad adds places, and got the widths {pairs}. To cut some off use slices: x[2:-1].")
    if mode == "constant":
        return wrap(x.backend.pad(x.native, pairs, value), x.backend)
    if mode not in PADDING_MODES:
        raise ArgumentError(f"ops.pad has no mode {mode!r}.{did_you_mean(mode, PADDING_MODES)}")
    for axis, pair in enumerate(pairs):
        if any(pair):
            x = _extended(x, axis, pair, mode)
    return x  # type: ignore[return-value]


def _extended(x: TensorLike, axis: int, pair: tuple[int, int], mode: str) -> TensorLike:
    size, (before, after) = x.shape[axis], pair
    most = {"reflect": size - 1, "circular": size, "replicate": max(pair) if size else 0}[mode]
    if max(pair) > most:
        raise ShapeError(
            f"ops.pad in mode {mode!r} cannot add {max(pair)} places to axis {axis} of shape {x.shape}; at most {max(most, 0)}."
        )
    starts = {"reflect": (1, before + 1), "circular": (size - before, size), "replicate": (0, 1)}
    ends = {"reflect": (size - 1 - after, size - 1), "circular": (0, after), "replicate": (size - 1, size)}
    first = [_part(x, axis, starts[mode], before, mode)] if before else []
    last = [_part(x, axis, ends[mode], after, mode)] if after else []
    return concat([*first, x, *last], axis)


def _part(x: TensorLike, axis: int, place: tuple[int, int], count: int, mode: str) -> Tensor:
    """The slice that goes on beyond an edge."""
    part = getitem(x, (*(slice(None),) * axis, slice(*place)))
    if mode == "replicate":
        return concat([part] * count, axis)
    return flip(part, axis) if mode == "reflect" else part
