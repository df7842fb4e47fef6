"""What part 1 writes by hand is what it says; numpy is the judge."""

import numpy as np
import pytest

from babel_dl import ops
from examples.mnist_from_scratch import raw_tensors
from examples.mnist_from_scratch.data import Part


def probabilities(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


@pytest.fixture
def part() -> Part:
    rng = np.random.default_rng(0)
    return Part(rng.random((150, 784), np.float32), rng.integers(0, 10, 150).astype(np.uint8))


def test_log_softmax_gives_logarithms_of_probabilities(backend):
    logits = np.random.default_rng(0).normal(size=(5, 10)).astype(np.float32)
    assert raw_tensors.log_softmax(ops.asarray(logits)).numpy() == pytest.approx(np.log(probabilities(logits)), abs=1e-5)


def test_log_softmax_of_large_logits_is_finite(backend):
    values = raw_tensors.log_softmax(ops.asarray(np.array([[1000.0, 0.0, -1000.0]], np.float32))).numpy()
    assert values.tolist() == [[0.0, -1000.0, -2000.0]]


def test_the_loss_is_the_mean_of_the_true_classes(backend):
    log_probabilities = np.array([[-1.0, -2.0], [-4.0, -8.0]], np.float32)
    loss = raw_tensors.nll(ops.asarray(log_probabilities), ops.asarray(np.array([0, 1], np.uint8)))
    assert float(loss) == 4.5


def test_accuracy_is_the_share_of_right_answers(backend):
    scores = ops.asarray(np.array([[1.0, 2.0], [3.0, 1.0], [0.0, 1.0], [0.0, 1.0]], np.float32))
    assert float(raw_tensors.accuracy(scores, ops.asarray(np.array([1, 0, 0, 1], np.uint8)))) == 0.75


def test_batches_cover_each_image_once_and_in_order(part):
    batches = [raw_tensors.get_batch(part, 64, iteration) for iteration in range(3)]
    assert [len(batch.x) for batch in batches] == [64, 64, 22]  # the post's are 0, 1 and 2 images long
    assert np.array_equal(np.concatenate([batch.x for batch in batches]), part.x)
    assert np.array_equal(np.concatenate([batch.y for batch in batches]), part.y)


def test_a_step_goes_against_the_gradient(backend, part):
    p = raw_tensors.make_parameters(seed=3)
    weights, bias = p.weights.numpy().astype(np.float64), p.bias.numpy().astype(np.float64)
    answers = probabilities(part.x @ weights + bias)
    error = (answers - np.eye(10)[part.y]) / len(part.y)  # the gradient of the mean cross entropy for the logits
    loss = raw_tensors.make_step(p, lr=0.5)(*part)
    assert float(loss) == pytest.approx(-np.log(answers[np.arange(150), part.y]).mean(), rel=1e-5)
    assert p.weights.numpy() == pytest.approx(weights - 0.5 * part.x.T @ error, abs=1e-6)
    assert p.bias.numpy() == pytest.approx(bias - 0.5 * error.sum(axis=0), abs=1e-6)


def test_training_learns_by_heart_what_it_sees(backend, part):
    p = raw_tensors.make_parameters(seed=0)
    before = raw_tensors.test(p, part)
    raw_tensors.train(p, part, max_epoch=60, lr=0.1)
    after = raw_tensors.test(p, part)
    assert before[0] > 2.0  # nearly ln(10) = 2.3: it knows nothing
    assert after[0] < 1.0
    assert after[1] > 0.9


def test_a_seed_decides_over_the_first_weights():
    first, again, other = (raw_tensors.make_parameters(seed).weights.numpy() for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.var() * 784 == pytest.approx(1.0, abs=0.05)
