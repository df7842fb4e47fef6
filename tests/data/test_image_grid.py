"""Pictures in and out of the network's layout."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from babel_dl.data import image_grid_unwrap, image_grid_wrap
from babel_dl.errors import ShapeError

pictures = hnp.arrays(hnp.unsigned_integer_dtypes() | hnp.floating_dtypes(), hnp.array_shapes(min_dims=2, max_dims=3))


@given(pictures)
def test_wrap_gives_height_width_channels_of_the_same_numbers(picture):
    grid = image_grid_wrap(picture)
    assert grid.ndim == 3 and grid.shape[:2] == picture.shape[:2] and grid.dtype == picture.dtype
    assert grid.tobytes() == picture.tobytes()


@given(pictures)
def test_unwrap_undoes_wrap(picture):
    unwrapped = image_grid_unwrap(image_grid_wrap(picture))
    expected = picture if picture.ndim == 3 else picture[:, :, None]
    assert unwrapped.shape == expected.shape and unwrapped.tobytes() == expected.tobytes()


def test_wrapping_copies_nothing():
    picture = np.zeros((4, 5))
    assert np.shares_memory(image_grid_wrap(picture), picture)


@pytest.mark.parametrize("shape", [(), (3,), (2, 28, 28, 1)])
def test_other_shapes_are_refused(shape):
    for function in (image_grid_wrap, image_grid_unwrap):
        with pytest.raises(ShapeError, match=rf"{function.__name__} got an array of shape \({', '.join(map(str, shape))}"):
            function(np.zeros(shape))
