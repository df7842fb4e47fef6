"""The network is the post's."""

import numpy as np
import pytest

from babel_dl.core import TensorSpec
from examples.mnist_resnet.model import ResNet


@pytest.mark.parametrize("size", [24, 28])
def test_the_answer_is_a_logit_for_each_class_also_for_smaller_images(backend, size):
    answer = ResNet()(image=np.zeros((85, size, size, 1), np.uint8))  # read 85 as the batch size, says the post
    assert answer.digit.shape == (85, 10)
    assert np.isfinite(answer.digit.numpy()).all()


def test_the_model_has_36460_weights(backend):
    model = ResNet().build_from(TensorSpec((None, 28, 28, 1), "uint8"))
    assert sum(variable.size for variable in model.trainable_variables) == 36460
