"""The network is the lab's, and its two evaluations are what they say."""

import numpy as np
import pytest

import babel_dl
from examples.mnist_lab.model import LabCnn
from examples.mnist_lab.train import logits_of, train
from examples.shared.digits import load_digits


@pytest.fixture(scope="module")
def images():
    return load_digits("mini", "test")[0]


def test_the_model_has_50186_weights(backend, images):
    model = LabCnn()
    assert model(image=images[:2, ..., None]).digit.shape == (2, 10)
    assert sum(variable.size for variable in model.trainable_variables) == 50186


def test_the_last_layer_starts_as_xavier_says_and_the_biases_at_zero(backend, images):
    model = LabCnn()
    model(image=images[:2, ..., None])
    limit = np.sqrt(6 / (7 * 7 * 64 + 10))
    weights = model.fc.weight.numpy()
    assert 0.99 * limit < np.abs(weights).max() <= limit
    assert weights.std() == pytest.approx(limit / np.sqrt(3), rel=0.02)
    assert not any(value.any() for path, value in model.state_dict().items() if path.endswith("bias"))


def test_the_right_evaluation_divides_by_255_and_the_labs_does_not(backend, images):
    model = LabCnn()
    scaled = images[..., None].astype(np.float32) / 255
    assert logits_of(model, images) == pytest.approx(model.network(scaled).digit.numpy(), abs=1e-4)
    raw = logits_of(model, images, as_in_the_lab=True)
    assert raw == pytest.approx(model.network(images[..., None].astype(np.float32)).digit.numpy(), rel=1e-3, abs=1e-2)
    assert np.abs(raw).max() > 10 * np.abs(logits_of(model, images)).max()


def test_the_cost_falls_and_the_network_learns(backend, images):
    with babel_dl.use_seed(1):
        model, costs = train("mini", epochs=2)
    assert costs[0] > costs[1]
    assert (logits_of(model, images).argmax(axis=1) == load_digits("mini", "test")[1]).mean() > 0.6
