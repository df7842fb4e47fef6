"""Variables: cells with a leaf tensor of canonical shape, in the memory order that PyTorch's kernels like.

`assign` puts a new leaf into the cell, so what was read before stays what it was, also for a gradient that still needs it. Only the
fused kernels write into the memory of a leaf: what was read from a parameter is good until the next update.

A shared cell is a variable that a PyTorch module holds as well. There `assign` writes in place, so that everyone who holds the tensor
sees it: the module, its `state_dict`, a PyTorch optimizer.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from typing import Any
from weakref import WeakSet

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from babel_dl.backend.contract import State
from babel_dl_torch.creation import from_host, place_in_force
from babel_dl_torch.dtypes import to_torch
from babel_dl_torch.tracing import TRACING


class Cell:
    """What a variable is kept in.

    Args:
        tensor: The value, in memory that belongs to the cell alone; a leaf of autograd, with `requires_grad` if it may be trained.
    """

    __slots__ = ("__weakref__", "place", "tensor")

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor
        CELLS.add(self)


class SharedCell(Cell):
    """A variable that lies in a PyTorch module: the cell has no tensor of its own, and looks it up there, for modules exchange theirs.

    Args:
        table: The module's dict of parameters or of buffers.
        name: The tensor's name in it.
    """

    __slots__ = ()

    def __init__(self, table: dict[str, Any], name: str) -> None:
        self.place = (table, name)
        CELLS.add(self)

    @property
    def tensor(self) -> Tensor:  # type: ignore[override]
        """What the module holds now."""
        table, name = self.place
        return table[name]

    @tensor.setter
    def tensor(self, value: Tensor) -> None:
        with torch.no_grad():
            self.tensor.copy_(value)


def become_shared(cell: Cell, table: dict[str, Any], name: str) -> None:
    """Makes a plain cell a shared one; whoever holds the cell, such as a compiled program, need not notice.

    Args:
        cell: The cell.
        table: Where its tensor lies from now on: a module's dict of parameters or of buffers.
        name: Under which name.
    """
    del cell.tensor
    cell.place = (table, name)
    cell.__class__ = SharedCell


CELLS: WeakSet[Cell] = WeakSet()
"""All that are alive. A compiler finds the variable behind a tensor here."""


def cells_by_tensor() -> dict[int, Cell]:
    """The cell of each tensor that lies in one, by the tensor's id."""
    return {id(tensor): cell for cell, tensor in held_tensors()}


def held_tensors() -> Iterator[tuple[Cell, Tensor]]:
    """All cells that are alive, with what they hold."""
    for cell in list(CELLS):
        with suppress(KeyError):  # the module that it lay in has dropped the name since
            yield cell, cell.tensor


WRITTEN: ContextVar[dict[Cell, Tensor] | None] = ContextVar("babel_dl_torch_written", default=None)
"""While a journal is kept: the cells that were assigned to, with what they held before; of a shared cell a copy of the values."""

_DRY: ContextVar[bool] = ContextVar("babel_dl_torch_dry", default=False)


@contextmanager
def undone() -> Iterator[None]:
    """While it is open assignments hold; when it closes the cells get back what they held before."""
    written: dict[Cell, Tensor] = {}
    token, dry = WRITTEN.set(written), _DRY.set(True)
    try:
        yield
    finally:
        WRITTEN.reset(token)
        _DRY.reset(dry)
        restore(written)


def is_undone() -> bool:
    """Whether what is assigned now will be taken back: a module is being built."""
    return not torch.compiler.is_compiling() and _DRY.get()


def restore(written: dict[Cell, Tensor]) -> None:
    """Puts back what cells held before."""
    for cell, before in written.items():
        cell.tensor = before


def replace(cell: Cell, value: Tensor) -> None:
    """Assigns a tensor that nobody else holds: it becomes the new leaf itself, without a copy.

    Args:
        cell: A variable that is not trained.
        value: In row-major order, as statistics and counters are.
    """
    if isinstance(cell, SharedCell) or torch.compiler.is_compiling():
        TorchState().assign(cell, value)
        return
    written = WRITTEN.get()
    if written is not None:
        written.setdefault(cell, cell.tensor)
    cell.tensor = value


class TorchState(State):
    """A storage is a `Cell`."""

    def variable(self, value: np.ndarray, dtype: str, trainable: bool, name: str) -> Cell:
        """A cell with a leaf on the device in force; only floats can be trained."""
        with _disable_current_modes() if TRACING.get() else nullcontext():  # else the trace would make it anew in every call
            leaf = torch.empty_strided(value.shape, _strides(value.shape), dtype=to_torch(dtype), device=place_in_force(self))
            leaf.copy_(from_host(value))
        return Cell(leaf.requires_grad_(trainable and leaf.is_floating_point()))

    def read(self, storage: Cell) -> Tensor:
        """The leaf itself, so that gradients find it."""
        return storage.tensor

    def assign(self, storage: Cell, value: Tensor) -> None:
        """A new leaf with a copy of the value, in the memory order of the old one; in place where a PyTorch module holds it too.

        Under `torch.compile` such a module gets a new buffer. Its way back may compute a thing once more instead of keeping it, from
        buffers as they are then: a dropout mask from a counter that has moved on (seen with PyTorch 2.13).
        """
        before, is_shared = storage.tensor, isinstance(storage, SharedCell)
        written = None if torch.compiler.is_compiling() else WRITTEN.get()
        if written is not None and storage not in written:
            written[storage] = before.detach().clone() if is_shared else before
        if is_shared and torch.compiler.is_compiling() and not before.requires_grad:
            table, name = storage.place
            table[name] = torch.empty_like(before).copy_(value.detach())
        elif is_shared:
            storage.tensor = value.detach()
        else:
            storage.tensor = torch.empty_like(before).copy_(value.detach()).requires_grad_(before.requires_grad)

    def fill(self, storage: Cell, number: float) -> None:
        """A new leaf of one value; in place where a PyTorch module holds it too."""
        storage.tensor = torch.full_like(storage.tensor, number, requires_grad=storage.tensor.requires_grad)

    def set_trainable(self, storage: Cell, trainable: bool) -> None:
        """`requires_grad`; integers have none."""
        storage.tensor.requires_grad_(trainable and storage.tensor.is_floating_point())


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Row-major, but from three axes on with the last one outermost.

    The OIHW view `permute(3, 2, 0, 1)` of a kernel (height, width, in, out) then is dense in `torch.channels_last`, which is what its
    gradient comes back in, too.
    """
    strides, step = [0] * len(shape), 1
    order = [len(shape) - 1, *range(len(shape) - 1)] if len(shape) > 2 else list(range(len(shape)))
    for axis in reversed(order):
        strides[axis] = step
        step *= max(shape[axis], 1)
    return tuple(strides)
