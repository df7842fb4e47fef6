"""Losses on every backend. PyTorch's own functions are the judges of values and gradients, numpy of the rest."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from babel_dl import ops
from babel_dl.backend import use_backend
from babel_dl.core import Module, Variable, collect_logged, compile, value_and_grad
from babel_dl.core.diagnosing import diagnosing
from babel_dl.errors import ArgumentError, BackendError, DTypeError, ShapeError
from babel_dl.training.losses import (
    BinaryCrossEntropyLossFromLogits,
    CrossEntropyLossFromLogits,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    SmoothL1Loss,
    SparseCategoricalAccuracy,
    SparseCrossEntropyLossFromLogits,
    check_labels,
)

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 2, (6, 5)).astype(np.float32)
LABELS = np.array([0, 4, 2, 2, 1, 3], np.int32)
PROBABILITIES = RNG.dirichlet(np.ones(5), 6).astype(np.float32)
NUMBERS = RNG.normal(0, 2, (6, 5)).astype(np.float32)
SHARES = RNG.uniform(0, 1, (6, 5)).astype(np.float32)
FAR = np.array([0.25, -0.5, 3.0, -8.0, 1.0, 0.0], np.float32)
NEAR = np.zeros(6, np.float32)


def long(labels):
    return torch.as_tensor(labels).long()


# name: (our loss, prediction, target, what PyTorch computes for the same tensors)
CASES = {
    "sparse": (lambda: SparseCrossEntropyLossFromLogits(), LOGITS, LABELS, lambda x, y: F.cross_entropy(x, long(y), reduction="none")),
    "sparse smoothed": (
        lambda: SparseCrossEntropyLossFromLogits(label_smoothing=0.1), LOGITS, LABELS,
        lambda x, y: F.cross_entropy(x, long(y), reduction="none", label_smoothing=0.1),
    ),
    "sparse sequence": (
        lambda: SparseCrossEntropyLossFromLogits(), LOGITS.reshape(2, 3, 5), LABELS.reshape(2, 3),
        lambda x, y: F.cross_entropy(x.permute(0, 2, 1), long(y), reduction="none"),
    ),
    "dense": (lambda: CrossEntropyLossFromLogits(), LOGITS, PROBABILITIES, lambda x, y: F.cross_entropy(x, y, reduction="none")),
    "dense smoothed": (
        lambda: CrossEntropyLossFromLogits(label_smoothing=0.2), LOGITS, PROBABILITIES,
        lambda x, y: F.cross_entropy(x, y, reduction="none", label_smoothing=0.2),
    ),
    "binary": (
        lambda: BinaryCrossEntropyLossFromLogits(), LOGITS, SHARES,
        lambda x, y: F.binary_cross_entropy_with_logits(x, y, reduction="none"),
    ),
    "binary at zero": (
        lambda: BinaryCrossEntropyLossFromLogits(), NEAR, np.array([0, 1, 0, 1, 1, 0], np.float32),
        lambda x, y: F.binary_cross_entropy_with_logits(x, y, reduction="none"),
    ),
    "squared": (lambda: MeanSquaredError(), LOGITS, NUMBERS, lambda x, y: F.mse_loss(x, y, reduction="none")),
    "absolute": (lambda: MeanAbsoluteError(), LOGITS, NUMBERS, lambda x, y: F.l1_loss(x, y, reduction="none")),
    "smooth": (lambda: SmoothL1Loss(), FAR, NEAR, lambda x, y: F.smooth_l1_loss(x, y, reduction="none")),
    "smooth with beta": (
        lambda: SmoothL1Loss(beta=0.3), LOGITS, NUMBERS, lambda x, y: F.smooth_l1_loss(x, y, reduction="none", beta=0.3),
    ),
}
each_loss = pytest.mark.parametrize("case", CASES)


def torch_values_and_gradient(judge, prediction, target):
    x = torch.tensor(prediction, dtype=torch.float64, requires_grad=True)
    y = torch.as_tensor(target).double()
    values = judge(x, y)
    factors = torch.arange(1, values.numel() + 1, dtype=torch.float64).reshape(values.shape)
    (gradient,) = torch.autograd.grad((values * factors).sum(), x)
    return values.detach().numpy(), gradient.numpy()


@each_loss
def test_loss_gives_the_values_and_gradients_of_pytorch(backend, case):
    make, prediction, target, judge = CASES[case]
    wanted, wanted_gradient = torch_values_and_gradient(judge, prediction, target)
    loss, variable, y_true = make(), Variable(prediction), ops.asarray(target)
    factors = ops.asarray(np.arange(1, wanted.size + 1, dtype=np.float32).reshape(wanted.shape))

    def run():
        values = loss(variable, y_true)
        return (values * factors).sum(), values

    (_, values), (gradient,) = value_and_grad(run, variable, has_aux=True)
    assert (values.shape, values.dtype) == (wanted.shape, "float32")
    np.testing.assert_allclose(values.numpy(), wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradient.numpy(), wanted_gradient, rtol=1e-5, atol=2e-6)


@each_loss
def test_compiled_loss_gives_the_values_of_pytorch(backend, case):
    make, prediction, target, judge = CASES[case]
    wanted, _ = torch_values_and_gradient(judge, prediction, target)
    values = compile(make())(ops.asarray(prediction), ops.asarray(target))
    np.testing.assert_allclose(values.numpy(), wanted, rtol=1e-5, atol=1e-6)


@each_loss
def test_loss_takes_natives_and_answers_with_a_native(backend, case):
    make, prediction, target, judge = CASES[case]
    wanted, _ = torch_values_and_gradient(judge, prediction, target)
    values = make()(ops.asarray(prediction).native, ops.asarray(target).native)
    assert backend.is_native(values)
    np.testing.assert_allclose(backend.to_numpy(values), wanted, rtol=1e-5, atol=1e-6)


@each_loss
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_loss_keeps_the_type_of_the_prediction(backend, case, dtype):
    make, prediction, target, _ = CASES[case]
    assert make()(ops.asarray(prediction, dtype=dtype), ops.asarray(target)).dtype == dtype


@each_loss
def test_loss_of_a_batch_of_one_is_the_first_of_the_batch(backend, case):
    make, prediction, target, judge = CASES[case]
    wanted, _ = torch_values_and_gradient(judge, prediction, target)
    np.testing.assert_allclose(make()(prediction[:1], target[:1]).numpy(), wanted[:1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32"])
@pytest.mark.parametrize("shape", [(6,), (6, 1)])
def test_labels_may_have_any_integer_type_and_a_last_axis_of_one(backend, dtype, shape):
    wanted = F.cross_entropy(torch.tensor(LOGITS), long(LABELS), reduction="none").numpy()
    values = SparseCrossEntropyLossFromLogits()(ops.asarray(LOGITS), ops.asarray(LABELS.astype(dtype).reshape(shape)))
    assert values.shape == (6,)
    np.testing.assert_allclose(values.numpy(), wanted, rtol=1e-5)


def test_labels_of_64_bit_arrays_are_taken(backend):
    wanted = F.cross_entropy(torch.tensor(LOGITS), long(LABELS), reduction="none").numpy()
    loss = SparseCrossEntropyLossFromLogits()
    np.testing.assert_allclose(loss(LOGITS, LABELS.astype(np.int64)).numpy(), wanted, rtol=1e-5)
    np.testing.assert_allclose(loss(ops.asarray(LOGITS), LABELS.astype(np.int64)).numpy(), wanted, rtol=1e-5)


@pytest.mark.parametrize("logit", [-80.0, -20.0, 20.0, 80.0])
@pytest.mark.parametrize("target", [0, 1])
def test_binary_cross_entropy_is_exact_for_large_logits(backend, logit, target):
    wanted = math.log1p(math.exp(-logit)) if target else math.log1p(math.exp(logit))  # exact in the float64 of Python
    value = BinaryCrossEntropyLossFromLogits()(ops.asarray([logit]), ops.asarray([target]))
    np.testing.assert_allclose(value.numpy(), [wanted], rtol=1e-5)


@pytest.mark.parametrize("target", [np.array([True, False]), np.array([1, 0], np.uint8), np.array([1.0, 0.0])])
def test_binary_cross_entropy_takes_targets_of_any_type(backend, target):
    value = BinaryCrossEntropyLossFromLogits()(ops.asarray([2.0, 2.0]), ops.asarray(target))
    np.testing.assert_allclose(value.numpy(), [math.log1p(math.exp(-2)), math.log1p(math.exp(2))], rtol=1e-6)


@pytest.mark.parametrize("make", [MeanSquaredError, MeanAbsoluteError, SmoothL1Loss, BinaryCrossEntropyLossFromLogits])
def test_a_last_axis_of_one_is_dropped_and_never_broadcast(backend, make):
    prediction, target = LOGITS[:, 0], SHARES[:, 0]
    wanted = make()(prediction, target).numpy()
    for x, y in ((prediction[:, None], target), (prediction, target[:, None])):
        values = make()(x, y)
        assert values.shape == (6,)
        np.testing.assert_allclose(values.numpy(), wanted, rtol=1e-6)


@pytest.mark.parametrize(("make", "target_shape"), [
    (SparseCrossEntropyLossFromLogits, (7,)), (SparseCrossEntropyLossFromLogits, (6, 2)), (SparseCrossEntropyLossFromLogits, ()),
    (CrossEntropyLossFromLogits, (6, 4)), (CrossEntropyLossFromLogits, (6,)), (BinaryCrossEntropyLossFromLogits, (6,)),
    (MeanSquaredError, (5,)), (MeanSquaredError, (1, 5)), (MeanAbsoluteError, (6, 1)), (SmoothL1Loss, (6, 5, 2)),
])
def test_shapes_that_do_not_fit_are_refused_with_both_and_the_name(backend, make, target_shape):
    target = ops.zeros(target_shape, dtype="int32")
    text = rf"{make.__name__} got y_pred of shape \(6, 5\) and y_true of shape \({', '.join(map(str, target_shape))},?\)"
    with pytest.raises(ShapeError, match=text):
        make()(ops.asarray(LOGITS), target)


def test_a_one_hot_target_for_the_sparse_loss_is_answered_with_the_dense_loss(backend):
    with pytest.raises(ShapeError, match="take CrossEntropyLossFromLogits"):
        SparseCrossEntropyLossFromLogits()(ops.asarray(LOGITS), ops.asarray(PROBABILITIES))


def test_labels_for_the_dense_loss_are_answered_with_the_sparse_loss(backend):
    with pytest.raises(ShapeError, match="take SparseCrossEntropyLossFromLogits"):
        CrossEntropyLossFromLogits()(ops.asarray(LOGITS), ops.asarray(LABELS))


@pytest.mark.parametrize("make", [SparseCrossEntropyLossFromLogits, CrossEntropyLossFromLogits])
@pytest.mark.parametrize("shape", [(), (2, 0)])
def test_logits_without_classes_are_refused(backend, make, shape):
    with pytest.raises(ShapeError, match="classes"):
        make()(ops.zeros(shape), ops.zeros(shape[:1], dtype="int32") if make is SparseCrossEntropyLossFromLogits else ops.zeros(shape))


@each_loss
def test_an_integer_prediction_is_refused(backend, case):
    make, prediction, target, _ = CASES[case]
    with pytest.raises(DTypeError, match="needs y_pred of a floating type, and got int32"):
        make()(ops.asarray(prediction.astype(np.int32)), ops.asarray(target))


@pytest.mark.parametrize("dtype", ["float32", "bool"])
def test_labels_that_are_no_integers_are_refused(backend, dtype):
    with pytest.raises(DTypeError, match=f"SparseCrossEntropyLossFromLogits needs labels of an integer type, and got {dtype}"):
        SparseCrossEntropyLossFromLogits()(ops.asarray(LOGITS), ops.asarray(LABELS).astype(dtype))


@each_loss
def test_all_outputs_in_the_place_of_one_are_refused(backend, case):
    make, prediction, target, _ = CASES[case]
    with pytest.raises(ArgumentError, match="compares two tensors, and got a tuple"):
        make()((ops.asarray(prediction),), ops.asarray(target))


def test_tensors_of_two_backends_are_refused(backend_names):
    for first, second in itertools.permutations(backend_names, 2):
        with use_backend(first):
            prediction = ops.asarray(LOGITS)
        with use_backend(second):
            target = ops.asarray(LABELS)
        with pytest.raises(BackendError, match=f"Tensors of two backends meet: '{first}' and '{second}'"):
            SparseCrossEntropyLossFromLogits()(prediction, target)


@pytest.mark.parametrize("label", [-1, 5, 100])
def test_a_label_outside_of_the_classes_gives_nan_for_its_sample_only(backend, label):
    labels = LABELS.copy()
    labels[2] = label
    for loss in (SparseCrossEntropyLossFromLogits(), compile(SparseCrossEntropyLossFromLogits(label_smoothing=0.1))):
        assert np.isnan(loss(ops.asarray(LOGITS), ops.asarray(labels)).numpy()).tolist() == [False, False, True, False, False, False]


def test_a_label_outside_of_the_classes_is_refused_in_a_host_array(backend):
    loss, labels = SparseCrossEntropyLossFromLogits(), np.array([0, 4, 9, 2, -1, 3])
    for prediction in (LOGITS, ops.asarray(LOGITS), ops.asarray(LOGITS).native):
        with pytest.raises(ArgumentError, match=r"y_true\[2\] is 9, and there are 5 classes: .* from 0 to 4 are allowed.\n.*1 more is"):
            loss(prediction, labels)


def test_a_label_outside_of_the_classes_is_named_while_a_cause_is_looked_for(backend):
    class Head(Loss):
        def __init__(self):
            super().__init__()
            self.ce = SparseCrossEntropyLossFromLogits()

        def call(self, y_pred, y_true):
            return self.ce(y_pred, y_true).mean()

    loss, bad = Head(), ops.asarray([0, 4, 9, 2, 1, 3])
    assert math.isnan(float(loss(ops.asarray(LOGITS), bad)))
    with diagnosing(), pytest.raises(ArgumentError, match=r"SparseCrossEntropyLossFromLogits '/ce': y_true\[2\] is 9"):
        loss(ops.asarray(LOGITS), bad)


def test_check_labels_names_the_place_in_an_array_of_several_axes():
    with pytest.raises(ArgumentError, match=r"mask\[1, 0\] is -3, and there are 4 classes.*\n.*0 more are.*\n.*ignore_label=-3"):
        check_labels(np.array([[0, 1], [-3, 3]]), 4, "mask")


def test_check_labels_allows_the_ignored_label():
    check_labels(np.array([0, 255], np.uint8), 10, ignore_label=255)


def test_check_labels_takes_no_labels_at_all():
    check_labels(np.zeros(0, np.int64), 10)


def test_check_labels_refuses_fractions():
    with pytest.raises(DTypeError, match="labels must be of an integer type, and got float64"):
        check_labels(np.array([0.5]), 10)


@pytest.mark.parametrize("make", [SparseCrossEntropyLossFromLogits, CrossEntropyLossFromLogits])
@pytest.mark.parametrize("smoothing", [-0.1, 1.0, math.nan])
def test_smoothing_out_of_range_is_refused(make, smoothing):
    with pytest.raises(ArgumentError, match=f"{make.__name__} needs label_smoothing of at least 0 and below 1"):
        make(label_smoothing=smoothing)


@pytest.mark.parametrize("beta", [0, -1.0, math.inf, math.nan])
def test_a_beta_out_of_range_is_refused(beta):
    with pytest.raises(ArgumentError, match="SmoothL1Loss needs beta as a finite number above 0"):
        SmoothL1Loss(beta=beta)


def test_a_loss_of_the_tutorial_logs_a_metric_and_gives_a_scalar(backend):
    class FashionMnistLoss(Loss):
        def __init__(self):
            super().__init__()
            self.ce = SparseCrossEntropyLossFromLogits()
            self.ca = SparseCategoricalAccuracy()

        def call(self, y_pred, y_true):
            self.log("metrics/ca", self.ca(y_pred, y_true).mean())
            return self.ce(y_pred, y_true).mean()

    with collect_logged() as logged:
        value = FashionMnistLoss()(ops.asarray(LOGITS), ops.asarray(LABELS))
    assert float(value) == pytest.approx(float(F.cross_entropy(torch.tensor(LOGITS), long(LABELS))), rel=1e-5)
    assert {name: float(value) for name, value in logged.items()} == {"metrics/ca": pytest.approx((LOGITS.argmax(1) == LABELS).mean())}


def test_what_is_logged_inside_a_compiled_gradient_comes_out(backend):
    weight = Variable(np.float32(3))

    class Square(Loss):
        def call(self, y_pred, y_true):
            self.log("distance", y_pred - y_true)
            return (y_pred - y_true) * (y_pred - y_true)

    loss = Square()

    def step(target):
        with collect_logged() as logged:
            value, (gradient,) = value_and_grad(lambda: loss(weight * 1.0, target), weight)
        return value, gradient, logged

    value, gradient, logged = compile(step)(ops.asarray(1.0))
    assert (float(value), float(gradient), float(logged["distance"])) == (4.0, 4.0, 2.0)


def test_a_logged_variable_keeps_the_value_it_had(backend):
    temperature = Variable(np.float32(2), trainable=False)
    with collect_logged() as logged:
        Loss().log("temperature", temperature)
    temperature.assign(5.0)
    assert float(logged["temperature"]) == 2.0


def test_log_takes_natives_and_numbers(backend):
    with collect_logged() as logged:
        Loss().log("native", ops.asarray(1.5).native)
        Loss().log("number", 2.5)
    assert {name: float(value) for name, value in logged.items()} == {"native": 1.5, "number": 2.5}


def test_log_refuses_what_is_no_scalar(backend):
    with pytest.raises(ShapeError, match=r"log\('ca', ...\) needs a scalar, and got shape \(2,\). Take its mean"):
        Loss().log("ca", ops.zeros(2))


def test_a_loss_without_a_computation_says_what_to_write(backend):
    class Empty(Loss):
        pass

    with pytest.raises(NotImplementedError, match="Empty has no computation. Write: def call"):
        Empty()(ops.zeros(1), ops.zeros(1))


def test_a_loss_is_a_module_whose_parts_are_found(backend):
    class Sum(Loss):
        def __init__(self):
            super().__init__()
            self.parts = [MeanSquaredError(), MeanAbsoluteError()]

    assert isinstance(Sum(), Module)
    assert list(Sum().modules) == ["", "/parts/0", "/parts/1"]
