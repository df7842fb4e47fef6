"""The training is the post's, on all images, and the same again from the same seed."""

from functools import cache

import numpy as np
import pytest

import babel_dl
from babel_dl.training.optimizers.learning_rates import OneCycle
from examples.mnist_resnet.train import Training, digest_of, train
from examples.shared.digits import load_digits


@cache
def trained(backend: str, seed: int) -> Training:
    with babel_dl.use_backend(backend), babel_dl.use_seed(seed):
        return train("mini", epochs=1)


@pytest.fixture
def training(backend):
    return trained(backend, 12)


def test_another_seed_gives_other_weights(backend, training):
    assert trained(backend, 13).digest != training.digest  # that one seed gives the same ones is tested with the program


def test_the_accuracy_is_that_of_all_test_images(training):
    labels = load_digits("mini", "test")[1]
    assert training.logits.shape == (1000, 10)
    assert training.dev == [pytest.approx((training.logits.argmax(axis=1) == labels).mean(), abs=1e-6)]


def test_the_cycle_spans_all_steps_with_the_momentum_of_torchs_default(training):
    assert training.schedule == OneCycle(max_lr=0.5, num_steps=11)  # 6,000 images in batches of 512; the last, smaller one is left out
    assert (training.schedule.momentum(0), training.schedule.momentum(10)) == (0.95, 0.95)
    assert min(training.schedule.momentum(step) for step in range(11)) == pytest.approx(0.85, abs=0.01)


def test_every_kind_of_variable_counts_for_the_digest(training):
    for ending in ("conv1/weight", "running_var", "bias"):
        variable = next(v for path, v in training.model.named_variables.items() if path.endswith(ending))
        value = variable.numpy()
        variable.assign(np.nextafter(value, np.float32(np.inf)))
        assert digest_of(training.model) != training.digest
        variable.assign(value)
    assert digest_of(training.model) == training.digest
