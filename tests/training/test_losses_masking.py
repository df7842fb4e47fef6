"""Masked and weighted means on every backend; the expected numbers are numpy's, of the values that count alone."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from babel_dl import ops
from babel_dl.core import Variable, compile, value_and_grad
from babel_dl.errors import ArgumentError, DTypeError, ShapeError
from babel_dl.training.losses import (
    BinaryCrossEntropyLossFromLogits,
    Masked,
    MeanSquaredError,
    SparseCrossEntropyLossFromLogits,
    Weighted,
    masked_mean,
    weighted_mean,
)

RNG = np.random.default_rng(1)
VALUES = RNG.normal(size=(4, 3)).astype(np.float32)
TARGETS = RNG.normal(size=(4, 3)).astype(np.float32)
WEIGHTS = RNG.uniform(0.5, 2, (4, 3)).astype(np.float32)
MASK = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]], bool)
ROWS = np.array([True, False, True, False])
LOGITS = RNG.normal(size=(4, 5)).astype(np.float32)


def gradient_of(function, value):
    variable = Variable(value)
    result, (gradient,) = value_and_grad(lambda: function(variable), variable)
    return float(result), gradient.numpy()


def test_masked_mean_is_the_mean_of_what_is_kept(backend):
    assert float(masked_mean(ops.asarray(VALUES), ops.asarray(MASK))) == pytest.approx(VALUES[MASK].mean(), rel=1e-5)


def test_masked_mean_takes_a_mask_of_numbers(backend):
    assert float(masked_mean(ops.asarray(VALUES), ops.asarray(MASK.astype(np.uint8)))) == pytest.approx(VALUES[MASK].mean(), rel=1e-5)


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_a_mask_of_samples_is_spread_over_their_values(backend, shape):
    assert float(masked_mean(ops.asarray(VALUES), ops.asarray(ROWS.reshape(shape)))) == pytest.approx(VALUES[ROWS].mean(), rel=1e-5)


def test_a_mask_with_a_last_axis_of_one_fits_a_value_for_each_sample(backend):
    assert float(masked_mean(ops.asarray(VALUES[:, 0]), ops.asarray(ROWS[:, None]))) == pytest.approx(VALUES[ROWS, 0].mean(), rel=1e-5)


def test_masked_mean_counts_a_value_without_axes_once(backend):
    assert float(masked_mean(ops.asarray(3.0), ops.asarray(True))) == 3.0


def test_masked_mean_of_nothing_is_zero_and_so_is_its_gradient(backend):
    value, gradient = gradient_of(lambda x: masked_mean(x, ops.zeros((4, 3), dtype="bool")), VALUES)
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros_like(VALUES))


def test_masked_mean_ignores_nan_where_it_is_masked(backend):
    spoilt = np.where(MASK, VALUES, np.nan).astype(np.float32)
    value, gradient = gradient_of(lambda x: masked_mean(x, ops.asarray(MASK)), spoilt)
    assert value == pytest.approx(VALUES[MASK].mean(), rel=1e-5)
    np.testing.assert_allclose(gradient, MASK / MASK.sum(), rtol=1e-6)


def test_masked_mean_of_halves_does_not_overflow(backend):
    values, mask = ops.full((300, 300), 8.0, dtype="float16"), ops.ones((300, 300), dtype="bool")
    mean = masked_mean(values, mask)
    assert (mean.dtype, float(mean)) == ("float16", 8.0)


def test_weighted_mean_is_that_of_numpy(backend):
    value, gradient = gradient_of(lambda x: weighted_mean(x, ops.asarray(WEIGHTS)), VALUES)
    assert value == pytest.approx(np.average(VALUES, weights=WEIGHTS), rel=1e-5)
    np.testing.assert_allclose(gradient, WEIGHTS / WEIGHTS.sum(), rtol=1e-5)


def test_weights_of_samples_are_spread_over_their_values(backend):
    wanted = np.average(VALUES, weights=np.broadcast_to(WEIGHTS[:, :1], VALUES.shape))
    assert float(weighted_mean(ops.asarray(VALUES), ops.asarray(WEIGHTS[:, 0]))) == pytest.approx(wanted, rel=1e-5)


def test_weighted_mean_without_any_weight_is_zero_and_so_is_its_gradient(backend):
    value, gradient = gradient_of(lambda x: weighted_mean(x, ops.zeros((4, 3))), np.full((4, 3), np.inf, np.float32))
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros((4, 3)))


def test_whole_numbers_may_be_weights(backend):
    assert float(weighted_mean(ops.asarray([1.0, 4.0]), ops.asarray([2, 1]))) == 2.0


def test_weights_can_learn(backend):
    _, gradient = gradient_of(lambda w: weighted_mean(ops.asarray([1.0, 3.0]), w), np.ones(2, np.float32))
    np.testing.assert_allclose(gradient, [-0.5, 0.5], rtol=1e-6)  # d/dw_i sum(w v) / sum(w) = (v_i - mean) / sum(w)


@pytest.mark.parametrize("mean", [masked_mean, weighted_mean])
def test_means_take_natives_and_answer_with_a_native(backend, mean):
    answer = mean(ops.asarray(VALUES).native, ops.ones((4, 3)).native)
    assert backend.is_native(answer)
    assert float(backend.to_numpy(answer)) == pytest.approx(VALUES.mean(), rel=1e-5)


@pytest.mark.parametrize("mean", [masked_mean, weighted_mean])
@pytest.mark.parametrize("shape", [(3,), (4, 2), (1, 3), (4, 3, 2)])
def test_a_mask_that_does_not_fit_is_refused_with_both_shapes(backend, mean, shape):
    text = rf"{mean.__name__} got a mask or weights of shape \({', '.join(map(str, shape))},?\) for values of shape \(4, 3\)"
    with pytest.raises(ShapeError, match=text):
        mean(ops.asarray(VALUES), ops.ones(shape))


def test_masked_loss_gives_the_loss_and_gradient_of_the_kept_samples_in_pytorch(backend):
    labels, mask = np.array([1, 4, 0, 2], np.int32), np.array([True, True, False, True])
    x = torch.tensor(LOGITS, dtype=torch.float64, requires_grad=True)
    wanted = F.cross_entropy(x[torch.tensor(mask)], torch.tensor(labels[mask]).long())
    wanted.backward()
    loss = Masked(SparseCrossEntropyLossFromLogits())
    value, gradient = gradient_of(lambda v: loss(v, ops.asarray(labels), ops.asarray(mask)), LOGITS)
    assert value == pytest.approx(wanted.item(), rel=1e-5)
    np.testing.assert_allclose(gradient, x.grad.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("ignore", [-100, 255, 0, -1])
@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_ignored_labels_count_as_in_pytorch(backend, ignore, shape):
    labels = np.array([1, ignore, 3, ignore], np.int32)
    wanted = F.cross_entropy(torch.tensor(LOGITS), torch.tensor(labels).long(), ignore_index=ignore)
    loss = Masked(SparseCrossEntropyLossFromLogits(), ignore_label=ignore)
    assert float(loss(ops.asarray(LOGITS), ops.asarray(labels.reshape(shape)))) == pytest.approx(wanted.item(), rel=1e-5)


def test_a_label_to_ignore_may_lie_outside_of_the_type_of_the_labels(backend):
    labels = np.array([1, 4, 3, 0], np.uint8)
    wanted = F.cross_entropy(torch.tensor(LOGITS), torch.tensor(labels).long())
    loss = Masked(SparseCrossEntropyLossFromLogits(), ignore_label=-100)
    assert float(loss(ops.asarray(LOGITS), ops.asarray(labels))) == pytest.approx(wanted.item(), rel=1e-5)


def test_a_label_outside_of_the_classes_that_is_not_ignored_is_still_nan(backend):
    loss = Masked(SparseCrossEntropyLossFromLogits(), ignore_label=255)
    assert math.isnan(float(loss(ops.asarray(LOGITS), ops.asarray([0, 255, 77, 1]))))


def test_a_rule_hides_what_was_not_measured(backend):
    target = np.where(MASK, TARGETS, np.nan).astype(np.float32)
    loss = Masked(MeanSquaredError(), keep=lambda _, y_true: ~ops.isnan(y_true))
    value, gradient = gradient_of(lambda x: loss(x, ops.asarray(target)), VALUES)
    assert value == pytest.approx(((VALUES - TARGETS)[MASK] ** 2).mean(), rel=1e-5)
    np.testing.assert_allclose(gradient, np.where(MASK, 2 * (VALUES - TARGETS), 0) / MASK.sum(), rtol=1e-5, atol=1e-7)


def test_a_mask_and_a_rule_must_both_keep(backend):
    loss = Masked(MeanSquaredError(), keep=lambda _, y_true: y_true > 0)
    kept = (TARGETS > 0) & ROWS[:, None]
    value = loss(ops.asarray(VALUES), ops.asarray(TARGETS), ops.asarray(ROWS))
    assert float(value) == pytest.approx(((VALUES - TARGETS)[kept] ** 2).mean(), rel=1e-5)


def test_a_masked_prediction_may_be_nan_without_harm_to_the_gradient(backend):
    spoilt = np.where(ROWS[:, None], LOGITS, np.nan).astype(np.float32)
    loss = Masked(SparseCrossEntropyLossFromLogits())
    value, gradient = gradient_of(lambda x: loss(x, ops.asarray([0, 1, 2, 3]), ops.asarray(ROWS)), spoilt)
    assert math.isfinite(value)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("inner", [SparseCrossEntropyLossFromLogits, MeanSquaredError, BinaryCrossEntropyLossFromLogits])
def test_a_loss_that_is_masked_everywhere_is_zero_with_a_gradient_of_zero(backend, inner):
    target = np.full(4, 99, np.int32) if inner is SparseCrossEntropyLossFromLogits else np.full((4, 5), np.nan, np.float32)
    loss = Masked(inner())
    value, gradient = gradient_of(lambda x: loss(x, ops.asarray(target), ops.zeros((4,), dtype="bool")), LOGITS)
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros_like(LOGITS))


def test_masked_loss_can_be_compiled(backend):
    loss = compile(Masked(SparseCrossEntropyLossFromLogits(), ignore_label=255))
    for labels in ([1, 255, 3, 0], [255, 255, 255, 255]):
        kept = np.array(labels) != 255
        wanted = float(F.cross_entropy(torch.tensor(LOGITS[kept]), torch.tensor(np.array(labels)[kept]).long())) if kept.any() else 0.0
        assert float(loss(ops.asarray(LOGITS), ops.asarray(labels))) == pytest.approx(wanted, rel=1e-5)


def test_bool_targets_stay_bool_for_the_loss_inside(backend):
    seen = []

    def inner(y_pred, y_true):
        seen.append(y_true.dtype)
        return y_pred

    Masked(inner)(ops.asarray([1.0, 2.0]), ops.asarray([True, False]), ops.asarray([True, False]))
    assert seen == ["bool"]


def test_weighted_loss_is_divided_by_the_sum_of_the_weights_as_in_pytorch(backend):
    labels, table = np.array([1, 4, 0, 1], np.int32), np.array([3.0, 0.5, 1.0, 1.0, 2.0], np.float32)
    x = torch.tensor(LOGITS, dtype=torch.float64, requires_grad=True)
    wanted = F.cross_entropy(x, torch.tensor(labels).long(), weight=torch.tensor(table).double())
    wanted.backward()
    loss = Weighted(SparseCrossEntropyLossFromLogits(), weigh=lambda _, y_true: ops.take(ops.asarray(table), y_true))
    value, gradient = gradient_of(lambda v: loss(v, ops.asarray(labels)), LOGITS)
    assert value == pytest.approx(wanted.item(), rel=1e-5)
    np.testing.assert_allclose(gradient, x.grad.numpy(), rtol=1e-5, atol=1e-6)


def test_weights_and_a_rule_are_multiplied(backend):
    loss = Weighted(MeanSquaredError(), weigh=lambda _, y_true: ops.abs(y_true))
    wanted = np.average((VALUES - TARGETS) ** 2, weights=np.abs(TARGETS) * WEIGHTS[:, :1])
    value = loss(ops.asarray(VALUES), ops.asarray(TARGETS), ops.asarray(WEIGHTS[:, 0]))
    assert float(value) == pytest.approx(wanted, rel=1e-5)


def test_a_sample_of_weight_zero_may_have_no_target(backend):
    target = np.array([1.0, np.nan], np.float32)
    value, gradient = gradient_of(lambda x: Weighted(MeanSquaredError())(x, ops.asarray(target), ops.asarray([2.0, 0.0])), np.zeros(2))
    assert value == 1.0
    np.testing.assert_array_equal(gradient, [-2.0, 0.0])


def test_bool_weights_count_as_zero_and_one_and_a_function_may_be_the_loss(backend):
    loss = Weighted(lambda y_pred, y_true: ops.square(y_pred - y_true), weigh=lambda _, y_true: y_true > 0)
    kept = TARGETS > 0
    assert float(loss(ops.asarray(VALUES), ops.asarray(TARGETS))) == pytest.approx(((VALUES - TARGETS)[kept] ** 2).mean(), rel=1e-5)


def test_the_loss_inside_is_a_part_of_the_module(backend):
    assert list(Masked(MeanSquaredError()).modules) == ["", "/loss"]


def test_masked_without_a_mask_says_how_to_give_one(backend):
    with pytest.raises(ArgumentError, match="Masked has no mask. Call loss"):
        Masked(MeanSquaredError())(ops.asarray(VALUES), ops.asarray(TARGETS))


def test_weighted_without_weights_says_how_to_give_them(backend):
    with pytest.raises(ArgumentError, match="Weighted has no weights. Call it with them"):
        Weighted(MeanSquaredError())(ops.asarray(VALUES), ops.asarray(TARGETS))


def test_a_loss_inside_that_is_averaged_already_is_refused(backend):
    loss = Masked(lambda y_pred, y_true: ops.square(y_pred - y_true).mean())
    with pytest.raises(ShapeError, match=r"of shape \(4, 3\) for values of shape \(\).*\n.*\n.*take no mean\(\) in it"):
        loss(ops.asarray(VALUES), ops.asarray(TARGETS), ops.asarray(MASK))


def test_a_mask_for_another_batch_is_refused(backend):
    with pytest.raises(ShapeError, match=r"Masked got a mask or weights of shape \(3,\) for values of shape \(4, 3\)"):
        Masked(MeanSquaredError())(ops.asarray(VALUES), ops.asarray(TARGETS), ops.ones(3))


def test_ignoring_a_label_among_fractions_is_refused(backend):
    with pytest.raises(DTypeError, match="Masked ignores a label, and got labels of float32"):
        Masked(MeanSquaredError(), ignore_label=0)(ops.asarray(VALUES), ops.asarray(TARGETS))


def test_two_rules_at_once_are_refused():
    with pytest.raises(ArgumentError, match="Masked takes keep or ignore_label, and got both"):
        Masked(MeanSquaredError(), keep=lambda y_pred, y_true: y_true > 0, ignore_label=0)


@pytest.mark.parametrize("label", [0.5, True, 2**31])
def test_a_label_to_ignore_must_be_a_whole_number(label):
    with pytest.raises(ArgumentError, match="Masked needs ignore_label as a whole number"):
        Masked(MeanSquaredError(), ignore_label=label)


@pytest.mark.parametrize(("make", "text"), [
    (lambda: Masked(3), "Masked needs loss as a loss or a function"),
    (lambda: Masked(MeanSquaredError(), keep=3), "Masked needs keep as a loss or a function"),
    (lambda: Weighted(None), "Weighted needs loss as a loss or a function"),
    (lambda: Weighted(MeanSquaredError(), weigh=[1]), "Weighted needs weigh as a loss or a function"),
])
def test_what_cannot_be_called_is_refused(make, text):
    with pytest.raises(ArgumentError, match=text):
        make()
