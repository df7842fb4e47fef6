"""The handle around a framework's tensor: one set of methods and operators with one meaning on every backend.

A handle holds two references and no state. Native functions accept it, and it hands them its native tensor.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from babel_dl.backend import Backend
from babel_dl.backend.dtypes import SIGNED, is_integer
from babel_dl.errors import ArgumentError, ShapeError
from babel_dl.ops import calls, dispatch
from babel_dl.ops.handle import Handle

if TYPE_CHECKING:
    from babel_dl.ops.calls import TensorOrNumber

Axes = int | tuple[int, ...] | None


class TensorLike(Handle):
    """What behaves like a tensor: `Tensor`, and the variables of `babel_dl.core`. Subclasses provide `native` and `backend`."""

    __slots__ = ()
    __array_ufunc__ = None  # numpy steps aside: `array * tensor` is ours

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes; `None` where a traced tensor does not know one."""
        return self.backend.shape(self.native)

    @property
    def dtype(self) -> str:
        """The element type as a word: "float32", "int32", "bool", ..."""
        return self.backend.dtype(self.native)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape))

    @property
    def device(self) -> str:
        """Where the values live: "cpu", "cuda:0", ..."""
        return self.backend.device(self.native)

    def numpy(self) -> np.ndarray:
        """A copy of the values on the host.

        Raises:
            BackendError: The tensor is symbolic: a function is being traced.
        """
        return self.backend.to_numpy(self.native)

    def item(self) -> bool | int | float:
        """The only element as a Python number.

        Raises:
            ShapeError: There is not exactly one element.
        """
        if self.size != 1:
            raise ShapeError(f"item() needs a tensor with one element; this one has shape {self.shape}. Index it, or call numpy().")
        return self.numpy().reshape(()).item()

    def copy(self) -> Tensor:
        """The same values in memory of their own."""
        return Tensor(self.backend.copy(self.native), self.backend)

    def to(self, device: str) -> Tensor:
        """The tensor on another device."""
        return Tensor(self.backend.to_device(self.native, device), self.backend)

    def astype(self, dtype: str) -> Tensor:
        """The values in another element type."""
        return calls.astype(self, dtype)

    def reshape(self, *shape: int | tuple[int, ...]) -> Tensor:
        """The elements in a new shape, as `ops.reshape`; sizes as one tuple or one by one."""
        from babel_dl.ops.shape import reshape

        return reshape(self, shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape)  # type: ignore[arg-type]

    @property
    def T(self) -> Tensor:
        """The transpose of a matrix.

        Raises:
            ShapeError: The tensor has not exactly two axes.
        """
        from babel_dl.ops.shape import permute_dims

        if self.ndim != 2:
            raise ShapeError(f"T needs a matrix; this tensor has shape {self.shape}. Use ops.permute_dims(x, axes).")
        return permute_dims(self, (1, 0))

    def sum(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """The sum, as `ops.sum`."""
        return calls.reduce("sum", self, axis, keepdims)

    def mean(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """The mean, as `ops.mean`."""
        return calls.reduce("mean", self, axis, keepdims)

    def prod(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """The product, as `ops.prod`."""
        return calls.reduce("prod", self, axis, keepdims)

    def max(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """The largest, as `ops.max`."""
        return calls.reduce("max", self, axis, keepdims)

    def min(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """The smallest, as `ops.min`."""
        return calls.reduce("min", self, axis, keepdims)

    def any(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """Whether one is true, as `ops.any`."""
        return calls.reduce("any", self, axis, keepdims)

    def all(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """Whether every one is true, as `ops.all`."""
        return calls.reduce("all", self, axis, keepdims)

    def argmax(self, axis: int = -1, keepdims: bool = False) -> Tensor:
        """The first position of the largest, as `ops.argmax`."""
        return calls.position("argmax", self, axis, keepdims)

    def argmin(self, axis: int = -1, keepdims: bool = False) -> Tensor:
        """The first position of the smallest, as `ops.argmin`."""
        return calls.position("argmin", self, axis, keepdims)

    def __getitem__(self, index: Any) -> Tensor:
        from babel_dl.ops.shape import getitem

        return getitem(self, index)

    def __len__(self) -> int:
        if not self.shape:
            raise ShapeError("A tensor without axes has no length.")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __index__(self) -> int:
        value = self.item()
        if not isinstance(value, int) or isinstance(value, bool):
            raise ArgumentError(f"Only a whole number can be an index; this tensor is {self.dtype}.")
        return value

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    def __repr__(self) -> str:
        values = "traced" if self.backend.is_traced(self.native) else np.array2string(self.numpy(), prefix="Tensor(", threshold=64)
        return f"Tensor({values}, shape={self.shape}, dtype={self.dtype}, backend={self.backend.name})"

    def __add__(self, other: TensorOrNumber) -> Tensor:
        return calls.operator("add", self, other)

    def __radd__(self, other: TensorOrNumber) -> Tensor:
        return calls.operator("add", other, self)

    def __sub__(self, other: TensorOrNumber) -> Tensor:
        return calls.operator("subtract", self, other)

    def __rsub__(self, other: TensorOrNumber) -> Tensor:
        return calls.operator("subtract", other, self)

    def __mul__(self, other: TensorOrNumber) -> Tensor:
        return calls.operator("multiply", self, other)

    def __rmul__(self, other: TensorOrNumber) -> Tensor:
        return calls.operator("multiply", other, self)

    def __truediv__(self, other: TensorOrNumber) -> Tensor:
        return calls.operator("divide", self, other)

    def __rtruediv__(self, other: TensorOrNumber) -> Tensor:
        return calls.operator("divide", other, self)

    def __floordiv__(self, other: TensorOrNumber) -> Tensor:
        return calls.operator("floor_divide", self, other)

    def __rfloordiv__(self, other: TensorOrNumber) -> Tensor:
        return calls.operator("floor_divide", other, self)

    def __mod__(self, other: TensorOrNumber) -> Tensor:
        return calls.operator("remainder", self, other)

    def __rmod__(self, other: TensorOrNumber) -> Tensor:
        return calls.operator("remainder", other, self)

    def __pow__(self, other: TensorOrNumber) -> Tensor:
        return calls.operator("power", self, other)

    def __rpow__(self, other: TensorOrNumber) -> Tensor:
        return calls.operator("power", other, self)

    def __matmul__(self, other: TensorOrNumber) -> Tensor:
        return calls.operator("matmul", self, other)

    def __rmatmul__(self, other: TensorOrNumber) -> Tensor:
        return calls.operator("matmul", other, self)

    def __and__(self, other: TensorOrNumber) -> Tensor:
        return calls.operator("bitwise_and", self, other)

    def __rand__(self, other: TensorOrNumber) -> Tensor:
        return calls.operator("bitwise_and", other, self)

    def __or__(self, other: TensorOrNumber) -> Tensor:
        return calls.operator("bitwise_or", self, other)

    def __ror__(self, other: TensorOrNumber) -> Tensor:
        return calls.operator("bitwise_or", other, self)

    def __xor__(self, other: TensorOrNumber) -> Tensor:
        return calls.operator("bitwise_xor", self, other)

    def __rxor__(self, other: TensorOrNumber) -> Tensor:
        return calls.operator("bitwise_xor", other, self)

    def __invert__(self) -> Tensor:
        """The opposite of a bool, every bit flipped of a whole number."""
        if is_integer(self.dtype):
            return calls.binary("bitwise_xor", self, -1 if self.dtype in SIGNED else 2 ** int(self.dtype[4:]) - 1)
        return calls.unary("logical_not", self)

    def __neg__(self) -> Tensor:
        return calls.unary("negative", self)

    def __pos__(self) -> Tensor:
        return Tensor(self.native, self.backend)

    def __abs__(self) -> Tensor:
        return calls.unary("abs", self)

    def __eq__(self, other: object) -> Any:
        return calls.operator("equal", self, other)

    def __ne__(self, other: object) -> Any:
        return calls.operator("not_equal", self, other)

    def __lt__(self, other: TensorOrNumber) -> Tensor:
        return calls.operator("less", self, other)

    def __le__(self, other: TensorOrNumber) -> Tensor:
        return calls.operator("less_equal", self, other)

    def __gt__(self, other: TensorOrNumber) -> Tensor:
        return calls.operator("greater", self, other)

    def __ge__(self, other: TensorOrNumber) -> Tensor:
        return calls.operator("greater_equal", self, other)

    def __hash__(self) -> int:
        return id(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self.copy()  # of the values; the backend exists once

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.numpy() if dtype is None else self.numpy().astype(dtype)

    def __dlpack__(self, **options: Any) -> Any:
        return self.backend.stop_gradient(self.native).__dlpack__(**options)  # PyTorch hands out no memory that wants a gradient

    def __dlpack_device__(self) -> Any:
        return self.native.__dlpack_device__()

    def __jax_array__(self) -> Any:
        return self.native

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> Any:
        return self.native

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return function(*dispatch.unwrap(args), **dispatch.unwrap(kwargs or {}))


class Tensor(TensorLike):
    """A tensor on some backend.

    Args:
        native: The framework's own tensor.
        backend: The backend it belongs to.
    """

    __slots__ = ("backend", "native")

    def __init__(self, native: Any, backend: Backend) -> None:
        self.native = native
        self.backend = backend


ITensor = TensorLike
"""The name that the tutorials use in annotations."""

dispatch.bind(Tensor)
