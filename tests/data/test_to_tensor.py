"""Pictures as a network takes them. The judge is what torchvision.transforms.ToTensor is documented to do, with channels last."""

from collections import namedtuple

import numpy as np
import pytest

from babel_dl.data import ToTensor
from babel_dl.errors import ArgumentError, DTypeError, ShapeError

Inputs = namedtuple("Inputs", ["image"])
Outputs = namedtuple("Outputs", ["mask", "label"])


def converted(image, fields=("image",)):
    inputs, outputs = ToTensor(fields)(Inputs(image), Outputs(image, 3))
    return inputs.image, outputs.mask


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 3)])
def test_bytes_become_fractions_with_a_channel_axis(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    before = image.copy()
    found, other = converted(image)
    assert (found.dtype, found.shape) == (np.float32, (4, 5, shape[2] if len(shape) == 3 else 1))
    np.testing.assert_allclose(found.reshape(shape), image / 255.0, rtol=1e-6)
    assert found.max() <= 1.0
    np.testing.assert_array_equal(image, before)
    assert other is image


def test_floats_stay_what_they_are_and_bools_become_one_and_zero():
    np.testing.assert_array_equal(converted(np.float64([[0.25, 300.0]]))[0][..., 0], np.float32([[0.25, 300.0]]))
    np.testing.assert_array_equal(converted(np.array([[True, False]]))[0][..., 0], np.float32([[1.0, 0.0]]))


def test_several_fields_are_converted_together():
    first, second = converted(np.full((2, 2), 255, np.uint8), ("image", "mask"))
    assert first.tolist() == second.tolist() == [[[1.0], [1.0]], [[1.0], [1.0]]]


def test_whole_numbers_of_an_unknown_range_are_refused():
    with pytest.raises(DTypeError, match="ToTensor takes pictures of uint8 .0 to 255., floating or bool, and got int32. Cast them first."):
        converted(np.zeros((2, 2), np.int32))


def test_what_is_no_picture_is_refused():
    with pytest.raises(ShapeError, match=r"got an array of shape \(3,\)"):
        converted(np.zeros(3, np.uint8))
    with pytest.raises(ArgumentError, match="ToTensor: the sample has no field 'picture'"):
        converted(np.zeros((2, 2), np.uint8), ("picture",))


def test_the_version_says_which_fields():
    assert ToTensor(("a", "b")).version != ToTensor(("a",)).version
