"""Natives in, natives out; native functions on our handles; memory shared by DLPack; tensors of two backends never mix."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from babel_dl import ops, use_backend
from babel_dl.backend import Backend
from babel_dl.core import Variable
from babel_dl.errors import BackendError
from babel_dl.ops import Tensor

VALUES = np.array([[0.1, 0.7, -0.3], [1.5, -2.0, 0.0]], np.float32)


def native_function(name: str, backend_name: str) -> Callable[..., Any]:
    """A framework's own function, as its users write it."""
    if backend_name == "torch":
        import torch

        return {"add": torch.add, "matmul": torch.matmul, "relu": torch.nn.functional.relu, "sin": torch.sin, "sum": torch.sum}[name]
    if backend_name == "tensorflow":
        import tensorflow as tf

        return {"add": tf.add, "matmul": tf.matmul, "relu": tf.nn.relu, "sin": tf.math.sin, "sum": tf.reduce_sum}[name]
    import jax

    return {"add": jax.numpy.add, "matmul": jax.numpy.matmul, "relu": jax.nn.relu, "sin": jax.numpy.sin, "sum": jax.numpy.sum}[name]


JUDGES = {"add": np.add, "matmul": np.matmul, "relu": lambda x: np.maximum(x, 0), "sin": np.sin, "sum": np.sum}


@pytest.mark.parametrize("kind", (ops.asarray, Variable))
@pytest.mark.parametrize("name", ("add", "matmul", "relu", "sin", "sum"))
def test_a_native_function_takes_our_handles(backend: Backend, backend_name: str, name: str, kind: Callable[..., Any]) -> None:
    arrays = {"add": (VALUES, VALUES), "matmul": (VALUES, VALUES.T)}.get(name, (VALUES,))
    result = native_function(name, backend_name)(*(kind(np.ascontiguousarray(array)) for array in arrays))
    assert backend.is_native(result)
    np.testing.assert_allclose(backend.to_numpy(result), JUDGES[name](*arrays), rtol=1e-5)


FUNCTIONS = {
    "add": lambda x: ops.add(x, 1), "exp": ops.exp, "where": lambda x: ops.where(x > 0, x, 0.0), "clip": lambda x: ops.clip(x, 0.0, 1.0),
    "sum": lambda x: ops.sum(x, axis=0), "var": ops.var, "logsumexp": ops.logsumexp, "matmul": lambda x: ops.matmul(x, x), "gelu": ops.gelu,
    "elu": ops.elu, "softmax": ops.softmax, "reshape": lambda x: ops.reshape(x, (9,)), "concat": lambda x: ops.concat([x, x]),
    "stack": lambda x: ops.stack([x, x]), "take": lambda x: ops.take(x, [0, 2]),
    "flip": ops.flip, "pad": lambda x: ops.pad(x, [(1, 0), (0, 0)]),
    "getitem": lambda x: ops.getitem(x, (0, slice(1, None))), "argsort": ops.argsort, "argmax": ops.argmax, "isfinite": ops.isfinite,
    "astype": lambda x: ops.astype(x, "int32"), "leaky_relu": ops.leaky_relu, "silu": ops.silu, "cumulative_sum": ops.cumulative_sum,
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_natives_in_natives_out_and_the_same_numbers(backend: Backend, name: str) -> None:
    array = np.arange(9, dtype=np.float32).reshape(3, 3) - 4
    handle, native = FUNCTIONS[name](ops.asarray(array)), FUNCTIONS[name](backend.asarray(array, "float32"))
    assert isinstance(handle, Tensor)
    assert backend.is_native(native)
    np.testing.assert_array_equal(backend.to_numpy(native), handle.numpy())


def test_natives_beside_a_handle_give_a_handle(backend: Backend) -> None:
    native = backend.asarray(VALUES, "float32")
    assert isinstance(ops.add(native, ops.asarray(VALUES)), Tensor)
    assert isinstance(ops.asarray(VALUES) * native, Tensor)
    assert isinstance(ops.concat([native, ops.asarray(VALUES)]), Tensor)


def test_a_native_on_the_left_of_an_operator_is_understood(backend: Backend) -> None:
    result = backend.asarray(VALUES, "float32") + ops.asarray(VALUES)
    np.testing.assert_allclose(np.asarray(result), 2 * VALUES)


def test_host_values_alone_are_computed_by_the_backend_in_force(backend: Backend) -> None:
    result = ops.exp(VALUES)
    assert isinstance(result, Tensor) and result.backend is backend
    np.testing.assert_allclose(result.numpy(), np.exp(VALUES), rtol=1e-6)
    assert ops.maximum(1, 2.5).item() == 2.5


@pytest.mark.parametrize("kind", (ops.asarray, Variable))
def test_numpy_and_torch_take_our_memory_by_dlpack(backend: Backend, kind: Callable[..., Any]) -> None:
    import torch

    x = kind(VALUES)
    np.testing.assert_array_equal(np.from_dlpack(x), VALUES)
    np.testing.assert_array_equal(torch.from_dlpack(x).numpy(), VALUES)
    first, second = np.from_dlpack(x), np.from_dlpack(x)
    assert first.ctypes.data == second.ctypes.data, "the memory is copied, not shared"


def test_we_take_the_memory_of_others_by_dlpack(backend: Backend) -> None:
    import jax.numpy as jnp
    import torch

    for other in (torch.tensor(VALUES), jnp.asarray(VALUES), VALUES.copy(), ops.asarray(VALUES), Variable(VALUES)):
        taken = ops.from_dlpack(other)
        assert taken.backend is backend
        np.testing.assert_array_equal(taken.numpy(), VALUES)


MEETINGS = {
    "add": lambda x, y, i: x + y, "matmul": lambda x, y, i: x @ y, "where": lambda x, y, i: ops.where(x > 0, x, y),
    "where by a condition": lambda x, y, i: ops.where(y > 0, x, x), "concat": lambda x, y, i: ops.concat([x, y]),
    "stack": lambda x, y, i: ops.stack([x, y]), "take": lambda x, y, i: ops.take(x, i), "compare": lambda x, y, i: x == y,
    "take_along_axis": lambda x, y, i: ops.take_along_axis(x, i, 0), "getitem": lambda x, y, i: x[i],
    "linear": lambda x, y, i: ops.linear(x, y), "native": lambda x, y, i: ops.add(x, y.native),
    "convolution": lambda x, y, i: ops.convolution(x.reshape(1, 2, 2), y.reshape(1, 2, 2), None, (1,), ((0, 0),), (1,)),
    "assign": lambda x, y, i: Variable(np.ones((2, 2), np.float32), backend=x.backend).assign(y),
}  # fmt: skip


@pytest.mark.parametrize("name", MEETINGS)
def test_tensors_of_two_backends_do_not_mix(backend: Backend, backend_name: str, name: str) -> None:
    with use_backend("torch" if backend_name != "torch" else "jax") as other:
        stranger, index = ops.ones((2, 2)), ops.asarray([[0, 1]])
    x = ops.ones((2, 2))
    both = f"('{backend.name}' and '{other.name}'|'{other.name}' and '{backend.name}')"
    with pytest.raises(BackendError, match=rf"Tensors of two backends meet: {both}.\n  Move one over: ops.asarray\(x.numpy\(\)\)"):
        MEETINGS[name](x, stranger, index)
