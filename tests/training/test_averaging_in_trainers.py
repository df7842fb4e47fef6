"""Averages of weights in trainers and checkpoints, of convolutions and native modules; and bad input."""

from collections import namedtuple
from typing import Any

import numpy as np
import pytest
from torch import nn

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.core import Module, Variable
from babel_dl.data import ArrayDataset
from babel_dl.errors import ArgumentError, BuildError
from babel_dl.model.layers import BatchNormalization, Conv2D, Dropout, Flatten, FullyConnected, Sequential
from babel_dl.training import Trainer, WeightAverage
from babel_dl.training.optimizers import SGD, Adam
from tests.training.averages import Layers, X, assert_averages, assert_same, moved, reference
from tests.training.examples import points, weights_of


class Averaged(Trainer):
    """Trains a model, and averages in its step."""

    def __init__(self, **options: Any) -> None:
        super().__init__(callbacks=[], **options)
        self.model = Sequential(FullyConnected(6, activation="tanh"), BatchNormalization(), Dropout(0.2), FullyConnected(1))
        self.optimizer = Adam(0.01)
        self.average = WeightAverage(self.model, 0.8, warm_up=True, every=2)

    def loss(self, batch: Any) -> Any:
        return ops.mean(ops.square(self.model(batch[0].x) - batch[1].label.astype("float32").reshape((-1, 1))))

    def train_step(self, batch: Any) -> Any:
        loss = self.minimize(lambda: self.loss(batch), over=self.model, using=self.optimizer)
        self.average.update()
        return loss

    def evaluate_step(self, batch: Any) -> Any:
        return self.loss(batch)


def test_a_step_of_a_trainer_averages_what_the_optimizer_made(backend: Backend) -> None:
    trainer, history = Averaged(log_every=1), []
    trainer.prepare(next(iter(points(4).to_dataloader(4).batches(0))))
    assert not any(variable.numpy().any() for variable in trainer.average.variables), "building is no step"
    for batch in points(48).to_dataloader(4).batches(0):
        trainer.compiled_train_step(batch)
        history.append({path.lstrip("/"): v.numpy() for path, v in trainer.model.named_variables.items() if v.is_parameter})
    history = history[1::2]
    assert_averages(trainer.average, reference(history, [min(0.8, (1 + n) / (10 + n)) for n in range(1, len(history))]))


def test_the_averages_are_no_part_of_the_model(backend: Backend) -> None:
    trainer = Averaged()
    trainer.fit(points(8), epochs=1)
    assert not [path for path in trainer.model.named_variables if "average" in path]
    assert not [path for path in trainer.average.named_variables if not path.startswith(("/averages/", "/num_"))]
    assert trainer.average.trainable_variables == []


def test_a_resumed_run_goes_on_with_the_averages_bit_by_bit(backend: Backend, tmp_path: Any) -> None:
    data = points(40).to_dataloader(4)
    whole = Averaged()
    whole.fit(data, steps=15)
    first = Averaged()
    first.fit(data, steps=7)
    first.save(tmp_path / "half.safetensors")
    second = Averaged()
    second.fit(data, steps=15, resume=tmp_path / "half.safetensors")
    expected = weights_of(whole)
    assert "average/averages/layers/0/weight" in expected
    assert_same(weights_of(second), expected)


def test_the_averages_have_a_place_in_a_checkpoint_before_the_first_update(backend: Backend, tmp_path: Any) -> None:
    batch = next(iter(points(4).to_dataloader(4).batches(0)))
    trainer, other = Averaged(), Averaged()
    trainer.prepare(batch)
    other.prepare(batch)
    trainer.save(tmp_path / "start.safetensors")
    trainer.compiled_train_step(batch)
    trainer.compiled_train_step(batch)
    trainer.save(tmp_path / "later.safetensors")
    trainer.load(tmp_path / "start.safetensors")
    assert trainer.average.num_updates.item() == 0
    other.load(tmp_path / "later.safetensors")
    assert other.average.num_updates.item() == 1


def test_convolutions_are_averaged_in_their_layout(backend: Backend) -> None:
    model = Sequential(Conv2D(4, 3), Flatten(), FullyConnected(2))
    model.build_from(np.zeros((1, 6, 6, 3), np.float32))
    average, rng, history = WeightAverage(model, 0.5), np.random.default_rng(1), []
    for _ in range(3):
        history.append(moved(model, rng))
        average.update()
    assert_averages(average, reference(history, [0.5] * 2))


@pytest.mark.parametrize("backend_name", ["torch"])
def test_weights_that_a_native_module_holds_are_swapped_where_it_holds_them(backend: Backend) -> None:
    """There an assignment writes in place: what was kept must be a copy, and the module's parameters must stay the same objects."""

    class Wrapped(Module):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

        def call(self, x: Any) -> Any:
            return self.net(x)

    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    model = Wrapped(net).build_from(X)
    average, rng, history = WeightAverage(model, 0.5), np.random.default_rng(1), []
    for _ in range(3):
        history.append(moved(model, rng))
        average.update()
    assert_averages(average, reference(history, [0.5] * 2))
    own, objects = {name: value.clone() for name, value in net.state_dict().items()}, list(net.parameters())
    with average.in_force():
        np.testing.assert_array_equal(net[0].weight.detach().numpy(), average.averages["net/0/weight"].numpy())
    assert all(bool((value == own[name]).all()) for name, value in net.state_dict().items())
    assert all(one is other for one, other in zip(net.parameters(), objects, strict=True))


# -------------------------------------------------------------------- bad input


@pytest.mark.parametrize("decay", [1, 1.0, -0.1, 2, "0.9", None, True, float("nan")])
def test_a_decay_that_averages_nothing_is_refused(backend: Backend, decay: Any) -> None:
    with pytest.raises(ArgumentError, match="WeightAverage needs a decay from 0 to below 1, and got"):
        WeightAverage(Layers(), decay)


@pytest.mark.parametrize("every", [0, -1, 1.5, None])
def test_a_period_below_one_is_refused(backend: Backend, every: Any) -> None:
    with pytest.raises(ArgumentError, match="WeightAverage needs every of at least 1, and got"):
        WeightAverage(Layers(), every=every)


def test_only_modules_are_averaged(backend: Backend) -> None:
    with pytest.raises(ArgumentError, match="WeightAverage averages the weights of a module, and got Variable"):
        WeightAverage(Variable(1.0))  # type: ignore[arg-type]


def test_a_model_without_weights_is_refused_at_the_update(backend: Backend) -> None:
    average = WeightAverage(Layers())
    assert average.named_variables == {}
    with pytest.raises(BuildError, match="WeightAverage finds no weights in Layers. Build it first"):
        average.update()
    average.model.build_from(X)
    average.update()
    assert average.num_updates.item() == 1


def test_weights_that_came_after_the_first_update_are_named(backend: Backend) -> None:
    class Growing(Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = FullyConnected(2), FullyConnected(2)

        def call(self, x: Any, both: bool = False) -> Any:
            return self.second(self.first(x)) if both else self.first(x)

    model = Growing()
    model(X)
    average = WeightAverage(model)
    average.update()
    model(X, both=True)
    message = "Growing got weights after their averages were begun: second/weight, second/bias.\n  Build all of the model before the first"
    with pytest.raises(BuildError, match=message), average.in_force():
        pass


Inputs = namedtuple("Inputs", ["x"])
Outputs = namedtuple("Outputs", ["y"])


def test_averages_predict_better_than_the_last_noisy_step(backend: Backend) -> None:
    """The reason for all this: a linear fit with a large step on noisy data jumps around the answer, and its average does not."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 3)).astype(np.float32)
    truth = np.float32([[1.0], [-2.0], [0.5]])
    data = ArrayDataset(Inputs(x), Outputs(x @ truth + rng.normal(size=(2000, 1)).astype(np.float32)))

    class Fit(Averaged):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.optimizer = FullyConnected(1, use_bias=False), SGD(0.1, momentum=0)
            self.average = WeightAverage(self.model, 0.98)

        def loss(self, batch: Any) -> Any:
            return ops.mean(ops.square(self.model(batch[0].x) - batch[1].y))

    trainer = Fit()
    trainer.fit(data.to_dataloader(4), epochs=1)
    last = np.abs(trainer.model.weight.numpy() - truth).max()
    with trainer.average.in_force():
        assert np.abs(trainer.model.weight.numpy() - truth).max() < last / 2
