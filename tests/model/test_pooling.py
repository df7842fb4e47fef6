"""What the table does not show of poolings."""

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.core import Variable, value_and_grad
from babel_dl.errors import ArgumentError, ShapeError
from babel_dl.model.layers import (
    AveragePooling1D,
    AveragePooling2D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    MaxPooling1D,
    MaxPooling2D,
)  # fmt: skip

GRID = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)


def test_a_stride_that_is_not_given_is_the_window(backend: Backend) -> None:
    assert MaxPooling2D((2, 4))(GRID).numpy().ravel().tolist() == [7.0, 15.0]
    assert AveragePooling2D(2)(GRID).numpy().ravel().tolist() == [2.5, 4.5, 10.5, 12.5]


def test_places_that_padding_adds_never_win(backend: Backend) -> None:
    assert MaxPooling2D(2, padding=1)(GRID - 100).numpy().ravel().tolist() == [-100, -98, -97, -92, -90, -89, -88, -86, -85]


def test_places_that_padding_adds_count_only_on_request(backend: Backend) -> None:
    ones = np.ones((1, 2, 2, 1), np.float32)
    assert AveragePooling2D(2, padding=1)(ones).numpy().ravel().tolist() == [1.0] * 4
    assert AveragePooling2D(2, padding=1, count_padding=True)(ones).numpy().ravel().tolist() == [0.25] * 4


def test_the_largest_alone_gets_the_gradient(backend: Backend) -> None:
    x = Variable(GRID)
    _, (gradient,) = value_and_grad(lambda: ops.sum(MaxPooling2D(2)(x)), x)
    assert np.flatnonzero(gradient.numpy()).tolist() == [5, 7, 13, 15]


def test_a_global_pooling_can_keep_its_axes(backend: Backend) -> None:
    x = np.ones((2, 3, 4, 5), np.float32)
    assert [GlobalAveragePooling2D(keep)(x).shape for keep in (False, True)] == [(2, 5), (2, 1, 1, 5)]
    assert [GlobalMaxPooling1D(keep)(x[0]).shape for keep in (False, True)] == [(3, 5), (3, 1, 5)]


@pytest.mark.parametrize("layer", [MaxPooling1D, AveragePooling1D, GlobalAveragePooling1D, GlobalMaxPooling1D])
def test_a_pooling_of_sequences_takes_no_image(backend: Backend, layer: type) -> None:
    message = rf"{layer.__name__} got an input of shape \(1, 4, 4, 1\).\n  It needs 3 axes: \(batch, length, channels\)"
    with pytest.raises(ShapeError, match=message):
        layer()(GRID)


@pytest.mark.parametrize("layer", [MaxPooling2D, AveragePooling2D, GlobalAveragePooling2D, GlobalMaxPooling2D])
def test_a_pooling_of_images_takes_no_sequence(backend: Backend, layer: type) -> None:
    message = rf"{layer.__name__} got an input of shape \(4, 4, 1\).\n  It needs 4 axes: \(batch, height, width"
    with pytest.raises(ShapeError, match=message):
        layer()(GRID[0])


@pytest.mark.parametrize("layer", [MaxPooling2D, AveragePooling2D])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pool_size": 0}, "needs pool_size as a number of at least 1"), ({"pool_size": (2, 2, 2)}, r"or 2 of them, and got \(2, 2, 2\)"),
        ({"stride": 0}, "needs stride as a number of at least 1"), ({"padding": "some"}, 'knows the paddings "same" and "valid"'),
        ({"padding": 2}, "needs padding below its window of 2, and got 2"),
        ({"padding": ((0, 3), (0, 0))}, "below its window of 2, and got 3"),
    ],
)  # fmt: skip
def test_a_pooling_refuses_what_it_cannot_be(layer: type, options: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=f"{layer.__name__} .*{message}"):
        layer(**options)


def test_integers_are_pooled_too(backend: Backend) -> None:
    pooled = MaxPooling2D(2)(GRID.astype(np.int32))
    assert (pooled.dtype, pooled.numpy().ravel().tolist()) == ("int32", [5, 7, 13, 15])
