"""Tensors from nothing, from the host, and back to it."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

Native = Any
"""A framework's own tensor. The contract moves natives only; handles live above it."""


class Creation(ABC):
    """Makes tensors. `dtype` is one of `dtypes.DTYPES`; `None` for the device means `device_in_force`."""

    @abstractmethod
    def asarray(self, value: np.ndarray | np.generic | bool | int | float, dtype: str, device: str | None = None) -> Native:
        """A tensor with the host's values. Never shares memory with `value`.

        Inside a compiled function the result is a constant.

        Raises:
            DTypeError: The backend has no such type (64 bit where they are switched off).
        """

    @abstractmethod
    def to_numpy(self, x: Native) -> np.ndarray:
        """The values on the host, C-contiguous, as an array of its own (bfloat16 as `ml_dtypes.bfloat16`).

        Raises:
            BackendError: `x` is symbolic: it has no values while a function is traced.
        """

    @abstractmethod
    def from_dlpack(self, x: Any) -> Native:
        """A tensor over the memory of another framework's tensor, without a copy where both sit on one device."""

    @abstractmethod
    def full(self, shape: tuple[int, ...], value: bool | int | float, dtype: str) -> Native:
        """A tensor of one value."""

    @abstractmethod
    def arange(self, start: int, stop: int, step: int, dtype: str) -> Native:
        """start, start + step, ... below `stop`."""

    @abstractmethod
    def is_native(self, x: Any) -> bool:
        """Whether `x` is a tensor of this framework (a traced one and a native variable count)."""

    @abstractmethod
    def dtype(self, x: Native) -> str:
        """The element type as a word."""

    @abstractmethod
    def shape(self, x: Native) -> tuple[int, ...]:
        """The sizes; an unknown size of a traced tensor is `None`."""

    @abstractmethod
    def astype(self, x: Native, dtype: str) -> Native:
        """The values in another type; floats are cut towards zero when they become integers."""

    @abstractmethod
    def copy(self, x: Native) -> Native:
        """The same values in memory of their own."""


class Devices(ABC):
    """Where tensors live. Names are `cpu`, `cuda:0`, ... on every backend."""

    @abstractmethod
    def devices(self) -> tuple[str, ...]:
        """The devices that can be used now; `cpu` is always one."""

    @abstractmethod
    def device(self, x: Native) -> str:
        """Where the tensor lives."""

    @abstractmethod
    def to_device(self, x: Native, device: str) -> Native:
        """The tensor on another device; itself when it is there already."""

    @abstractmethod
    def versions(self) -> dict[str, str]:
        """Names and versions of the framework's packages, for logs and checkpoints."""

    @abstractmethod
    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether an error of the framework says that a device, or the host, has not enough memory."""
