"""Variables whose memory belongs to a native module."""

from __future__ import annotations

from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from babel_dl.backend import Backend
from babel_dl.backend.contract import NativeTensor
from babel_dl.core.variable import Variable
from babel_dl.ops.tensor import Tensor


class NativeVariable(Variable):
    """A tensor of a native module. Assigning to it changes the module, and what the module does to it is seen here.

    Args:
        tensor: The tensor in the module.
        backend: Where it lives.
        path: Its name in messages.
    """

    __slots__ = ("__weakref__",)

    def __init__(self, tensor: NativeTensor, backend: Backend, path: str) -> None:
        native = backend.read(tensor.storage)
        self.static_dtype = backend.dtype(native)
        self.static_shape = backend.shape(native)
        self.backend = backend
        self.path = path
        self.is_parameter = tensor.is_parameter
        self.is_cast = tensor.is_parameter
        self.storage = tensor.storage
        self._trainable = self.trainable

    @property
    def trainable(self) -> bool:
        """Whether optimizers may change it. The native module is asked, for it may have been frozen or thawed there."""
        return self.is_parameter and self.backend.is_trainable(self.storage)

    @trainable.setter
    def trainable(self, trainable: bool) -> None:
        """Freezes or thaws it, in the native module as well.

        Raises:
            ArgumentError: It is no parameter.
        """
        self._trainable = self.trainable
        Variable.trainable.fset(self, trainable)  # type: ignore[attr-defined]

    def assign(self, value: Any) -> None:
        """Replaces the value, in the native module as well; host values of 64 bit keep all of them.

        Raises:
            ShapeError: The shape differs.
            BackendError: The value is a tensor of another backend.
        """
        if isinstance(value, np.ndarray):
            value = Tensor(self.backend.asarray(value, self.static_dtype), self.backend)
        super().assign(value)

    def take_after(self, other: NativeVariable) -> None:
        """Takes over the value of another one, and becomes frozen or trainable as that is."""
        self.backend.assign(self.storage, self.backend.copy(other.backend.read(other.storage)))
        if self.is_parameter and self.trainable != other.trainable:
            self.trainable = other.trainable


_known: WeakValueDictionary[int, NativeVariable] = WeakValueDictionary()
"""By the id of the storage. One tensor has one variable, whichever modules hold it: it is found once, and trained once."""


def variable_over(tensor: NativeTensor, backend: Backend, path: str) -> NativeVariable:
    """The variable of a native module's tensor, made where there is none yet.

    Args:
        tensor: The tensor.
        backend: Where it lives.
        path: The path of the module.
    """
    known = _known.get(id(tensor.storage))
    if known is None or known.storage is not tensor.storage:
        known = _known[id(tensor.storage)] = NativeVariable(tensor, backend, path + tensor.name)
    return known
