"""The loop of part 2 trains and measures rightly, whatever the model; numpy is the judge."""

import numpy as np
import pytest

from babel_dl.training.optimizers import SGD
from babel_dl.training.optimizers.learning_rates import Cosine
from examples.mnist_from_scratch.data import Part, as_dataset, read_data
from examples.mnist_from_scratch.models import Linear, make_cnn
from examples.mnist_from_scratch.with_layers import Loop


@pytest.fixture
def part() -> Part:
    rng = np.random.default_rng(0)
    return Part(rng.random((150, 784), np.float32), rng.integers(0, 10, 150).astype(np.uint8))


def loader(part: Part, shuffle: bool = False):
    return as_dataset(part).to_dataloader(64, shuffle=shuffle)


@pytest.mark.parametrize(("make", "size"), [(Linear, 7850), (make_cnn, 3930)])
def test_the_models_have_the_sizes_of_the_posts(backend, part, make, size):
    model = make()
    assert model(part.x).shape == (150, 10)
    assert sum(variable.size for variable in model.trainable_variables) == size


def test_the_validation_loss_is_the_mean_over_all_images(backend, part):
    loop = Loop(Linear(), SGD(0.1, momentum=0.0))
    logits = loop.logits(part.x).astype(np.float64)
    of_true_class = logits[np.arange(150), part.y]
    expected = (np.log(np.exp(logits).sum(axis=1)) - of_true_class).mean()
    loss, accuracy = loop.test(loader(part))  # batches of 64, 64 and 22
    assert loss == pytest.approx(expected, rel=1e-5)
    assert accuracy == pytest.approx((logits.argmax(axis=1) == part.y).mean())


def test_a_step_is_that_of_the_model_from_raw_tensors(backend, part):
    model = Linear()
    loop = Loop(model, SGD(0.5, momentum=0.0))
    logits = loop.logits(part.x).astype(np.float64)
    weight, bias = (variable.numpy().astype(np.float64) for variable in model.trainable_variables)
    answers = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    error = (answers - np.eye(10)[part.y]) / 150
    everything = as_dataset(part).to_dataloader(150, shuffle=False)
    loop.train(everything, everything, max_epoch=1)
    after = model.state_dict()
    assert after["/linear/weight"] == pytest.approx(weight - 0.5 * part.x.T @ error, abs=1e-6)
    assert after["/linear/bias"] == pytest.approx(bias - 0.5 * error.sum(axis=0), abs=1e-6)


@pytest.mark.parametrize("make", [Linear, make_cnn])
def test_training_lowers_the_loss(backend, make):
    train = read_data("mini").train
    part = Part(train.x[:600], train.y[:600])
    loop = Loop(make(), SGD(0.05, momentum=0.9, nesterov=False))
    losses = loop.train(loader(part, shuffle=True), loader(part), max_epoch=8)
    assert len(losses) == 8
    assert losses[-1] < 0.8 * losses[0]
    assert losses[-1] == loop.test(loader(part))[0]


def test_a_schedule_sets_the_learning_rate_of_each_step(backend, part):
    schedule = Cosine(0.1, num_steps=6)
    loop = Loop(Linear(), SGD(schedule, momentum=0.0))
    loop.train(loader(part), loader(part), max_epoch=2)  # three batches each
    assert loop.num_steps == 6
    assert loop.optimizer.learning_rate == schedule(5)
