"""Tensors from nothing, from the host, and back to it; and where they live."""

from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from babel_dl.backend.contract import Creation, Devices, Native
from babel_dl.backend.selection import device_in_force
from babel_dl.errors import BackendError, DeviceError
from babel_dl_jax.dtypes import check_host_dtype, dtype_word, native_dtype

place_in_force: Callable[[Any], str] = device_in_force
"""As in `selection`, for a family of functions too, which is not yet a whole `Backend`."""

Device = Any
_PREFIXES = {"gpu": "cuda"}


class JaxCreation(Creation):
    """Makes immutable arrays. None is weakly typed: a Python number beside them takes their dtype."""

    def asarray(self, value: np.ndarray | np.generic | bool | int | float, dtype: str, device: str | None = None) -> Native:
        """A copy of the values, sent by `jax.device_put`.

        Raises:
            DTypeError: There is no such type, or it has 64 bits while JAX is switched to 32.
        """
        # np.array copies: JAX adopts the memory of a host array where it can, and reads it late.
        return place(np.array(value, native_dtype(dtype)), device or place_in_force(self))

    def to_numpy(self, x: Native) -> np.ndarray:
        """A C-contiguous copy on the host; a tracer has no values.

        Raises:
            BackendError: `x` is a tracer.
        """
        if isinstance(x, Tracer):
            raise BackendError(
                f"A tensor of shape {x.shape} has no value while a function is traced: JAX is compiling, or differentiating.\n"
                "  Return it from the function, or log it, and read it outside."
            )
        return np.array(x, order="C")

    def from_dlpack(self, x: Any) -> Native:
        """`jnp.from_dlpack`; an array of JAX is itself.

        Raises:
            DTypeError: `x` has 64 bits while JAX is switched to 32.
        """
        if isinstance(x, jax.Array):
            return x
        if str(x.dtype).endswith(("int64", "float64")):
            native_dtype(str(x.dtype).rpartition(".")[2])
        return jnp.from_dlpack(x)

    def full(self, shape: tuple[int, ...], value: bool | int | float, dtype: str) -> Native:
        """`lax.full` on the device in force."""
        return place(lax.full(shape, np.asarray(value, native_dtype(dtype))), place_in_force(self))

    def arange(self, start: int, stop: int, step: int, dtype: str) -> Native:
        """`jnp.arange` on the device in force."""
        return place(jnp.arange(start, stop, step, native_dtype(dtype)), place_in_force(self))

    def is_native(self, x: Any) -> bool:
        """Whether `x` is a `jax.Array`; tracers are."""
        return isinstance(x, jax.Array)

    def dtype(self, x: Native) -> str:
        """The word for `x.dtype`."""
        return dtype_word(x.dtype)

    def shape(self, x: Native) -> tuple[int, ...]:
        """`x.shape`, which is a plain tuple."""
        return x.shape

    def astype(self, x: Native, dtype: str) -> Native:
        """`lax.convert_element_type`; `x` itself when it has the type and is not weakly typed."""
        native = native_dtype(dtype)
        return x if x.dtype == native and not x.weak_type else lax.convert_element_type(x, native)

    def copy(self, x: Native) -> Native:
        """`jnp.array`, which copies when told to."""
        return jnp.array(x, copy=True)


class JaxDevices(Devices):
    """JAX's local devices; `cpu` is listed last where there is an accelerator, and has no number unless there are several."""

    def devices(self) -> tuple[str, ...]:
        """JAX's own first device is the first. Listed once in a process."""
        return _names()

    def device(self, x: Native) -> str:
        """The device that holds the array; for a tracer the one in force."""
        if isinstance(x, Tracer):
            return place_in_force(self)
        return _name_of()[next(iter(x.devices()))]

    def to_device(self, x: Native, device: str) -> Native:
        """`jax.device_put`; `x` itself when it is there.

        Raises:
            DeviceError: JAX has no such device.
        """
        wanted = _find(device)
        return x if not isinstance(x, Tracer) and x.devices() == {wanted} else jax.device_put(x, wanted)

    def versions(self) -> dict[str, str]:
        """JAX, and jaxlib, which holds its compiled part."""
        return {package: version(package) for package in ("jax", "jaxlib")}

    def is_out_of_memory(self, error: BaseException) -> bool:
        """JAX has one class for all errors of its runtime; the text says which."""
        is_runtime = isinstance(error, jax.errors.JaxRuntimeError)
        return isinstance(error, MemoryError) or (is_runtime and any(s in str(error) for s in ("Out of memory", "RESOURCE_EXHAUSTED")))


@cache
def _table() -> dict[str, Device]:
    first = jax.local_devices()
    found = first if first[0].platform == "cpu" else [*first, *jax.local_devices(backend="cpu")]
    counts: dict[str, int] = {}
    table: dict[str, Device] = {}
    for device in found:
        prefix = str(_PREFIXES.get(device.platform, device.platform))
        number = counts.setdefault(prefix, 0)
        counts[prefix] += 1
        table["cpu" if prefix == "cpu" and number == 0 else f"{prefix}:{number}"] = device
    return table


@cache
def _names() -> tuple[str, ...]:
    return tuple(_table())


@cache
def _name_of() -> dict[Device, str]:
    return {device: name for name, device in _table().items()}


def _find(name: str) -> Device:
    if name not in _table():
        raise DeviceError(f"JAX has no device {name!r} here. Available: {', '.join(_names())}.")
    return _table()[name]


def place(x: np.ndarray | jax.Array, device: str) -> Native:
    """The array on a device. On JAX's own first device it stays uncommitted, so that it mixes with any other."""
    if isinstance(x, Tracer):
        return x
    if device != _names()[0]:
        return jax.device_put(x, _find(device))
    return jax.device_put(x) if isinstance(x, np.ndarray) else x


def receive(x: np.ndarray | np.generic, device: str) -> np.ndarray | np.generic | Native:
    """A host array as an argument of a compiled function. Copied: a call returns before it has read the memory, which may be refilled.

    Raises:
        DTypeError: JAX would narrow its type.
    """
    check_host_dtype(x.dtype)
    own = x.copy()
    return own if device == _names()[0] else jax.device_put(own, _find(device))
