"""Metrics on every backend; the expected numbers are counted by hand or by numpy."""

import math

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.core import compile
from babel_dl.errors import ArgumentError, DTypeError, ShapeError
from babel_dl.training.metrics import BinaryAccuracy, CategoricalAccuracy, Mean, Metric, SparseCategoricalAccuracy, TopKAccuracy

RNG = np.random.default_rng(2)
SCORES = RNG.normal(size=(20, 7)).astype(np.float32)
LABELS = RNG.integers(0, 7, 20).astype(np.int32)
ONE_HOT = np.eye(7, dtype=np.float32)[LABELS]


def numpy_top_k(scores, labels, k):
    order = np.argsort(-scores, axis=-1, kind="stable")[..., :k]
    return (order == labels[..., None]).any(-1).astype(np.float32)


EVERY = {
    "sparse": (SparseCategoricalAccuracy, SCORES, LABELS, (SCORES.argmax(1) == LABELS)),
    "dense": (CategoricalAccuracy, SCORES, ONE_HOT, (SCORES.argmax(1) == LABELS)),
    "binary": (lambda: BinaryAccuracy(from_logits=True), SCORES, ONE_HOT, ((SCORES > 0) == (ONE_HOT > 0.5))),
    "top 1": (lambda: TopKAccuracy(1), SCORES, LABELS, numpy_top_k(SCORES, LABELS, 1)),
    "top 3": (lambda: TopKAccuracy(3), SCORES, LABELS, numpy_top_k(SCORES, LABELS, 3)),
    "top 7": (lambda: TopKAccuracy(7), SCORES, LABELS, np.ones(20)),
}
each_metric = pytest.mark.parametrize("case", EVERY)


@each_metric
def test_metric_gives_one_or_zero_in_float32_for_each_sample(backend, case):
    make, scores, target, wanted = EVERY[case]
    for answer in (make()(ops.asarray(scores), ops.asarray(target)), compile(make())(ops.asarray(scores), ops.asarray(target))):
        assert (answer.dtype, answer.shape) == ("float32", wanted.shape)
        np.testing.assert_array_equal(answer.numpy(), wanted.astype(np.float32))


@each_metric
def test_metric_takes_natives_and_answers_with_a_native(backend, case):
    make, scores, target, wanted = EVERY[case]
    answer = make()(ops.asarray(scores).native, ops.asarray(target).native)
    assert backend.is_native(answer)
    np.testing.assert_array_equal(backend.to_numpy(answer), wanted)


@each_metric
def test_metric_takes_a_sequence_of_samples(backend, case):
    make, scores, target, wanted = EVERY[case]
    answer = make()(scores.reshape(4, 5, 7), target.reshape(4, 5, *target.shape[1:]))
    np.testing.assert_array_equal(answer.numpy(), wanted.reshape(4, 5, *wanted.shape[1:]))


@pytest.mark.parametrize("make", [SparseCategoricalAccuracy, lambda: TopKAccuracy(2)])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int64"])
def test_labels_may_have_any_integer_type_and_a_last_axis_of_one(backend, make, dtype):
    wanted = make()(SCORES, LABELS).numpy()
    np.testing.assert_array_equal(make()(SCORES, LABELS.astype(dtype)[:, None]).numpy(), wanted)


@pytest.mark.parametrize("make", [SparseCategoricalAccuracy, lambda: TopKAccuracy(7)])
@pytest.mark.parametrize("label", [-1, 7, 255])
def test_a_label_outside_of_the_classes_is_never_right(backend, make, label):
    assert make()(SCORES[:1], np.array([label])).numpy().tolist() == [0.0]


def test_of_equal_scores_the_first_class_counts(backend):
    scores, labels = np.zeros((3, 4), np.float32), np.array([0, 1, 2])
    assert SparseCategoricalAccuracy()(scores, labels).numpy().tolist() == [1.0, 0.0, 0.0]
    assert TopKAccuracy(2)(scores, labels).numpy().tolist() == [1.0, 1.0, 0.0]
    assert CategoricalAccuracy()(scores, np.eye(4, dtype=np.float32)[labels]).numpy().tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float32"])
def test_one_hot_targets_may_have_any_type(backend, dtype):
    answer = CategoricalAccuracy()(ops.asarray(SCORES), ops.asarray(ONE_HOT).astype(dtype))
    np.testing.assert_array_equal(answer.numpy(), SCORES.argmax(1) == LABELS)


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
def test_logits_and_probabilities_are_cut_at_the_same_place(backend, threshold):
    probabilities = 1 / (1 + np.exp(-SCORES.astype(np.float64)))
    wanted = (probabilities > threshold) == (ONE_HOT > 0.5)
    np.testing.assert_array_equal(BinaryAccuracy(threshold)(probabilities.astype(np.float32), ONE_HOT).numpy(), wanted)
    np.testing.assert_array_equal(BinaryAccuracy(threshold, from_logits=True)(SCORES, ONE_HOT).numpy(), wanted)


def test_a_probability_at_the_threshold_is_a_no(backend):
    assert BinaryAccuracy()(ops.asarray([0.5, 0.5]), ops.asarray([0, 1])).numpy().tolist() == [1.0, 0.0]


@pytest.mark.parametrize("target", [np.array([True, False]), np.array([1, 0], np.uint8), np.array([1.0, 0.0])])
def test_binary_targets_may_have_any_type_and_a_last_axis_of_one(backend, target):
    for y_true in (target, target[:, None]):
        assert BinaryAccuracy()(ops.asarray([0.9, 0.8]), ops.asarray(y_true)).numpy().tolist() == [1.0, 0.0]


@pytest.mark.parametrize(("make", "target_shape"), [
    (SparseCategoricalAccuracy, (19,)), (CategoricalAccuracy, (20, 6)), (BinaryAccuracy, (20,)), (lambda: TopKAccuracy(2), (20, 2)),
])
def test_shapes_that_do_not_fit_are_refused_with_both(backend, make, target_shape):
    text = rf"Accuracy got y_pred of shape \(20, 7\) and y_true of shape \({', '.join(map(str, target_shape))},?\)"
    with pytest.raises(ShapeError, match=text):
        make()(ops.asarray(SCORES), ops.zeros(target_shape, dtype="int32"))


@each_metric
def test_integer_scores_are_refused(backend, case):
    make, scores, target, _ = EVERY[case]
    with pytest.raises(DTypeError, match="Accuracy needs y_pred of a floating type, and got int32"):
        make()(ops.asarray(scores.astype(np.int32)), ops.asarray(target))


@each_metric
def test_all_outputs_in_the_place_of_one_are_refused(backend, case):
    make, scores, target, _ = EVERY[case]
    with pytest.raises(ArgumentError, match="compares two tensors, and got a dict"):
        make()(ops.asarray(scores), {"class_id": ops.asarray(target)})


def test_more_classes_asked_for_than_there_are_are_refused(backend):
    with pytest.raises(ArgumentError, match="TopKAccuracy was made for k=8, and there are 7 classes"):
        TopKAccuracy(8)(ops.asarray(SCORES), ops.asarray(LABELS))


@pytest.mark.parametrize("k", [0, -1, 1.5, True])
def test_k_must_be_a_whole_number_of_at_least_one(k):
    with pytest.raises(ArgumentError, match="TopKAccuracy needs k as a whole number of at least 1"):
        TopKAccuracy(k)


@pytest.mark.parametrize("threshold", [0, 1, -0.5, math.nan])
def test_a_threshold_that_is_no_probability_is_refused(threshold):
    with pytest.raises(ArgumentError, match="BinaryAccuracy needs a threshold between 0 and 1"):
        BinaryAccuracy(threshold)


@pytest.mark.parametrize("shape", [(3,), (3, 4), (3, 4, 2), (3, 1)])
def test_mean_is_that_of_each_sample(backend, shape):
    values = np.random.default_rng(4).normal(size=shape).astype(np.float32)
    answer = Mean()(ops.asarray(values))
    assert (answer.dtype, answer.shape) == ("float32", (3,))
    np.testing.assert_allclose(answer.numpy(), values.reshape(3, -1).mean(1), rtol=1e-6, atol=1e-7)


def test_mean_takes_a_scalar_and_whole_numbers(backend):
    assert float(Mean()(ops.asarray(2.5))) == 2.5
    assert Mean()(ops.asarray([[1, 2], [3, 5]])).numpy().tolist() == [1.5, 4.0]


def test_a_metric_without_a_computation_says_what_to_write(backend):
    class Empty(Metric):
        pass

    with pytest.raises(NotImplementedError, match="Empty measures nothing yet. Write: def call"):
        Empty()(ops.zeros(1), ops.zeros(1))
