"""Tensors cross from one framework to another."""

import numpy as np
import pytest

from babel_dl.backend import Backend, load_backend
from babel_dl.testing.conformance.judge import expect_native


@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8", "bfloat16"])
def test_a_tensor_crosses_to_every_framework_in_use(backend: Backend, backend_names: tuple[str, ...], dtype: str) -> None:
    values = np.arange(24).reshape(2, 3, 4)
    for name in backend_names:
        other = load_backend(name)
        expect_native(backend, backend.from_dlpack(other.asarray(values, dtype)), values, dtype)


def test_a_tensor_with_moved_axes_crosses(backend: Backend, backend_names: tuple[str, ...]) -> None:
    values = np.arange(24).reshape(2, 3, 4)
    for name in backend_names:
        other = load_backend(name)
        moved = other.permute_dims(other.asarray(values, "float32"), (2, 0, 1))
        expect_native(backend, backend.from_dlpack(moved), values.transpose(2, 0, 1), "float32")
