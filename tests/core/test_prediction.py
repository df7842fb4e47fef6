"""Answers to single samples: numpy in and out, in evaluation mode (babilim's D28)."""

from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.core import Module, evaluation_mode
from babel_dl.errors import ArgumentError
from babel_dl.model.layers import BatchNormalization, Dropout, FullyConnected

Output = namedtuple("Output", ["class_id", "score"])


class Classifier(Module):
    """Random and learning while it trains; must be neither when it predicts."""

    def __init__(self) -> None:
        self.dense, self.norm, self.dropout = FullyConnected(3), BatchNormalization(), Dropout(0.5)
        self.modes: list[bool] = []

    def call(self, image: object, bonus: object = 0.0) -> object:
        self.modes.append(self.norm.training)
        logits = self.dropout(self.norm(self.dense(image))) + bonus
        return Output(logits, {"best": ops.argmax(logits), "all": (ops.max(logits), "text", None)})


IMAGE = np.array([0.5, -1.0], np.float32)


def test_a_sample_comes_and_goes_without_a_batch_axis(backend: Backend) -> None:
    model = Classifier().build_from(image=IMAGE[None])
    answer = model.predict(image=IMAGE)
    assert type(answer) is Output
    assert isinstance(answer.class_id, np.ndarray) and answer.class_id.shape == (3,)
    assert answer.score["best"].shape == ()
    assert answer.score["best"].dtype == np.int32
    wanted = (IMAGE @ model.dense.weight.numpy()) / np.sqrt(1 + 1e-5)
    np.testing.assert_allclose(answer.class_id, wanted, rtol=1e-5)


def test_outputs_that_are_no_tensors_pass(backend: Backend) -> None:
    largest, text, nothing = Classifier().predict(image=IMAGE).score["all"]
    assert (np.shape(largest), text, nothing) == ((), "text", None)


def test_prediction_changes_nothing(backend: Backend) -> None:
    model = Classifier().build_from(image=IMAGE[None])
    before = model.state_dict()
    answers = [model.predict(image=IMAGE).class_id for _ in range(3)]
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[0], answers[2])
    for path, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[path])


def test_the_mode_is_evaluation_inside_and_what_it_was_outside(backend: Backend) -> None:
    model = Classifier().build_from(image=IMAGE[None])
    model.dropout.eval()
    model.modes.clear()
    model.predict(image=IMAGE)
    assert set(model.modes) == {False}
    assert (model.training, model.norm.training, model.dropout.training) == (True, True, False)


def test_the_mode_comes_back_after_a_failure(backend: Backend) -> None:
    model = Classifier().build_from(image=IMAGE[None])
    with pytest.raises(ValueError, match="last axis of 2"):
        model.predict(image=np.ones(7, np.float32))
    assert model.training and model.norm.training
    with pytest.raises(RuntimeError, match="stop"), evaluation_mode(model):
        assert not model.norm.training
        raise RuntimeError("stop")
    assert model.norm.training


def test_prediction_builds_a_model_that_is_not_built(backend: Backend) -> None:
    model = Classifier()
    assert model.predict(image=IMAGE).class_id.shape == (3,)
    assert model.is_built and model.norm.num_batches_tracked.item() == 0


@pytest.mark.parametrize("image", [IMAGE.astype(np.float64), np.array([1, 2]), np.array([1, 2], np.uint8) / 255, IMAGE[::-1]])
def test_arrays_of_every_type_are_taken_in_at_most_32_bit(backend: Backend, image: np.ndarray) -> None:
    class Halving(Module):
        def call(self, image: object) -> object:
            return image * 0.5

    answer = Halving().predict(image=image)
    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer, image * 0.5, rtol=1e-6)


def test_numbers_are_samples_too(backend: Backend) -> None:
    model = Classifier().build_from(image=IMAGE[None])
    plain = model.predict(image=IMAGE).class_id
    np.testing.assert_allclose(model.predict(image=IMAGE, bonus=2.5).class_id, plain + 2.5, rtol=1e-5)
    np.testing.assert_allclose(model.predict(image=IMAGE, bonus=np.int64(2)).class_id, plain + 2, rtol=1e-5)


def test_nested_samples_are_taken_apart(backend: Backend) -> None:
    class Summing(Module):
        def call(self, pair: object) -> object:
            return pair["left"] + pair["right"][0]

    answer = Summing().predict(pair={"left": np.ones(2, np.float32), "right": (np.ones(2, np.float32),)})
    assert answer.tolist() == [2.0, 2.0]


def test_dataclasses_come_and_go(backend: Backend) -> None:
    @dataclass
    class Point:
        x: object
        y: object

    class Mirror(Module):
        def call(self, point: object) -> object:
            return Point(point.y, -point.x)

    answer = Mirror().predict(point=Point(np.float32(1.0), np.ones(2, np.float32)))
    assert type(answer) is Point
    assert (answer.x.tolist(), answer.y.tolist()) == ([1.0, 1.0], -1.0)


def test_new_weights_are_seen_by_the_next_prediction(backend: Backend) -> None:
    layer = FullyConnected(2)
    layer.predict(x=IMAGE)
    layer.weight.assign(np.zeros((2, 2)))
    layer.bias.assign([1.0, 2.0])
    assert layer.predict(x=IMAGE).tolist() == [1.0, 2.0]


def test_no_gradients_are_recorded_while_predicting(backend: Backend, backend_name: str) -> None:
    seen = []

    class Watching(FullyConnected):
        def call(self, x: object) -> object:
            y = super().call(x)
            seen.append(getattr(y.native, "requires_grad", False))
            return y

    Watching(2).predict(x=IMAGE)
    assert seen and not any(seen)


def test_inputs_are_given_by_name(backend: Backend) -> None:
    with pytest.raises(ArgumentError, match=r"Classifier.predict needs its inputs by name: model.predict\(image=array\)"):
        Classifier().predict()
    with pytest.raises(TypeError, match="unexpected keyword argument 'picture'"):
        Classifier().predict(picture=IMAGE)
