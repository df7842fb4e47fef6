"""Checks of constructor arguments that several layers share, and the arithmetic of padding."""

from __future__ import annotations

from babel_dl.errors import ArgumentError, ShapeError

Pairs = tuple[tuple[int, int], ...]
Sizes = int | tuple[int, ...]
Padding = str | int | tuple[int, ...] | tuple[tuple[int, int], ...]


def sizes(value: Sizes, num_axes: int, who: str, what: str) -> tuple[int, ...]:
    """A positive whole number for each spatial axis.

    Raises:
        ArgumentError: The value is not that.
    """
    values = (value,) * num_axes if isinstance(value, int) else tuple(value)
    if len(values) != num_axes or any(not isinstance(v, int) or isinstance(v, bool) or v < 1 for v in values):
        raise ArgumentError(f"{who} needs {what} as a number of at least 1, or {num_axes} of them, and got {value!r}.")
    return values


def positive(value: int, who: str, what: str) -> int:
    """A whole number of at least 1.

    Raises:
        ArgumentError: It is not that.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ArgumentError(f"{who} needs {what} of at least 1, and got {value!r}.")
    return value


def checked_padding(value: Padding, num_axes: int, who: str) -> str | Pairs:
    """ "same", "valid", or a pair (before, after) for each spatial axis.

    Raises:
        ArgumentError: The value is none of the allowed forms.
    """
    if isinstance(value, str):
        if value not in ("same", "valid"):
            raise ArgumentError(f'{who} knows the paddings "same" and "valid" and whole numbers, and got {value!r}.')
        return value
    entries = (value,) * num_axes if isinstance(value, int) else tuple(value)
    pairs = tuple((entry, entry) if isinstance(entry, int) else tuple(entry) for entry in entries)
    if len(pairs) != num_axes or any(len(pair) != 2 or any(not isinstance(n, int) or n < 0 for n in pair) for pair in pairs):
        raise ArgumentError(
            f"{who} needs padding as a number of at least 0, {num_axes} of them, or pairs (before, after); it got {value!r}."
        )
    return pairs  # type: ignore[return-value]


def resolve_padding(
    padding: str | Pairs, spatial: tuple[int, ...], window: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...], who: str
) -> Pairs:
    """How much is added before and after each axis.

        "same": total = max((ceil(n / stride) - 1) * stride + (window - 1) * dilation + 1 - n, 0), the smaller half first

    Raises:
        ShapeError: The window does not fit into the padded input.
    """
    if padding == "same":
        return tuple(_same(*axis) for axis in zip(spatial, window, stride, dilation, strict=True))
    pairs = ((0, 0),) * len(spatial) if isinstance(padding, str) else padding
    for axis, (size, k, d, (before, after)) in enumerate(zip(spatial, window, dilation, pairs, strict=True)):
        reach = (k - 1) * d + 1
        if size is not None and size + before + after < reach:
            raise ShapeError(
                f"{who} got spatial sizes {spatial}, and its window reaches over {reach} places on axis {axis}.\n"
                f'  Padding ({before}, {after}) is not enough. Use padding="same", a smaller window, or fewer poolings before it.'
            )
    return pairs


def _same(size: int, window: int, stride: int, dilation: int) -> tuple[int, int]:
    reach = (window - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2
