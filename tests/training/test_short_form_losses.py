"""Losses with named parts, models with named outputs, and the loss that goes with a model."""

from collections import namedtuple

import numpy as np
import pytest

import babel_dl
from babel_dl import ops
from babel_dl.core import Module
from babel_dl.data import ArrayDataset
from babel_dl.errors import ArgumentError, ShapeError
from babel_dl.model.layers import FullyConnected
from babel_dl.training import SupervisedTrainer, handover
from babel_dl.training.losses import Loss, MeanSquaredError, SparseCrossEntropyLossFromLogits
from babel_dl.training.optimizers import SGD
from tests.training.examples import cross_entropy
from tests.training.short_parts import NUM_CLASSES, Line, Reconstruction, Scores, TwoHeads, columns

pytestmark = pytest.mark.usefixtures("elsewhere")
Both = namedtuple("Both", ["digit", "size"])
X, LABELS = columns()
NUMBERS = X[:, :1] * 2.0


def fit(data, model, config=None, **options):
    return babel_dl.fit(data, model, config, run_folder=False, **options)


def still(**options):
    """Options with which nothing moves, so that numbers can be computed by hand from the weights."""
    return {"optimizer": {"optimizer": "sgd", "lr": 0.0}, "epochs": 1, **options}


def dense(model, name, x):
    values = model.state_dict()
    return x @ values[f"/{name}/weight"] + values[f"/{name}/bias"]


# ---------------------------------------------------------------- named parts


def test_parts_of_a_loss_are_logged_beside_their_total(backend):
    result = fit(X, "short_autoencoder", {"width": 2}, **still())
    code = dense(result.model, "encoder", X)
    mse = ((dense(result.model, "decoder", code) - X) ** 2).mean()
    size = (code**2).mean()
    expected = {"loss/mse": mse, "loss/size": size, "loss/total": mse + 0.001 * size}
    assert result.metrics == pytest.approx(expected, rel=1e-5)


def test_without_a_total_the_sum_of_the_parts_is_made_small(backend):
    def parts(y_pred, y_true):
        distance = y_pred - y_true
        return {"square": ops.square(distance).mean(), "size": 3.0 * ops.abs(distance).mean()}

    result = fit((X, NUMBERS), Line, loss=parts, **still())
    distance = dense(result.model, "dense", X) - NUMBERS
    expected = {"loss/square": (distance**2).mean(), "loss/size": 3.0 * np.abs(distance).mean()}
    assert result.metrics == pytest.approx({**expected, "loss/total": sum(expected.values())}, rel=1e-5)
    before = result.model.state_dict()["/dense/bias"]
    again = fit((X, NUMBERS), Line, loss=parts, optimizer={"optimizer": "sgd", "lr": 0.1, "momentum": 0.0}, batch_size=24)
    slope = (2.0 * distance + 3.0 * np.sign(distance)).mean()
    np.testing.assert_allclose(again.model.state_dict()["/dense/bias"], before - 0.1 * slope, rtol=1e-5)


def test_a_trainer_made_by_hand_takes_named_parts_and_inputs(backend):
    Inputs, Outputs = namedtuple("Inputs", ["x"]), namedtuple("Outputs", ["y"])

    class Parts(Loss):
        def call(self, y_pred, y_true, inputs):
            return {"near": ops.square(y_pred - y_true.y).mean(), "small": ops.square(y_pred - inputs.x[:, :1]).mean()}

    data = ArrayDataset(Inputs(X), Outputs(NUMBERS))
    trainer = SupervisedTrainer(Line(), Parts(), SGD(0.0), callbacks=[])
    metrics = trainer.fit(data, data)
    answer = dense(trainer.model, "dense", X)
    near, small = ((answer - NUMBERS) ** 2).mean(), ((answer - X[:, :1]) ** 2).mean()
    assert metrics == pytest.approx({"loss/near": near, "loss/small": small, "loss/total": near + small}, rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "error", "text"),
    [
        (lambda y_pred, y_true: {}, ArgumentError, "A loss returned a dict without parts."),
        (lambda y_pred, y_true: {"total": y_pred.mean()}, ArgumentError, "A part of a loss is named by a text other than 'total'"),
        (lambda y_pred, y_true: {3: y_pred.mean()}, ArgumentError, "A part of a loss is named by a text other than 'total', and one is 3"),
        (lambda y_pred, y_true, mask: y_pred.mean(), ArgumentError, "The loss <lambda> needs 'mask', and a trainer hands over prediction"),
        (lambda y_pred, y_true: "low", ArgumentError, "needs a function that returns a scalar tensor, and it returned 'low'"),
    ],
)
def test_a_loss_that_returns_or_needs_something_else_is_refused(backend, loss, error, text):
    with pytest.raises(error, match=text):
        fit((X, NUMBERS), Line, loss=loss)


def test_a_part_that_is_no_scalar_is_refused_by_a_trainer_made_by_hand(backend):
    class Parts(Loss):
        def call(self, y_pred, y_true):
            return {"rows": ops.square(y_pred - y_true.y)}

    data = ArrayDataset(namedtuple("Inputs", ["x"])(X), namedtuple("Outputs", ["y"])(NUMBERS))
    with pytest.raises(ShapeError, match=r"log\('loss/rows', ...\) needs a scalar"):
        SupervisedTrainer(Line(), Parts(), SGD(0.1), callbacks=[]).fit(data)


def test_a_signature_is_looked_at_once_and_not_at_every_step(backend, monkeypatch):
    data = ArrayDataset(namedtuple("Inputs", ["x"])(X), namedtuple("Outputs", ["label"])(LABELS))
    model = Scores(NUM_CLASSES)
    trainer = SupervisedTrainer(model, SeesInputs(), SGD(0.1), callbacks=[], compile="off")
    trainer.prepare(next(iter(data.to_dataloader(1).batches(0, 0))))
    looked = []
    original = handover._parameters
    monkeypatch.setattr(handover, "_parameters", lambda callee: looked.append(callee) or original(callee))
    step, batch = trainer.compiled_train_step, next(iter(data.to_dataloader(4).batches(0, 0)))
    for _ in range(3):
        step(batch)
    assert looked == []
    trainer.prepare(batch)
    assert looked == [model]


class SeesInputs(Loss):
    """Sees the inputs."""

    def call(self, y_pred, y_true, inputs):
        return ops.square(y_pred.mean() - inputs.x.mean())


# ---------------------------------------------------------------- several outputs


def test_a_loss_for_each_field_is_a_part_of_its_name(backend):
    result = fit(
        (X, Both(LABELS, NUMBERS)),
        "short_heads",
        loss={"digit": "cross_entropy", "size": {"loss": "smooth_l1", "beta": 0.5}},
        metrics={"digit": ["acc", {"metric": "top_k", "k": 2}], "size": "mae"},
        **still(),
    )
    logits, sizes = dense(result.model, "first", X), dense(result.model, "second", X)
    distance = np.abs(sizes - NUMBERS)
    ce, smooth = cross_entropy(logits, LABELS).mean(), np.where(distance < 0.5, distance**2, distance - 0.25).mean()
    top2 = np.argsort(-logits, axis=1)[:, :2]
    expected = {
        "loss/digit": ce,
        "loss/size": smooth,
        "loss/total": ce + smooth,
        "metrics/digit/acc": (logits.argmax(axis=1) == LABELS).mean(),
        "metrics/digit/top_k": (top2 == LABELS[:, None]).any(axis=1).mean(),
        "metrics/size/mae": distance.mean(),
    }
    assert result.metrics == pytest.approx(expected, rel=1e-5)
    assert list(result.settings.train_loss) == ["digit", "size"]


def test_one_field_of_several_outputs_is_enough(backend):
    class Beside(Line):
        def call(self, x):
            return {"features": x, "size": self.dense(x)}

    result = fit((X, {"size": NUMBERS}), Beside(), loss="mse", **still())
    assert result.metrics["loss/total"] == pytest.approx(((dense(result.model, "dense", X) - NUMBERS) ** 2).mean(), rel=1e-5)


def test_a_loss_of_the_user_gets_all_that_the_model_answers_and_the_dataset_says(backend):
    class Weighted(Loss):
        def __init__(self):
            super().__init__()
            self.ce, self.square = SparseCrossEntropyLossFromLogits(), MeanSquaredError()

        def call(self, y_pred, y_true):
            return self.ce(y_pred.digit, y_true.digit).mean() + 0.1 * self.square(y_pred.size, y_true.size).mean()

    result = fit((X, Both(LABELS, NUMBERS)), TwoHeads, loss=Weighted, **still())
    ce = cross_entropy(dense(result.model, "first", X), LABELS).mean()
    square = ((dense(result.model, "second", X) - NUMBERS) ** 2).mean()
    assert result.metrics == pytest.approx({"loss/total": ce + 0.1 * square}, rel=1e-5)


def test_two_metrics_of_one_name_are_told_apart(backend):
    metrics = [{"metric": "top_k", "k": 1}, {"metric": "top_k", "k": 2}, "acc"]
    result = fit((X, LABELS), Scores, {"num_classes": NUM_CLASSES}, metrics=metrics, **still())
    assert result.metrics["metrics/top_k"] == result.metrics["metrics/acc"] <= result.metrics["metrics/top_k_2"]
    assert set(result.settings.train_metrics) == {"top_k", "top_k_2", "acc"}


def test_a_function_is_a_metric_and_may_give_several_numbers(backend):
    def spread(y_pred, y_true):
        return {"low": y_pred.min(), "high": y_pred.max()}

    result = fit((X, LABELS), Scores, {"num_classes": NUM_CLASSES}, metrics=spread, batch_size=24, **still())
    assert result.metrics["metrics/spread/low"] < result.metrics["metrics/spread/high"]


@pytest.mark.parametrize(
    ("data", "options", "text"),
    [
        ((X, Both(LABELS, NUMBERS)), {"loss": "mse"}, "mse compares two tensors, and the dataset's output has the fields digit, size.\n"),
        (X, {"loss": "mse"}, "mse compares two tensors, and the dataset's output has no field."),
        ((X, {"label": LABELS}), {"loss": "mse"}, "mse compares 'label' of the dataset with what the model answers, .* digit, size"),
        ((X, Both(LABELS, NUMBERS)), {"loss": {"digits": "mse"}}, "mse is to compare 'digits', which .* has not. Did you mean 'digit'?"),
        ((X, NUMBERS), {"loss": 3}, "The loss 'int' is 3, which cannot be called with prediction and truth"),
        ((X, NUMBERS), {"loss": "mse", "metrics": "acuracy"}, "There is no metric 'acuracy'. Did you mean 'accuracy'?"),
        ((X, NUMBERS), {"loss": "mse", "metrics": "top_k"}, r"The metric 'top_k' needs k.\n  It takes: k: int."),
        ((X, NUMBERS), {"loss": {"loss": "mse", "beta": 1}}, "The loss 'mse' has no argument 'beta'."),
        ((X, NUMBERS), {"loss": {"loss": MeanSquaredError(), "beta": 1}}, "loss 'MeanSquaredError' is made already, and cannot take beta"),
    ],
)
def test_a_loss_or_metric_that_does_not_fit_is_refused(backend, data, options, text):
    with pytest.raises(ArgumentError, match=text):
        fit(data, TwoHeads(), **options)


# ---------------------------------------------------------------- the loss that goes with a model


def test_the_loss_of_a_model_is_the_one_of_its_name(backend):
    result = fit(X, "short_autoencoder", {"width": 2}, steps=1)
    assert list(result.settings.train_loss) == ["short_autoencoder"]
    assert isinstance(next(iter(result.trainer.loss.losses.values())), Reconstruction)
    by_class = fit(X, result.model.__class__, {"width": 2}, steps=1)
    assert list(by_class.settings.train_loss) == ["short_autoencoder"]
    other = fit(X, "short_autoencoder", {"width": 2}, loss="short_autoencoder_foo", steps=1)
    assert list(other.settings.train_loss) == ["short_autoencoder_foo"]
    assert other.metrics == result.metrics


@pytest.mark.parametrize("labels", [LABELS, LABELS[:, None], LABELS.astype("uint8"), LABELS.astype("int64")])
def test_a_classifier_has_cross_entropy_as_its_loss(backend, labels):
    result = fit((X, labels), Scores, {"num_classes": NUM_CLASSES}, steps=1)
    assert list(result.settings.train_loss) == ["cross_entropy"]


@pytest.mark.parametrize(
    ("y", "model"),
    [
        (NUMBERS, Line),  # numbers
        (LABELS, Line),  # one score, which may be a count or a yes and no
        (np.eye(3, dtype=np.int32)[LABELS], lambda: Scores(3)),  # whole numbers for each score
        (X[:, :3], lambda: Scores(3)),
    ],
)
def test_a_loss_that_is_not_certain_is_not_guessed(backend, y, model):
    text = r"fit does not know the loss of the model .*: none is registered under its name, and none is certain.\n  The model answers "
    with pytest.raises(ArgumentError, match=text + r".*\n  Say which: fit\(..., loss=\"mse\"\). Registered are: .*cross_entropy, .*mse"):
        fit((X, y), model)


def test_a_default_loss_builds_the_model_as_a_trainer_does(backend):
    named = fit((X, LABELS), Scores, {"num_classes": NUM_CLASSES}, loss="cross_entropy", steps=1)
    found = fit((X, LABELS), Scores, {"num_classes": NUM_CLASSES}, steps=1)
    values = named.model.state_dict()
    assert all(np.array_equal(value, values[path]) for path, value in found.model.state_dict().items())


def test_a_model_of_two_named_outputs_is_no_certain_classifier(backend):
    class Pair(Module):
        def __init__(self):
            super().__init__()
            self.dense = FullyConnected(3)

        def call(self, x):
            return {"a": self.dense(x), "b": x}

    with pytest.raises(ArgumentError, match="does not know the loss of the model 'Pair'.*\n  The model answers a float32 .batch, 3., b "):
        fit((X, LABELS), Pair)
