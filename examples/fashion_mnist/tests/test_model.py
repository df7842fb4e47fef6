"""The model answers with a logit for each class, and knows nothing before it is trained."""

import math

import numpy as np
import pytest
from configs.fashion_mnist import FashionMnistConfig
from datasets.fashion_mnist import make_dataset
from models.fashion_mnist import FashionMnistModel
from training.loss import FashionMnistLoss

from babel_dl import SPLIT_DEV


@pytest.fixture(scope="module")
def data():
    return make_dataset(FashionMnistConfig("mini"), SPLIT_DEV)


def test_the_answer_is_a_logit_for_each_class(backend, data):
    model = FashionMnistModel(FashionMnistConfig())
    answer = model.predict(image=data[0][0].image)
    assert answer.class_id.shape == (10,)
    assert np.isfinite(answer.class_id).all()


def test_the_model_has_8616_weights(backend, data):
    model = FashionMnistModel(FashionMnistConfig()).initialize(data)
    assert sum(variable.size for variable in model.trainable_variables) == 8616


def test_at_the_start_all_classes_are_equally_likely(backend, data):
    inputs, outputs = next(iter(data.to_dataloader(batch_size=250)))
    answer = FashionMnistModel(FashionMnistConfig())(image=inputs.image)  # in training mode: running statistics mean nothing yet
    assert float(FashionMnistLoss()(answer, outputs)) == pytest.approx(math.log(10), abs=0.3)
