"""Variables as cells of immutable arrays, and the frames that keep them right while JAX traces a function.

JAX transforms pure functions. A frame makes a function with variables pure: inside, cells hold tracers; what is written is noted; at
the end each cell holds again what it held outside, whatever happened. The owner of the frame carries the written values out of
the trace and writes them again, one level up, where they are arrays (or the tracers of that level).
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from babel_dl.backend.contract import Native, Tree
from babel_dl.errors import BackendError, DTypeError, ShapeError
from babel_dl_jax.trees import map_leaves


class Cell:
    """A variable.

    Args:
        value: A `jax.Array`; a numpy scalar that the host assigned; a tracer while a frame is open.
        dtype: As numpy spells it.
        trainable: Whether gradients may be asked for it.
        name: For messages.

    Attributes:
        mirror: The variable of a native module that holds the same array outside of traces; None for most.
    """

    __slots__ = ("__weakref__", "dtype", "mirror", "name", "shape", "trainable", "value")

    def __init__(self, value: Native, dtype: np.dtype, trainable: bool, name: str):
        self.value = value
        self.name = name
        self.trainable = trainable
        self.shape: tuple[int, ...] = value.shape
        self.dtype = dtype
        self.mirror: Mirror | None = None


class Mirror(NamedTuple):
    """The other holder of a cell's array: a variable of a native module. Outside of traces it has the last word.

    Attributes:
        holder: The variable.
        look: Gives the array that it holds, as the cell keeps it; None while it has let go of it.
        show: Lets it hold an array; None lets it go, because an array that two hold cannot be given away to a compiled step.
    """

    holder: Any
    look: Callable[[Any], Native | None]
    show: Callable[[Any, Native | None], None]


def look_up(cell: Cell) -> None:
    """Takes over what a native module wrote to its variable since; not where an open trace has a value of its own."""
    frame = _open.frame
    while frame is not None:
        if cell in frame.outside:
            return
        frame = frame.outer
    mirror = cell.mirror
    found = None if mirror is None else mirror.look(mirror.holder)
    if found is not None:
        cell.value = found


class Frame:
    """One open trace: what its cells hold outside of it, and which were written in it.

    Attributes:
        outside: For each cell that was swapped or written, the value to restore.
        written: The cells that were written, in order.
        muted: Whether `without_gradients` is open.
    """

    __slots__ = ("muted", "outer", "outside", "written")

    def __init__(self) -> None:
        self.outer: Frame | None = None
        self.outside: dict[Cell, Native] = {}
        self.written: dict[Cell, None] = {}
        self.muted = False

    def __enter__(self) -> "Frame":
        self.outer, _open.frame = _open.frame, self
        return self

    def __exit__(self, *_: object) -> None:
        _open.frame = self.outer
        for cell, value in self.outside.items():
            cell.value = value

    def swap(self, cell: Cell, value: Native) -> None:
        """Lets a cell hold another value until the frame is closed."""
        self.outside.setdefault(cell, cell.value)
        cell.value = value

    def note_read(self, cell: Cell) -> None:
        """Tells the frames around: the value comes from there."""
        if self.outer is not None and cell not in self.outside:
            self.outer.note_read(cell)

    def note_write(self, cell: Cell) -> None:
        """Remembers the cell."""
        self.written[cell] = None


class _Open(threading.local):
    frame: Frame | None = None


_open = _Open()


def open_frame() -> Frame | None:
    """The innermost open frame of this thread."""
    return _open.frame


def read(cell: Cell) -> Native:
    """The value of a cell, at this point of the trace if one is open."""
    frame = _open.frame
    if cell.mirror is not None:
        look_up(cell)
    value = cell.value
    if frame is not None:
        frame.note_read(cell)
        return lax.stop_gradient(value) if frame.muted else value
    return read_on_device(cell)


def read_on_device(cell: Cell) -> Native:
    """The value of a cell outside of frames; a number of the host is sent to the device first."""
    value = cell.value
    if isinstance(value, np.generic):
        with jax.ensure_compile_time_eval():  # else a transformation that babel_dl did not start would leave its tracer in the cell
            value = cell.value = jax.device_put(value)
    return value


def write(cell: Cell, value: Native) -> None:
    """Replaces the value of a cell, at this point of the trace if one is open.

    Raises:
        ShapeError: The shape is not the variable's.
        DTypeError: The element type is not the variable's.
        BackendError: The value is a tracer of a JAX transformation that babel_dl does not see the end of.
    """
    frame = _open.frame
    if frame is None:
        cell.value = _fit_on_host(cell, value)
        if cell.mirror is not None:
            cell.mirror.show(cell.mirror.holder, read_on_device(cell))
        return
    value = lax.stop_gradient(_fit(cell, value))
    frame.note_write(cell)
    frame.swap(cell, value)


def _fit_on_host(cell: Cell, value: Native) -> Native:
    if not (isinstance(value, jax.Array) or cell.shape or np.shape(value)):
        scalar = cell.dtype.type(value)
        held = cell.value
        if not (isinstance(held, jax.Array) and held.committed):
            return scalar
        with jax.ensure_compile_time_eval():
            return jax.device_put(scalar, held.sharding)
    if not isinstance(value, jax.Array):
        value = jax.device_put(_fit(cell, np.array(value)))
    if isinstance(value, Tracer):
        raise BackendError(
            f"Variable {cell.name!r} is written inside of a JAX transformation that babel_dl did not start: its value would be lost.\n"
            "  Use babel_dl's value_and_grad and compile, or bring the module into evaluation mode so that it writes nothing."
        )
    return _fit(cell, value)


def _fit(cell: Cell, value: Native) -> Native:
    if not isinstance(value, jax.Array):
        value = jnp.asarray(np.asarray(value, cell.dtype))
    if value.shape != cell.shape:
        raise ShapeError(
            f"Variable {cell.name!r} has shape {cell.shape}, and was assigned a value of shape {value.shape}.\n"
            "  A variable keeps its shape. Reshape the value, or make a new variable."
        )
    if value.dtype != cell.dtype:
        raise DTypeError(
            f"Variable {cell.name!r} is {cell.dtype}, and was assigned a value of {value.dtype}.\n"
            f"  A variable keeps its element type. Cast the value with astype({str(cell.dtype)!r}) first."
        )
    return lax.convert_element_type(value, cell.dtype) if value.weak_type else value


@contextmanager
def muted() -> Iterator[None]:
    """While it is open, what is read and what the backend computes are constants to the gradients around."""
    frame = _open.frame
    if frame is None:
        yield
        return
    before, frame.muted = frame.muted, True
    try:
        yield
    finally:
        frame.muted = before


def constant_if_muted(function: Callable[..., Tree]) -> Callable[..., Tree]:
    """A function of the backend whose results are constants while `without_gradients` is open.

    JAX has no switch for that: it follows values, not time. Without it a tensor from before the block would carry its gradient through.
    """

    @wraps(function)
    def checked(*arguments: Any, **options: Any) -> Tree:
        result = function(*arguments, **options)
        frame = _open.frame
        return result if frame is None or not frame.muted else map_leaves(lax.stop_gradient, result)

    return checked
