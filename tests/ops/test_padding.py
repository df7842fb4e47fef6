"""Places added around a tensor: numpy is the judge, and PyTorch of gradients."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.core import Variable, compile, value_and_grad
from babel_dl.errors import ArgumentError, ShapeError

X = np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype(np.float32)
WIDTHS = [((0, 0), (1, 2), (3, 0), (0, 0)), ((0, 0), (0, 0), (0, 4), (2, 1)), ((1, 1), (4, 4), (0, 0), (0, 2)), ((0, 0),) * 4]
NUMPYS = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("mode", NUMPYS)
def test_padding_is_numpys(backend: Backend, widths: tuple[tuple[int, int], ...], mode: str) -> None:
    np.testing.assert_array_equal(ops.pad(X, widths, mode=mode).numpy(), np.pad(X, widths, NUMPYS[mode]))


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_the_gradient_comes_back_from_every_copy(backend: Backend, mode: str) -> None:
    slope = np.random.default_rng(1).normal(size=(2, 8, 7, 3)).astype(np.float32)
    tensor = torch.tensor(X, requires_grad=True)
    padded = F.pad(tensor.movedim(-1, 1), (0, 1, 2, 1), mode).movedim(1, -1)
    (padded * torch.tensor(slope)).sum().backward()
    x, widths = Variable(X), ((0, 0), (2, 1), (0, 1), (0, 0))
    (gradient,) = compile(lambda: value_and_grad(lambda: ops.sum(ops.pad(x, widths, mode=mode) * ops.asarray(slope)), [x])[1])()
    np.testing.assert_allclose(gradient.numpy(), tensor.grad.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("mode", "most"), [("reflect", 4), ("circular", 5)])
def test_an_axis_that_is_too_short_is_refused(backend: Backend, mode: str, most: int) -> None:
    assert ops.pad(X, ((0, 0), (most, 0), (0, 0), (0, 0)), mode=mode).shape == (2, 5 + most, 6, 3)
    message = rf"ops.pad in mode '{mode}' cannot add {most + 1} places to axis 1 of shape \(2, 5, 6, 3\); at most {most}"
    with pytest.raises(ShapeError, match=message):
        ops.pad(X, ((0, 0), (0, most + 1), (0, 0), (0, 0)), mode=mode)


def test_an_empty_axis_has_no_edge(backend: Backend) -> None:
    with pytest.raises(ShapeError, match="cannot add 1 places to axis 0 of shape .*; at most 0"):
        ops.pad(np.zeros((0,), np.float32), ((1, 0),), mode="replicate")


def test_what_is_no_padding_is_refused(backend: Backend) -> None:
    with pytest.raises(ArgumentError, match="ops.pad has no mode 'refelct'. Did you mean 'reflect'"):
        ops.pad(X, ((0, 0),) * 4, mode="refelct")
    with pytest.raises(ArgumentError, match=r"adds places, and got the widths .*use slices: x\[2:-1\]"):
        ops.pad(X[0, 0, 0], ((-1, 0),))
    with pytest.raises(ArgumentError, match="needs 4 pairs"):
        ops.pad(X, ((1, 1),))
