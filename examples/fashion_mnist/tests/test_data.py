"""The data are what the network expects."""

import numpy as np
import pytest
from configs.fashion_mnist import NUM_SAMPLES, FashionMnistConfig
from datasets.fashion_mnist import make_dataset
from datasets.problem import CLASS_NAMES

from babel_dl import SPLIT_DEV, SPLIT_TRAIN


@pytest.fixture(scope="module")
def data():
    return make_dataset(FashionMnistConfig("mini"), SPLIT_TRAIN)


def test_there_are_as_many_samples_as_the_configuration_says(data):
    assert len(data) == NUM_SAMPLES["mini"]
    assert len(make_dataset(FashionMnistConfig("mini"), SPLIT_DEV)) == 1000


def test_a_sample_is_an_image_with_a_channel_and_a_class(data):
    inputs, outputs = data[0]
    assert (inputs.image.shape, inputs.image.dtype) == ((28, 28, 1), np.uint8)
    assert outputs.class_id.shape == ()
    assert 0 <= outputs.class_id < len(CLASS_NAMES)


def test_images_use_the_whole_range(data):
    images = np.stack([data[index][0].image for index in range(100)])
    assert (images.min(), images.max()) == (0, 255)
    assert 40 < images.mean() < 120


def test_all_classes_are_equally_frequent(data):
    classes = [int(outputs.class_id) for _, outputs in data]
    assert np.bincount(classes).tolist() == [NUM_SAMPLES["mini"] // len(CLASS_NAMES)] * len(CLASS_NAMES)


def test_a_batch_has_the_size_of_the_configuration(data):
    inputs, outputs = next(iter(data.to_dataloader()))
    assert inputs.image.shape == (32, 28, 28, 1)
    assert outputs.class_id.shape == (32,)
