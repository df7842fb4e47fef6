"""The parts are those of the post's pickle."""

import numpy as np
import pytest

from examples.mnist_from_scratch.data import Part, generate_validation_set, read_data
from examples.shared.digits import load_digits


@pytest.fixture(scope="module")
def data():
    return read_data("mini")


def test_the_training_images_are_cut_at_five_sixths(data):
    images, labels = load_digits("mini", "train")
    assert [len(part.x) for part in data] == [5000, 1000, 1000]
    assert np.array_equal(np.concatenate([data.train.y, data.post_test.y]), labels)
    assert np.array_equal(data.post_test.x * 256, images[5000:].reshape(1000, 784))


def test_the_true_test_images_are_those_of_the_test_split(data):
    images, labels = load_digits("mini", "test")
    assert np.array_equal(data.true_test.x * 256, images.reshape(1000, 784))
    assert np.array_equal(data.true_test.y, labels)


def test_pixels_are_as_in_the_pickle(data):
    assert (data.train.x.dtype, data.train.x.min(), data.train.x.max()) == (np.float32, 0.0, 255 / 256)


def test_the_first_tenth_is_held_out():
    part = Part(np.arange(50, dtype=np.float32)[:, None], np.arange(50, dtype=np.uint8))
    train, valid = generate_validation_set(part)
    assert valid.y.tolist() == list(range(5))
    assert train.y.tolist() == list(range(5, 50))
    assert np.array_equal(train.x[:, 0], train.y)
    assert np.array_equal(valid.x[:, 0], valid.y)
