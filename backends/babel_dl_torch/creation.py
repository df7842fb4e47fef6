"""Tensors from nothing, from the host, and back to it."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import ml_dtypes
import numpy as np
import torch
from torch import Tensor

from babel_dl.backend import device_in_force
from babel_dl.backend.contract import Creation, Devices
from babel_dl.errors import BackendError, DTypeError
from babel_dl_torch.binding import bound
from babel_dl_torch.dtypes import to_name, to_torch
from babel_dl_torch.tracing import is_tracing

place_in_force: Callable[[Any], str] = device_in_force
"""Where new tensors go. Takes Any: that a family is part of a `Backend` is not to be seen by a type checker."""

_UNCOUNTABLE = (torch.bool, torch.uint16, torch.uint32, torch.uint64)


def from_host(array: np.ndarray) -> Tensor:
    """A CPU tensor over the array's own memory where it is dense and writable, else over a copy.

    Raises:
        DTypeError: PyTorch has no such element type (text, objects, dates).
    """
    dtype = array.dtype
    if not (array.flags.c_contiguous and array.flags.writeable and dtype.isnative):
        array = np.array(array, dtype=dtype.newbyteorder("="), order="C")  # PyTorch refuses negative steps and foreign byte order
    if dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    try:
        return torch.from_numpy(array)
    except TypeError as error:
        raise DTypeError(
            f"An array of numpy type {dtype} came to PyTorch, which holds numbers and bool only.\n  Encode it as numbers first, or drop it."
        ) from error


class TorchCreation(Creation):
    """Makes tensors, on the device in force."""

    def asarray(self, value: np.ndarray | np.generic | bool | int | float, dtype: str, device: str | None = None) -> Tensor:
        """A dense tensor in memory of its own."""
        wanted, place = to_torch(dtype), device or place_in_force(self)
        if not isinstance(value, (np.ndarray, np.generic)):
            return torch.tensor(value, dtype=wanted, device=place)
        return from_host(np.asarray(value)).to(place, wanted, copy=True, memory_format=torch.contiguous_format)

    def to_numpy(self, x: Tensor) -> np.ndarray:
        """A C-contiguous copy on the host."""
        if is_tracing():
            raise BackendError(
                f"The values of a tensor of shape {tuple(x.shape)} were asked for while a function is being compiled; it has none yet.\n"
                "  Return the tensor from the compiled function, and look at it outside."
            )
        host = x.detach().cpu()
        if host.dtype is torch.bfloat16:
            return np.array(host.view(torch.int16).numpy(), order="C").view(ml_dtypes.bfloat16)
        return np.array(host.numpy(), order="C")

    def from_dlpack(self, x: Any) -> Tensor:
        """The other framework's memory; a copy where that memory is read-only."""
        if isinstance(x, Tensor):
            return x
        if isinstance(x, np.ndarray):
            return from_host(x)
        return torch.from_dlpack(x)

    def full(self, shape: tuple[int, ...], value: bool | int | float, dtype: str) -> Tensor:
        """`torch.full` on the device in force."""
        return torch.full(shape, value, dtype=to_torch(dtype), device=place_in_force(self))

    def arange(self, start: int, stop: int, step: int, dtype: str) -> Tensor:
        """`torch.arange` on the device in force; where the range is empty PyTorch would raise, and it cannot count in some types."""
        wanted = to_torch(dtype)
        stop = start + len(range(start, stop, step)) * step
        if wanted in _UNCOUNTABLE:
            return torch.arange(start, stop, step, device=place_in_force(self)).to(wanted)
        return torch.arange(start, stop, step, dtype=wanted, device=place_in_force(self))

    def is_native(self, x: Any) -> bool:
        """Whether `x` is a `torch.Tensor` or of a class below it."""
        return isinstance(x, Tensor)

    def dtype(self, x: Tensor) -> str:
        """The word for `x.dtype`."""
        return to_name(x.dtype)

    def shape(self, x: Tensor) -> tuple[int, ...]:
        """The sizes as a plain tuple: `torch.Size` would show in messages."""
        return tuple(x.shape)

    def astype(self, x: Tensor, dtype: str) -> Tensor:
        """`x.to`; `x` itself when it has the type."""
        return x.to(to_torch(dtype))

    copy = bound(torch.clone)


@lru_cache(maxsize=1)
def _devices() -> tuple[str, ...]:
    return (*(f"cuda:{number}" for number in range(torch.cuda.device_count())), "cpu")


class TorchDevices(Devices):
    """The GPUs that CUDA (or ROCm, which answers to the same name) offers, then the CPU."""

    def devices(self) -> tuple[str, ...]:
        """GPUs first, so that one is the default where there is one. Counted once in a process."""
        return _devices()

    def device(self, x: Tensor) -> str:
        """`cpu`, `cuda:0`, ..."""
        return str(x.device)

    def to_device(self, x: Tensor, device: str) -> Tensor:
        """`x.to`; `x` itself when it is there."""
        return x.to(device)

    def versions(self) -> dict[str, str]:
        """PyTorch, and CUDA where this PyTorch was built for it."""
        return {"torch": str(torch.__version__)} | ({"cuda": torch.version.cuda} if torch.version.cuda else {})

    def is_out_of_memory(self, error: BaseException) -> bool:
        """`torch.OutOfMemoryError` of a GPU; the CPU's allocator raises a RuntimeError."""
        return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)
