"""Tensors from nothing, from the host, and back to it; and where they live."""

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf

from babel_dl.backend import device_in_force
from babel_dl.backend.contract import Creation, Devices, Native
from babel_dl.errors import BackendError
from babel_dl_tensorflow.constants import integers, scalar
from babel_dl_tensorflow.dtypes import native_dtype

raw: Any = tf.raw_ops
EagerTensor: Any = tf.__internal__.EagerTensor

TENSORS = (tf.Tensor, tf.Variable)
HAVE_VALUES = (EagerTensor, tf.Variable)

_DEFAULT_PLACE = nullcontext()
_ALIGNMENT = 64
"""Bytes: EIGEN_MAX_ALIGN_BYTES of TensorFlow's builds."""


def placed(backend: Any, device: str | None = None) -> AbstractContextManager[Any]:
    """A `with` block whose tensors are made on the device, or on the one in force. Opens nothing where TensorFlow would go by itself."""
    wanted = device or device_in_force(backend)
    return _DEFAULT_PLACE if wanted == device_names()[0] else tf.device(_long_name(wanted))


@lru_cache(maxsize=1)
def device_names() -> tuple[str, ...]:
    """The devices, the one that TensorFlow prefers first."""
    # The question for logical devices would start the runtime, and after that no one can choose numbers of threads.
    return (*(f"cuda:{i}" for i in range(len(tf.config.get_visible_devices("GPU")))), "cpu")


def _long_name(device: str) -> str:
    kind, _, number = device.partition(":")
    return f"/device:{'GPU' if kind == 'cuda' else kind.upper()}:{number or 0}"


def _short_name(device: str) -> str:
    spec = tf.DeviceSpec.from_string(device)
    return f"cuda:{spec.device_index or 0}" if spec.device_type == "GPU" else "cpu"


class TensorFlowCreation(Creation):
    """Creation by `tf.constant` and `Fill`."""

    def asarray(self, value: np.ndarray | np.generic | bool | int | float, dtype: str, device: str | None = None) -> Native:
        """`tf.constant`, which copies, on the device asked for."""
        array = np.asarray(value).astype(native_dtype(dtype).as_numpy_dtype, copy=False)
        with placed(self, device):
            return tf.constant(array)

    def to_numpy(self, x: Native) -> np.ndarray:
        """`x.numpy()`, which copies.

        Raises:
            BackendError: `x` is symbolic.
        """
        if not isinstance(x, HAVE_VALUES):
            raise BackendError(
                f"A tensor of shape {tuple(x.shape)} and type {x.dtype.name} has no values yet: it belongs to a function that is being "
                f'traced.\n  Return it from the function and look at the result, or compile with mode "off".'
            )
        return np.asarray(x.numpy())

    def from_dlpack(self, x: Any) -> Native:
        """The other framework's memory; a copy where TensorFlow cannot use it: read-only, with gaps, or not aligned."""
        try:
            found = tf.experimental.dlpack.from_dlpack(x.__dlpack__())
        except (tf.errors.InvalidArgumentError, BufferError):  # read-only memory, or with gaps
            return tf.constant(np.from_dlpack(x))
        # Kernels end the process when they meet memory that is not aligned, as a view into a tensor may be.
        is_aligned = device_names()[0] != "cpu" or np.asarray(found).ctypes.data % _ALIGNMENT == 0
        return found if is_aligned else tf.constant(found.numpy())

    def full(self, shape: tuple[int, ...], value: bool | int | float, dtype: str) -> Native:
        """`Fill` on the device in force."""
        with placed(self):
            return raw.Fill(dims=integers(shape), value=scalar(value, native_dtype(dtype)))

    def arange(self, start: int, stop: int, step: int, dtype: str) -> Native:
        """`Range` on the device in force, counted in int32 or int64 and then cast."""
        count = len(range(start, stop, step))
        end = start + count * step  # exact, for TensorFlow refuses a stop on the wrong side of start
        wide = tf.int32 if max(abs(start), abs(end)) < 2**31 and dtype != "int64" else tf.int64
        target = native_dtype(dtype)
        with placed(self):
            found = raw.Range(start=scalar(start, wide), limit=scalar(end, wide), delta=scalar(step, wide))
            return found if wide == target else raw.Cast(x=found, DstT=target)

    def is_native(self, x: Any) -> bool:
        """Whether `x` is a `tf.Tensor`, eager or symbolic, or a `tf.Variable`."""
        return isinstance(x, TENSORS)

    def dtype(self, x: Native) -> str:
        """TensorFlow's own name of the type: it is the contract's word."""
        return x.dtype.name

    def shape(self, x: Native) -> tuple[int, ...]:
        """`x.shape` as a plain tuple."""
        return tuple(x.shape)

    def astype(self, x: Native, dtype: str) -> Native:
        """`Cast`; `x` itself when it has the type."""
        target = native_dtype(dtype)
        return x if x.dtype is target else raw.Cast(x=x, DstT=target)

    def copy(self, x: Native) -> Native:
        """A product with 1; on bool `x and x`."""
        # Identity shares the memory; arithmetic that changes nothing does not, and has a gradient.
        return raw.LogicalAnd(x=x, y=x) if x.dtype is tf.bool else raw.Mul(x=x, y=scalar(1, x.dtype))


class TensorFlowDevices(Devices):
    """Names of devices: `cuda:0` for `/device:GPU:0`."""

    def devices(self) -> tuple[str, ...]:
        """GPUs first, so that one is the default where there is one. Counted once in a process."""
        return device_names()

    def device(self, x: Native) -> str:
        """The short form of `x.device`; a symbolic tensor that has none yet is on the device in force."""
        return _short_name(x.device) if x.device else device_in_force(self)  # type: ignore[arg-type]

    def to_device(self, x: Native, device: str) -> Native:
        """`tf.identity` on the device; `x` itself when it is there."""
        if self.device(x) == device:
            return x
        with tf.device(_long_name(device)):
            return tf.identity(x)

    def versions(self) -> dict[str, str]:
        """TensorFlow alone."""
        return {"tensorflow": tf.__version__}

    def is_out_of_memory(self, error: BaseException) -> bool:
        """`ResourceExhaustedError`."""
        return isinstance(error, (MemoryError, tf.errors.ResourceExhaustedError))
