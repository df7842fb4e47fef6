"""Tensors in parts."""

from typing import Any

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.core import Tensor, Variable, compile, value_and_grad
from babel_dl.errors import ArgumentError, ShapeError
from babel_dl.model.layers import Split

X = np.arange(24, dtype=np.float32).reshape(4, 6)


@pytest.mark.parametrize(("parts", "ends"), [(1, []), (3, [2, 4]), ((1, 5), [1]), ([2, -1], [2]), ((-1, 4, 0), [2, 6]), ((6, -1), [6])])
def test_parts_are_numpys(backend: Backend, parts: Any, ends: list[int]) -> None:
    found = ops.split(X, parts, axis=-1)
    wanted = np.split(X, ends, 1)
    assert isinstance(found, tuple) and [part.shape for part in found] == [part.shape for part in wanted]
    for part, judge in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(part.numpy(), judge)


def test_the_gradient_joins_what_was_parted(backend: Backend) -> None:
    x = Variable(X)

    def loss() -> Tensor:
        first, second, _ = ops.split(x, (1, 2, 1))
        return ops.sum(2 * first) + ops.sum(second * second)

    (gradient,) = compile(lambda: value_and_grad(loss, [x])[1])()
    np.testing.assert_array_equal(gradient.numpy(), np.concatenate([np.full((1, 6), 2.0), 2 * X[1:3], np.zeros((1, 6))]))


def test_natives_come_back_as_natives(backend: Backend) -> None:
    parts = ops.split(backend.asarray(X, "float32"), 2)
    assert isinstance(parts, tuple) and all(backend.is_native(part) for part in parts)


def test_the_layer_parts_the_last_axis(backend: Backend) -> None:
    mean, log_variance = Split(2)(X)
    np.testing.assert_array_equal(mean.numpy(), X[:, :3])
    np.testing.assert_array_equal(log_variance.numpy(), X[:, 3:])


@pytest.mark.parametrize(
    ("parts", "kind", "message"),
    [
        (4, ShapeError, r"cannot part axis 1 of shape \(4, 6\) into 4 equal parts"),
        (0, ArgumentError, "a number of parts of at least 1, or their sizes, one of which may be -1; it got 0"),
        ((), ArgumentError, r"it got \(\)"), ((-1, -1), ArgumentError, r"it got \(-1, -1\)"),
        ((2.0, 4), ArgumentError, r"it got \(2.0, 4\)"),
        ((2, 3), ShapeError, r"got the sizes \(2, 3\) for axis 1 of shape \(4, 6\); they must add up to 6"),
        ((4, 4, -1), ShapeError, "they must add up to 6"),
    ],
)  # fmt: skip
def test_what_does_not_add_up_is_refused(backend: Backend, parts: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        ops.split(X, parts, axis=1)


def test_an_axis_that_does_not_exist_is_refused(backend: Backend) -> None:
    with pytest.raises(ShapeError, match="ops.split was asked for axis 2 of a tensor with 2 axes"):
        ops.split(X, 2, axis=2)
