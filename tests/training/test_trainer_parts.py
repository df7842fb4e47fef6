"""Where a trainer finds its parts: in attributes, lists and dicts; all of them are switched, saved and restored."""

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.core import Module, Variable
from babel_dl.data import ArrayDataset
from babel_dl.errors import ArgumentError
from babel_dl.model.layers import Embedding, FullyConnected
from babel_dl.training import SupervisedTrainer, Trainer
from babel_dl.training.callbacks import LearningRateUpdateCallback
from babel_dl.training.losses import Loss
from babel_dl.training.optimizers import SGD, Adam
from babel_dl.training.optimizers.learning_rates import Exponential

Inputs, Outputs = namedtuple("Inputs", ["x"]), namedtuple("Outputs", ["y"])


def rows(count: int = 8) -> ArrayDataset:
    """Ones, and zeros to hit."""
    return ArrayDataset(Inputs(np.ones((count, 3), np.float32)), Outputs(np.zeros(count, np.float32)))


class Ensemble(Trainer):
    """Modules in a list, optimizers in a dict, a variable of its own."""

    def __init__(self) -> None:
        super().__init__(callbacks=[], compile="off")  # evaluate_step writes down what it sees at every run
        self.nets = [FullyConnected(1), FullyConnected(1)]
        self.rules = {"first": SGD(0.1), "second": Adam(0.1)}
        self.temperature = Variable(1.0, path="temperature")
        self.modes: list[bool] = []

    def train_step(self, batch: Any) -> Any:
        x = batch[0].x
        first = self.minimize(lambda: (self.nets[0](x) * self.temperature).mean(), [self.nets[0], self.temperature], self.rules["first"])
        return first + self.minimize(lambda: self.nets[1](x).mean(), self.nets[1], self.rules["second"])

    def evaluate_step(self, batch: Any) -> Any:
        self.modes.append(self.nets[0].training)
        return self.nets[0](batch[0].x).mean()


def test_parts_in_lists_and_dicts_are_found_saved_and_switched(backend, tmp_path):
    trainer, fresh, path = Ensemble(), Ensemble(), tmp_path / "ensemble.safetensors"
    trainer.fit(rows(), rows(), epochs=1)
    trainer.save(path)
    assert list(trainer.modules) == ["nets/0", "nets/1"]
    assert list(trainer.optimizers) == ["rules/first", "rules/second"]
    assert trainer.modes and not any(trainer.modes)
    fresh.prepare(next(iter(rows().to_dataloader().batches(0))))
    fresh.load(path)
    for one, other in zip(trainer.nets, fresh.nets, strict=True):
        np.testing.assert_array_equal(one.weight.numpy(), other.weight.numpy())
    assert float(fresh.temperature) == float(trainer.temperature) != 1.0


def test_a_schedule_takes_the_optimizer_itself(backend):
    trainer = Ensemble()
    schedule = LearningRateUpdateCallback(Exponential(0.5, 0.0), optimizer=trainer.rules["second"])
    schedule.on_prepare(trainer)
    for optimizer in trainer.optimizers.values():
        optimizer.follow(0)
    assert (trainer.rules["second"].learning_rate, trainer.rules["first"].learning_rate) == (0.5, 0.1)


def test_a_schedule_that_is_a_number_is_refused():
    with pytest.raises(ArgumentError, match="For a fixed rate: Const"):
        LearningRateUpdateCallback(0.1)  # type: ignore[arg-type]


@dataclass
class Answer:
    """Outputs of a model, with a field that has no batch axis."""

    value: Any
    note: Any = None


class Answering(Module):
    """Returns a dataclass."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = FullyConnected(1)

    def call(self, x: Any) -> Answer:
        return Answer(self.dense(x))


class Distance(Loss):
    """Mean distance from the truth."""

    def call(self, y_pred: Answer, y_true: Any) -> Any:
        return ops.abs(y_pred.value - ops.expand_dims(y_true.y, 1)).mean()


def test_predict_cuts_dataclasses_into_samples(backend):
    trainer = SupervisedTrainer(Answering(), Distance(), SGD(0.1), callbacks=[])
    trainer.fit(rows(), epochs=1)
    answers = trainer.predict(rows(5))
    assert len(answers) == 5
    assert answers[0].value.shape == (1,)
    assert answers[0].note is None


def test_predict_of_a_model_refuses_inputs_without_a_name(backend):
    with pytest.raises(ArgumentError, match=r"needs its inputs by name: model.predict\(image=array\)"):
        Answering().predict(np.ones(3))


def test_embedding_names_an_index_without_a_vector_while_the_cause_is_looked_for(backend):
    from babel_dl.core.diagnosing import diagnosing

    layer = Embedding(5, 2)
    layer(ops.asarray([0, 4]))
    with diagnosing(), pytest.raises(ArgumentError, match=r"got the index 7 at \[1\], and has vectors for 0 to 4"):
        layer(ops.asarray([1, 7]))


def test_an_index_that_is_none_is_refused(backend):
    x = ops.zeros((3, 3))
    with pytest.raises(ArgumentError, match="At most one index is a tensor"):
        x[np.array([0, 1]), np.array([1, 2])]
    with pytest.raises(ArgumentError, match=r"An index is a whole number, a slice, None, ... or a tensor, and 1.0 came"):
        x[1.0]


def test_a_tensor_of_one_number_is_formatted_as_one(backend):
    assert f"{ops.asarray(0.5):.2f}" == "0.50"
