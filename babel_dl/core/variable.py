"""Values that outlive a step: weights, running statistics, counters."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from babel_dl.backend import Backend, current_backend, on_load
from babel_dl.backend.dtypes import is_floating
from babel_dl.core import precision
from babel_dl.errors import ArgumentError, ShapeError
from babel_dl.ops.dispatch import as_tensor, host_dtype, introduce
from babel_dl.ops.tensor import Tensor, TensorLike

_dry_run: ContextVar[bool] = ContextVar("babel_dl_dry_run", default=False)


@contextmanager
def dry_run() -> Iterator[None]:
    """While it is open, assignments to variables are dropped: used to build modules without leaving traces."""
    token = _dry_run.set(True)
    try:
        yield
    finally:
        _dry_run.reset(token)


def is_dry_run() -> bool:
    """Whether assignments are dropped at the moment."""
    return _dry_run.get()


watches: dict[int, dict[int, Variable]] = {}
"""For each thread that watches, the variables it used so far, by id. Empty as a rule, and then this is all that a read looks at."""


@contextmanager
def watch_variables() -> Iterator[dict[int, Variable]]:
    """Collects the variables that this thread reads or assigns to in the block, by id. Inner blocks tell the outer ones."""
    thread, mine = threading.get_ident(), dict[int, Variable]()
    outer = watches.get(thread)
    watches[thread] = mine
    try:
        yield mine
    finally:
        if outer is None:
            del watches[thread]
        else:
            outer.update(mine)
            watches[thread] = outer


def note_use(variable: Variable) -> None:
    """Tells this thread's watch, if there is one."""
    watch = watches.get(threading.get_ident())
    if watch is not None:
        watch[id(variable)] = variable


class Variable(TensorLike):
    """A tensor that can be assigned to, and for which gradients can be asked. It works wherever a tensor does.

    Args:
        value: The initial values, on the host; a tensor is copied.
        trainable: Whether optimizers may change it. Only floating types can be trained.
        path: Its name in messages; modules set it.
        dtype: Element type; `None` for that of the value, in at most 32 bit.
        backend: Where to keep it; `None` for the backend in force.

    Raises:
        ArgumentError: `trainable` is asked for a type that has no gradients.

    Attributes:
        storage: What the backend keeps the value in.
        is_parameter: Whether it was made to be trained; running statistics and counters were not.
        is_cast: Whether a module that computes in a narrow type reads it in that type. Parameters are, unless their module wants them
            whole (`Module.casts_parameters`); running statistics and counters are not.
    """

    __slots__ = ("_trainable", "backend", "is_cast", "is_parameter", "path", "static_dtype", "static_shape", "storage")

    def __init__(
        self, value: Any, trainable: bool = True, path: str = "variable", dtype: str | None = None, backend: Backend | None = None
    ) -> None:
        host = value.numpy() if isinstance(value, TensorLike) else np.asarray(value)
        self.static_dtype = dtype or host_dtype(host)
        self.static_shape = tuple(host.shape)
        if trainable and not is_floating(self.static_dtype):
            raise ArgumentError(f"Variable {path!r} is {self.static_dtype} and cannot be trained: pass trainable=False, or a float dtype.")
        self.backend: Backend = backend or current_backend()
        self.path = path
        self.is_parameter = trainable
        self.is_cast = trainable
        self._trainable = trainable
        self.storage = self.backend.variable(host, self.static_dtype, trainable, path)

    @property
    def native(self) -> Any:  # type: ignore[override]
        """The backend's tensor with the value now."""
        if watches:
            note_use(self)
        if precision.in_use and self.is_cast:
            return precision.narrowed(self.backend.read(self.storage), self.backend)
        return self.backend.read(self.storage)

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes, in canonical layout."""
        return self.static_shape

    @property
    def dtype(self) -> str:
        """The element type as a word; while a module computes in a narrow type, that in which it reads the variable."""
        return precision.type_of_parameter(self.static_dtype) if precision.in_use and self.is_cast else self.static_dtype

    @property
    def value(self) -> Tensor:
        """The value now, as a tensor. It is good until the next step; `copy()` or `numpy()` keeps it."""
        return Tensor(self.native, self.backend)

    @property
    def stored(self) -> Tensor:
        """The value now in the type in which it is kept, whatever the module that runs computes in."""
        if watches:
            note_use(self)
        return Tensor(self.backend.read(self.storage), self.backend)

    def numpy(self) -> np.ndarray:
        """A copy of the value on the host, in the type in which it is kept.

        Raises:
            BackendError: A function is being traced, and the value is symbolic.
        """
        return self.stored.numpy()

    @property
    def trainable(self) -> bool:
        """Whether optimizers may change it. Frozen parameters can be thawed; what is no parameter stays untrainable."""
        return self._trainable

    @trainable.setter
    def trainable(self, trainable: bool) -> None:
        """Freezes or thaws it.

        Raises:
            ArgumentError: It is no parameter.
        """
        if trainable and not self.is_parameter:
            raise ArgumentError(f"Variable {self.path!r} is state that layers keep, not a parameter; it cannot be trained.")
        if trainable != self._trainable:
            self._trainable = trainable
            self.backend.set_trainable(self.storage, trainable)

    def assign(self, value: Any) -> None:
        """Replaces the value. Inside a compiled function it happens at every run.

        Args:
            value: A tensor or host value; its shape must be the variable's, its type is cast.

        Raises:
            ShapeError: The shape differs.
            BackendError: The value is a tensor of another backend.
        """
        if is_dry_run():
            return
        if watches:
            note_use(self)
        if self.static_dtype.endswith("64") and isinstance(value, (np.ndarray, np.generic)):
            value = Tensor(self.backend.asarray(value, self.static_dtype), self.backend)  # else it would pass through 32 bits
        tensor = as_tensor(value, self.backend)
        if tensor.shape != self.static_shape:
            raise ShapeError(
                f"Variable {self.path!r} has shape {self.static_shape}, and a value of shape {tensor.shape} was assigned.\n"
                f"  The shape of a variable never changes; make a new variable, or reshape the value."
            )
        self.backend.assign(self.storage, tensor.astype(self.static_dtype).native)

    def fill(self, number: float) -> None:
        """Sets every element to a number; cheaper than `assign`, and only outside of compiled functions."""
        if not is_dry_run():
            self.backend.fill(self.storage, number)

    def __iadd__(self, other: Any) -> Variable:
        self.assign(self.stored + other)  # in place: `self.counter += 1` must not put a tensor into the attribute
        return self

    def __isub__(self, other: Any) -> Variable:
        self.assign(self.stored - other)
        return self

    def __imul__(self, other: Any) -> Variable:
        self.assign(self.stored * other)
        return self

    def __itruediv__(self, other: Any) -> Variable:
        self.assign(self.stored / other)
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Variable:
        twin = Variable(self.numpy(), self.is_parameter, self.path, self.static_dtype, self.backend)
        twin.is_cast = self.is_cast
        if self.is_parameter and not self._trainable:
            twin.trainable = False
        return twin

    def __repr__(self) -> str:
        kind = "trainable" if self._trainable else "not trainable"
        return f"Variable({self.path!r}, shape={self.shape}, dtype={self.dtype}, {kind}, backend={self.backend.name})"


introduce(Variable)
on_load(lambda backend: backend.know_constant(is_dry_run))
