"""What a newcomer writes otherwise: arguments, data, names of losses. Each error says what to write here."""

import re

import numpy as np
import pytest

import babel_dl
from babel_dl.core.registry import LOSSES
from babel_dl.data import ArrayDataset
from babel_dl.errors import ArgumentError
from babel_dl.training import Trainer
from babel_dl.training.losses import BinaryCrossEntropyLossFromLogits, CrossEntropyLossFromLogits, SparseCrossEntropyLossFromLogits
from babel_dl.training.short_form.feeding import ArrayInput, ArrayOutput, feed
from babel_dl.training.short_form.run import _ARGUMENTS
from babel_dl.training.short_form.spelling import _ELSEWHERE
from tests.training.short_parts import NUM_CLASSES, Scores, columns

pytestmark = pytest.mark.usefixtures("elsewhere")
X, Y = columns(6)
on_torch = pytest.mark.parametrize("backend_name", ["torch"])


# ---------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"lr": 1e-2}, "fit has no argument 'lr'. Write: optimizer={\"optimizer\": \"adam\", \"lr\": 0.01}."),
        ({"learning_rate": 1e-2, "optimizer": "sgd"}, 'learning_rate\'. Write: optimizer={"optimizer": "sgd", "lr": 0.01}.'),
        ({"epoch": 3}, "fit has no argument 'epoch'. Did you mean 'epochs'?"),
        ({"optimiser": "adam"}, "fit has no argument 'optimiser'. Did you mean 'optimizer'?"),
        ({"validation_split": 0.1}, "fit has no argument 'validation_split'. It is called dev_fraction here."),
        ({"validation_data": (X, Y)}, "fit has no argument 'validation_data'. It is called dev_data here."),
        ({"metric": "acc"}, "fit has no argument 'metric'. It is called metrics here."),
        ({"num_epochs": 3}, "fit has no argument 'num_epochs'. It is called epochs here."),
        ({"y": Y}, "fit has no argument 'y'. Write arrays as a tuple: fit((x, y), ...)."),
        ({"from_logits": True}, "fit has no argument 'from_logits'. Losses take logits here"),
        ({"num_classes": 3}, "fit has no argument 'num_classes'. It is one of the model. Write: model_config={\"num_classes\": 3}."),
        ({"qqq": 3}, "fit has no argument 'qqq'. Known: accumulate, batch_size,"),
    ],
)
@pytest.mark.parametrize("model", ["short_scores", Scores])
def test_an_argument_that_fit_does_not_have_is_refused_and_the_right_one_said(model, options, text):
    with pytest.raises(ArgumentError, match=re.escape(text)):
        babel_dl.fit((X, Y), model, **options)


def test_the_names_that_messages_offer_are_those_of_arguments():
    assert set(_ELSEWHERE.values()) <= set(_ARGUMENTS)
    assert not set(_ELSEWHERE) & set(_ARGUMENTS)


@pytest.mark.parametrize(
    ("model", "config", "text"),
    [
        (Scores, (2,), 'model_config is a dict of arguments, {"num_classes": 2}, and got (2,).'),
        ("short_scores", [2, 7], 'model_config is a dict of arguments, {"num_classes": 2, "width": 7}, and got [2, 7].'),
        ("short_scores", 5, 'model_config is a dict of arguments, {"num_classes": 5}, and got 5.'),
        (Scores(3), (), 'model_config is a dict of arguments, {"num_classes": 2}, and got ().'),
        ("nett", None, "There is no model 'nett'."),
        (Y, "short_scores", "fit takes the model behind the data, and got a ndarray there. For inputs and outputs write a tuple: fit(("),
        (Scores, {2: 3}, "The model 'Scores' has no argument 2."),
    ],
)
def test_a_model_in_the_wrong_form_is_refused(model, config, text):
    with pytest.raises(ArgumentError, match=re.escape(text)):
        babel_dl.fit((X, Y), model, config)


# ---------------------------------------------------------------- data


@pytest.mark.parametrize(
    "data", [[X, Y], [(X[0], Y[0]), (X[1], Y[1])], [[X, X], [Y, Y]], [{"x": X}, Y], [(1.0, 2), (3.0, 4)]]
)  # fmt: skip
@pytest.mark.parametrize("name", ["data", "dev_data"])
def test_a_list_that_looks_like_inputs_and_outputs_is_refused(data, name):
    train, dev = (data, None) if name == "data" else ((X, Y), data)
    text = f"{name} is a list, which is one array here. For inputs and outputs write a tuple of arrays: fit((x, y), ...)."
    with pytest.raises(ArgumentError, match=re.escape(text)):
        feed(train, dev, None, None, None)


def test_lists_of_numbers_are_arrays():
    found = feed([[1.0, 2.0], [3.0, 4.0], [np.float32(5.0), 6]], None, None, None, None)
    assert found.settings["inputs"]["x"].startswith("(2,) float")
    both = feed(([1, 2, 3], [True, False, True]), None, None, None, None)
    assert (both.train.num_samples, both.settings["inputs"]) == (3, {"x": "() int32"})
    pictures = feed(([X, X], [0, 1]), None, None, None, None)
    assert (pictures.train.num_samples, pictures.settings["inputs"]) == (2, {"x": "(6, 4) float32"})


def test_a_dict_of_arrays_is_the_inputs_alone():
    found = feed({"x": X, "y": Y}, None, None, None, None)
    assert (list(found.settings["inputs"]), found.settings["outputs"]) == (["x", "y"], {})


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (([X, Y], [X, Y]), "x is a list of arrays that differ in the number of axes, and a list is one array here. Inputs and outputs are"),
        (((X, Y), [X, Y]), "data is a pair of arrays beside a list, data[1]. Write ((x, y), (x_dev, y_dev)), or (x, y)."),
        ((X, (X, Y)), "data is a pair of arrays beside a numpy.ndarray, data[0]."),
        ((row for row in X), "data is a generator. Give the arrays, fit((x, y), ..., batch_size=32), or a babel_dl.data.Dataset."),
    ],
)
def test_data_that_would_be_misread_are_refused(data, text):
    with pytest.raises(ArgumentError, match=re.escape(text)):
        feed(data, None, None, None, None)


@on_torch
def test_datasets_and_loaders_of_a_framework_are_refused_by_their_names(backend):
    from torch import tensor
    from torch.utils.data import DataLoader, TensorDataset

    data = TensorDataset(tensor(X), tensor(Y))
    text = "data is a torch.utils.data.dataset.TensorDataset. Give the arrays, fit((x, y), ..., batch_size=32), or a babel_dl.data.Dataset."
    with pytest.raises(ArgumentError, match=re.escape(text)):
        feed(data, None, None, None, None)
    with pytest.raises(ArgumentError, match=r"dev_data is a torch\..*DataLoader. Give the arrays, fit\(\(x, y\), ..., batch_size=8\)"):
        feed((X, Y), DataLoader(data, batch_size=8), None, None, None)
    with pytest.raises(ArgumentError, match=r"x is a torch\..*DataLoader. Give the arrays"):
        feed((DataLoader(data, batch_size=8), DataLoader(data)), None, None, None, None)
    with pytest.raises(ArgumentError, match=r"y is a torch\..*DataLoader. Give the arrays"):
        feed((X, DataLoader(data)), None, None, None, None)


@on_torch
def test_tensors_of_a_framework_are_arrays(backend):
    from torch import tensor

    found = feed((tensor(X), tensor(Y)), None, None, None, None)
    assert (found.settings["inputs"], found.settings["outputs"]) == ({"x": "(4,) float32"}, {"y": "() int32"})


def test_loaders_and_datasets_of_ours_are_still_taken():
    data = ArrayDataset(ArrayInput(X), ArrayOutput(Y))
    assert feed((data, data.to_dataloader(3)), None, None, None, None).dev.batch_size == 3


# ---------------------------------------------------------------- losses


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("sparse_categorical_crossentropy", SparseCrossEntropyLossFromLogits),
        ("SparseCategoricalCrossentropy", SparseCrossEntropyLossFromLogits),
        ("categorical_crossentropy", CrossEntropyLossFromLogits),
        ("binary_crossentropy", BinaryCrossEntropyLossFromLogits),
    ],
)
def test_the_names_that_keras_has_for_losses_mean_the_same_of_logits(name, kind):
    assert LOSSES.find(name) is kind


def test_a_loss_by_the_name_that_keras_has_trains_the_same(backend):
    options = {"epochs": 1, "seed": 1, "run_folder": False}
    ours, theirs = (
        babel_dl.fit((X, Y), Scores, {"num_classes": NUM_CLASSES}, loss=loss, **options).metrics
        for loss in ("cross_entropy", "sparse_categorical_crossentropy")
    )
    assert ours == theirs


def test_an_argument_of_the_model_is_offered_before_that_of_an_optimizer():
    class Fast(Trainer):
        def __init__(self, lr: float) -> None:
            super().__init__()

    with pytest.raises(ArgumentError, match=r"'lr'. It is one of the model. Write: model_config={\"lr\": 0.5}."):
        babel_dl.fit((X, Y), Fast, lr=0.5)  # pyright: ignore[reportArgumentType]
