"""Images in another size: PyTorch is the judge, and whole numbers where it rounds."""

from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from babel_dl import ops, use_backend
from babel_dl.backend import Backend
from babel_dl.core import Tensor, Variable, compile, grad, value_and_grad
from babel_dl.errors import ArgumentError, ShapeError

X = np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype(np.float32)
SIZES = [(10, 12), (5, 18), (3, 4), (7, 5), (1, 1), (20, 3), (5, 6), (1, 9)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("mode", "theirs"), [("bilinear", "bilinear"), ("nearest", "nearest-exact")])
def test_images_and_their_gradients_are_pytorchs(backend: Backend, size: tuple[int, int], mode: str, theirs: str) -> None:
    slope = np.random.default_rng(1).normal(size=(2, *size, 3)).astype(np.float32)
    tensor = torch.tensor(X, requires_grad=True)
    wanted = F.interpolate(tensor.movedim(-1, 1), size, mode=theirs).movedim(1, -1)
    (wanted * torch.tensor(slope)).sum().backward()
    x = Variable(X)
    (gradient,) = compile(lambda: value_and_grad(lambda: ops.sum(ops.resize(x, size, mode) * ops.asarray(slope)), [x])[1])()
    np.testing.assert_allclose(ops.resize(x, size, mode).numpy(), wanted.detach().numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradient.numpy(), tensor.grad.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("length", [3, 4, 12, 30])
@pytest.mark.parametrize(("mode", "theirs"), [("bilinear", "linear"), ("nearest", "nearest-exact")])
def test_sequences_are_pytorchs(backend: Backend, length: int, mode: str, theirs: str) -> None:
    wanted = F.interpolate(torch.tensor(X[0]).movedim(-1, 1), length, mode=theirs).movedim(1, -1)
    np.testing.assert_allclose(ops.resize(X[0], length, mode).numpy(), wanted.numpy(), rtol=1e-5, atol=1e-6)


@given(st.integers(1, 60), st.integers(1, 60))
def test_the_nearest_place_is_found_in_whole_numbers(n: int, m: int) -> None:
    wanted = [floor((o + Fraction(1, 2)) * n / m) for o in range(m)]
    with use_backend("torch"):
        found = ops.resize(np.arange(n, dtype=np.int32).reshape(1, n, 1), m, "nearest")
    assert found.numpy().ravel().tolist() == wanted


def test_the_nearest_place_is_the_same_on_every_backend(backend: Backend) -> None:
    for n, m in ((30, 25), (10, 4), (4, 10), (50, 15), (6, 3), (9, 3), (7, 49)):  # with centres that fall between two places
        wanted = [floor((o + Fraction(1, 2)) * n / m) for o in range(m)]
        assert ops.resize(np.arange(n, dtype=np.float32).reshape(1, n, 1), m, "nearest").numpy().ravel().tolist() == wanted


@pytest.mark.parametrize("dtype", ["uint8", "int32", "bool", "float16", "bfloat16"])
def test_repeating_keeps_every_type(backend: Backend, dtype: str) -> None:
    x = ops.asarray(np.arange(6).reshape(1, 2, 3, 1) % 2, dtype)
    wanted = x.numpy().repeat(2, 1).repeat(2, 2)
    found = ops.resize(x, scale=2, mode="nearest")
    assert found.dtype == dtype
    np.testing.assert_array_equal(found.numpy(), wanted)


def test_whole_numbers_become_floats_where_they_are_interpolated(backend: Backend) -> None:
    x = np.array([0, 100], np.uint8).reshape(1, 2, 1)
    assert ops.resize(x, 4).numpy().ravel().tolist() == [0.0, 25.0, 75.0, 100.0]
    assert ops.resize(x, 2).dtype == "float32"
    assert ops.resize(x, 2, "nearest").dtype == "uint8"


@pytest.mark.parametrize(("scale", "size"), [(2, (10, 12)), (1.5, (7, 9)), ((0.5, 2), (2, 12)), ((1, 0.34), (5, 2))])
def test_a_scale_gives_the_size_rounded_down(backend: Backend, scale: Any, size: tuple[int, int]) -> None:
    np.testing.assert_array_equal(ops.resize(X, scale=scale).numpy(), ops.resize(X, size).numpy())


def test_a_gradient_of_a_gradient_goes_through(backend: Backend) -> None:
    """f = sum(resize(x)**3): the gradient of the squared gradient, by PyTorch."""
    for size, mode, theirs in (((10, 12), "nearest", "nearest-exact"), ((7, 9), "bilinear", "bilinear"), ((3, 3), "bilinear", "bilinear")):
        tensor = torch.tensor(X, requires_grad=True)
        cubes = F.interpolate(tensor.movedim(-1, 1), size, mode=theirs).pow(3).sum()
        (first,) = torch.autograd.grad(cubes, tensor, create_graph=True)
        (wanted,) = torch.autograd.grad(first.square().sum(), tensor)

        def squared(x: Tensor, size: tuple[int, int] = size, mode: str = mode) -> Tensor:
            return ops.sum(grad(lambda y: ops.sum(ops.resize(y, size, mode) ** 3), x) ** 2)

        np.testing.assert_allclose(grad(squared, ops.asarray(X)).numpy(), wanted.numpy(), rtol=1e-3, atol=1e-3)


def test_a_size_that_is_there_changes_nothing(backend: Backend) -> None:
    x = ops.asarray(X)
    assert ops.resize(x, (5, 6)) is x


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs either size or scale, and got size=None and scale=None"),
        ({"size": 2, "scale": 2}, "needs either size or scale, and got size=2 and scale=2"),
        ({"size": 0}, "needs size as a whole number above 0, or 2 of them, and got 0"),
        ({"size": 2.5}, "size as a whole number above 0, or 2 of them, and got 2.5"),
        ({"size": (2, 2, 2)}, r"or 2 of them, and got \(2, 2, 2\)"),
        ({"scale": -1.0}, "needs scale as a number above 0, or 2 of them, and got -1.0"),
        ({"scale": True}, "needs scale as a number above 0"),
        ({"scale": 0.1}, r"scale=0.1 leaves nothing of spatial sizes \(5, 6\)"),
        ({"size": 3, "mode": "bilinaer"}, "has no mode 'bilinaer'. Did you mean 'bilinear'"),
    ],
)  # fmt: skip
def test_what_is_no_size_is_refused(backend: Backend, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        ops.resize(X, **options)


@pytest.mark.parametrize(("shape", "message"), [((5, 6), r"and got shape \(5, 6\)"), ((1, 0, 2, 1), "must have known sizes of at least 1")])
def test_what_is_no_image_is_refused(backend: Backend, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        ops.resize(np.ones(shape, np.float32), 3)
