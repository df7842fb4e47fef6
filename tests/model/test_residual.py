"""What the table does not show of residual layers."""

from typing import Any

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.errors import ArgumentError, ShapeError
from babel_dl.model.layers import (
    BatchNormalization,
    Conv1D,
    Conv2D,
    Flatten,
    FullyConnected,
    Identity,
    Residual,
    ResidualBlock,
    Sequential,
)

IMAGE = np.random.default_rng(0).normal(size=(2, 7, 9, 4)).astype(np.float32)


@pytest.mark.parametrize(("stride", "size"), [(1, (7, 9)), (2, (4, 5)), ((3, 1), (3, 9)), (4, (2, 3))])
def test_a_matrix_goes_around_with_the_stride_that_is_needed(backend: Backend, stride: Any, size: tuple[int, int]) -> None:
    block = Residual(Conv2D(6, 3, stride=stride), BatchNormalization(), shortcut="auto")
    assert block(IMAGE).shape == (2, *size, 6)
    assert block.shortcut.layer.weight.shape == (1, 1, 4, 6)


def test_no_matrix_goes_around_where_the_shape_stays(backend: Backend) -> None:
    block = Residual(Conv2D(4, 3), shortcut="auto")
    block(IMAGE)
    assert list(block.named_variables) == ["/body/layers/0/weight", "/body/layers/0/bias"]


def test_sequences_have_a_way_around_too(backend: Backend) -> None:
    assert Residual(Conv1D(6, 3, stride=2), shortcut="auto")(IMAGE[0]).shape == (7, 5, 6)


def test_a_layer_may_go_around(backend: Backend) -> None:
    around = Sequential(Conv2D(6, 1, use_bias=False), BatchNormalization())
    block = Residual([Conv2D(6, 3), BatchNormalization()], shortcut=around, activation=None)
    y = block(IMAGE).numpy()
    block.eval().train()
    np.testing.assert_allclose(y, (block.body(IMAGE) + around(IMAGE)).numpy(), rtol=1e-5, atol=1e-6)


def test_identity_gives_back_what_it_gets(backend: Backend) -> None:
    x = ops.asarray(IMAGE)
    assert Identity()(x) is x


def test_a_block_projects_only_where_stride_or_channels_change(backend: Backend) -> None:
    same, wider, smaller = ResidualBlock(4), ResidualBlock(8), ResidualBlock(4, stride=(1, 2))
    assert [block(IMAGE).shape for block in (same, wider, smaller)] == [(2, 7, 9, 4), (2, 7, 9, 8), (2, 7, 5, 4)]
    assert [block.shortcut is None for block in (same, wider, smaller)] == [True, False, False]


def test_ways_that_end_in_different_shapes_are_refused(backend: Backend) -> None:
    message = r"adds the result of its layers, \(2, 7, 9, 6\), to its shortcut's, \(2, 7, 9, 4\).*\n  Both must be equal. Use shortcut="
    with pytest.raises(ShapeError, match=message):
        Residual(Conv2D(6, 3))(IMAGE)
    with pytest.raises(ShapeError, match=r"\(2, 7, 9, 1\), to its shortcut's, \(2, 7, 9, 4\)"):  # it would broadcast
        Residual(Conv2D(1, 3))(IMAGE)


@pytest.mark.parametrize(
    "make", [lambda: Conv2D(4, 3, padding=2), lambda: Sequential(Flatten(), FullyConnected(3)), lambda: Conv2D(4, 3, padding="valid")]
)
def test_what_no_matrix_leads_to_is_refused(backend: Backend, make: Any) -> None:
    with pytest.raises(ShapeError, match=r"finds no matrix that leads from \(7, 9, 4\) to \(.*\n  Give Residual a layer for it"):
        Residual(make(), shortcut="auto")(IMAGE)


def test_what_makes_no_residual_layer_is_refused() -> None:
    with pytest.raises(ArgumentError, match="Residual needs at least one layer, and got none"):
        Residual()
    with pytest.raises(ArgumentError, match="a shortcut that is None, \"auto\", a layer or a function, and got 'atuo'"):
        Residual(Identity(), shortcut="atuo")
    with pytest.raises(ArgumentError, match="Sequential needs layers, and number 1 is 3"):
        Residual(Identity(), 3)
    with pytest.raises(ArgumentError, match="ResidualBlock needs an odd kernel_size, and got 4"):
        ResidualBlock(4, kernel_size=4)
    with pytest.raises(ArgumentError, match="ResidualBlock needs filters of at least 1, and got 0"):
        ResidualBlock(0)
    with pytest.raises(ArgumentError, match="There is no activation 'rleu'. Did you mean 'relu'"):
        ResidualBlock(4, activation="rleu")
