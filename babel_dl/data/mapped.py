"""Memory-mapped arrays on their way to another process: the place in the file travels, not the content."""

import mmap
from typing import Any, NamedTuple

import numpy as np


class MappedPlace(NamedTuple):
    """Where an array lies in a file."""

    filename: str
    dtype: str
    shape: tuple[int, ...]
    offset: int  # bytes from the start of the file


def pickle_column(column: Any) -> Any:
    """The place of a memory-mapped array in C order; anything else stays what it is.

    Args:
        column: All values of a field.
    """
    if not isinstance(column, np.memmap) or column.filename is None or not column.flags.c_contiguous:
        return column
    root = column
    while isinstance(root.base, np.memmap):
        root = root.base
    if not isinstance(root.base, mmap.mmap):
        return column
    # a slice keeps the offset of the array it was cut from, so the distance of their first bytes is added
    offset = root.offset + column.__array_interface__["data"][0] - root.__array_interface__["data"][0]
    return MappedPlace(str(column.filename), column.dtype.str, column.shape, offset)


def unpickle_column(column: Any) -> Any:
    """The array, mapped again for reading.

    Args:
        column: From `pickle_column`.
    """
    if not isinstance(column, MappedPlace):
        return column
    return np.memmap(column.filename, dtype=np.dtype(column.dtype), mode="r", offset=column.offset, shape=column.shape)
