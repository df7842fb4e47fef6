"""Averages of weights: the formula against numpy, the swap and back, checkpoints; inside and outside of compiled steps."""

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import babel_dl
from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.core import Module, Variable
from babel_dl.data import ArrayDataset
from babel_dl.errors import ArgumentError, BuildError
from babel_dl.model.layers import BatchNormalization, Conv2D, Dropout, Flatten, FullyConnected, Sequential
from babel_dl.training import Trainer, WeightAverage
from babel_dl.training.optimizers import SGD, Adam
from tests.training.examples import points, weights_of

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


class Layers(Module):
    """A model with weights in several shapes, running statistics and counters."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.dropout = BatchNormalization(), Dropout(0.5)
        self.first, self.second = FullyConnected(5), FullyConnected(2)

    def call(self, x: Any) -> Any:
        return self.second(self.dropout(self.first(self.norm(x))))


def moved(model: Module, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Gives all variables of a model other values, and says which."""
    values = {path: rng.uniform(0.1, 2.0, v.shape).astype(np.float32) for path, v in model.named_variables.items() if v.dtype == "float32"}
    for path, value in values.items():
        model.named_variables[path].assign(value)
    return {path.lstrip("/"): value for path, value in values.items()}


def reference(history: list[dict[str, np.ndarray]], decays: list[float]) -> dict[str, np.ndarray]:
    """The averages after these weights, by the formula a = decay * a + (1 - decay) * w in float64."""
    averages = {path: value.astype(np.float64) for path, value in history[0].items()}
    for weights, decay in zip(history[1:], decays, strict=True):
        averages = {path: decay * averages[path] + (1 - decay) * value for path, value in weights.items()}
    return averages


def values_of(average: WeightAverage) -> dict[str, np.ndarray]:
    return {path: variable.numpy() for path, variable in average.averages.items()}


def assert_averages(average: WeightAverage, expected: dict[str, np.ndarray]) -> None:
    found = values_of(average)
    assert found.keys() <= expected.keys()
    for path, value in found.items():
        np.testing.assert_allclose(value, expected[path], rtol=1e-5, atol=1e-6)


def compiled_in(mode: str, function: Callable[[], None]) -> Callable[[], None]:
    return function if mode == "outside" else babel_dl.compile(function, mode)


@pytest.mark.parametrize("mode", ["outside", "off", "auto"])
@pytest.mark.parametrize("decay", [0.0, 0.9, 0.999])
def test_averages_follow_the_formula(backend: Backend, decay: float, mode: str) -> None:
    model = Layers().build_from(X)
    average, rng, history = WeightAverage(model, decay), np.random.default_rng(1), []
    update = compiled_in(mode, average.update)
    for _ in range(5):
        history.append(moved(model, rng))
        update()
    assert_averages(average, reference(history, [decay] * 4))
    assert average.num_updates.item() == 5


def test_every_mode_of_the_backend_gives_the_same_averages(backend: Backend) -> None:
    for mode in backend.compile_modes:
        model = Layers().build_from(X)
        average, rng, history = WeightAverage(model, 0.9, warm_up=True), np.random.default_rng(1), []
        update = babel_dl.compile(average.update, mode)
        for _ in range(4):
            history.append(moved(model, rng))
            update()
        assert_averages(average, reference(history, [2 / 11, 3 / 12, 4 / 13]))


def test_the_warm_up_lets_the_decay_grow(backend: Backend) -> None:
    model = Layers().build_from(X)
    average, rng, history = WeightAverage(model, 0.3, warm_up=True), np.random.default_rng(1), []
    for _ in range(7):
        history.append(moved(model, rng))
        average.update()
    growing = [min(0.3, (1 + n) / (10 + n)) for n in range(1, 7)]
    assert growing[0] < growing[1] < growing[-1] == 0.3
    assert_averages(average, reference(history, growing))


@pytest.mark.parametrize("mode", ["outside", "auto"])
def test_every_counts_calls(backend: Backend, mode: str) -> None:
    model = Layers().build_from(X)
    average, rng, history = WeightAverage(model, 0.5, every=3), np.random.default_rng(1), []
    update = compiled_in(mode, average.update)
    for _ in range(10):
        history.append(moved(model, rng))
        update()
        assert average.num_updates.item() == len(history) // 3
    assert_averages(average, reference(history[2::3], [0.5] * 2))


def test_the_first_update_takes_the_weights_as_they_are(backend: Backend) -> None:
    model = Layers().build_from(X)
    average = WeightAverage(model, 0.999)
    average.update()
    for path, value in values_of(average).items():
        np.testing.assert_array_equal(value, model.named_variables[f"/{path}"].numpy())


def test_frozen_weights_are_averaged_exactly(backend: Backend) -> None:
    model = Layers().build_from(X)
    average = WeightAverage(model, 0.7)
    for _ in range(20):
        average.update()
    for path, value in values_of(average).items():
        np.testing.assert_array_equal(value, model.named_variables[f"/{path}"].numpy())


def test_only_weights_are_averaged_unless_statistics_are_asked_for(backend: Backend) -> None:
    model = Layers().build_from(X)
    model(X)
    average = WeightAverage(model)
    average.update()
    assert list(average.averages) == ["norm/weight", "norm/bias", "first/weight", "first/bias", "second/weight", "second/bias"]
    both = WeightAverage(model, 0.5, average_statistics=True)
    rng, history = np.random.default_rng(1), []
    for _ in range(3):
        history.append(moved(model, rng))
        both.update()
    assert set(both.averages) - set(average.averages) == {"norm/running_mean", "norm/running_var"}
    assert_averages(both, reference(history, [0.5] * 2))


def test_narrow_weights_are_averaged_in_float32(backend: Backend) -> None:
    """In bfloat16 1 + 0.001 * (2 - 1) would stay 1."""

    class Narrow(Module):
        def build(self, x: Any) -> None:
            self.weight = self.variable("weight", (), "ones", dtype="bfloat16")

        def call(self, x: Any) -> Any:
            return x

    model = Narrow().build_from(X)
    average = WeightAverage(model, 0.999)
    average.update()
    model.weight.assign(2.0)
    average.update()
    assert average.averages["weight"].dtype == "float32"
    assert average.averages["weight"].item() == pytest.approx(1.001, abs=1e-6)
    with average.in_force():
        assert (model.weight.dtype, float(model.weight.astype("float32"))) == ("bfloat16", 1.0)
    assert float(model.weight.astype("float32")) == 2.0


# -------------------------------------------------------------------- in force


def updated(model: Module, decay: float = 0.9, **settings: Any) -> tuple[WeightAverage, dict[str, np.ndarray]]:
    """An average after three updates, and the model's values of now."""
    average, rng = WeightAverage(model, decay, **settings), np.random.default_rng(1)
    for _ in range(3):
        moved(model, rng)
        average.update()
    return average, model.state_dict()


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for path, value in expected.items():
        assert found[path].tobytes() == value.tobytes(), path


def test_in_force_the_model_has_the_averages_and_then_its_own_again(backend: Backend) -> None:
    model = Layers().build_from(X)
    average, _ = updated(model)
    model.first.bias.assign(np.full(5, -0.0, np.float32))
    own = model.state_dict()
    own_answer = model.predict(x=X[0])
    with average.in_force() as same:
        assert same is model
        inside = model.state_dict()
        for path, value in values_of(average).items():
            np.testing.assert_array_equal(inside[f"/{path}"], value)
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            np.testing.assert_array_equal(inside[f"/norm/{name}"], own[f"/norm/{name}"])
        answer = model.predict(x=X[0])
    assert_same(model.state_dict(), own)
    assert np.abs(answer - own_answer).max() > 1e-3
    np.testing.assert_array_equal(model.predict(x=X[0]), own_answer)


def test_averaged_statistics_are_put_in_force_too(backend: Backend) -> None:
    model = Layers().build_from(X)
    average, own = updated(model, average_statistics=True)
    with average.in_force():
        np.testing.assert_array_equal(model.norm.running_mean.numpy(), average.averages["norm/running_mean"].numpy())
        assert model.norm.num_batches_tracked.item() == own["/norm/num_batches_tracked"]
    assert_same(model.state_dict(), own)


def test_after_an_error_the_model_has_its_own_weights(backend: Backend) -> None:
    model = Layers().build_from(X)
    average, own = updated(model)
    for error in (KeyError, KeyboardInterrupt):
        with pytest.raises(error, match="inside"), average.in_force():
            raise error("inside")
        assert_same(model.state_dict(), own)


def test_what_is_written_inside_to_an_averaged_variable_is_undone_and_other_state_stays(backend: Backend) -> None:
    model = Layers().build_from(X)
    average, own = updated(model)
    with average.in_force():
        model.first.weight.fill(1e9)
        model.train()
        model(X)
    found = model.state_dict()
    assert found["/norm/num_batches_tracked"] == own["/norm/num_batches_tracked"] + 1
    for path in average.averages:
        np.testing.assert_array_equal(found[f"/{path}"], own[f"/{path}"])


def test_in_force_may_be_nested(backend: Backend) -> None:
    model = Layers().build_from(X)
    (average, _), (other, own) = updated(model, 0.9), updated(model, 0.5)
    with average.in_force(), other.in_force():
        np.testing.assert_array_equal(model.first.weight.numpy(), other.averages["first/weight"].numpy())
    assert_same(model.state_dict(), own)


def test_before_the_first_update_the_model_is_left_as_it_is(backend: Backend) -> None:
    model = Layers().build_from(X)
    own = model.state_dict()
    for average in (WeightAverage(model), WeightAverage(model, every=2)):
        assert [variable.numpy().any() for variable in average.variables] == [False] * len(average.variables) != []
        with average.in_force():
            assert_same(model.state_dict(), own)


def test_the_averages_do_not_share_memory_with_the_weights(backend: Backend) -> None:
    """A step inside of in_force, such as a fine-tuning by mistake, must not write through to the averages or to the weights kept."""
    model, optimizer = Layers().build_from(X), SGD(0.5)
    average, own = updated(model)
    before = values_of(average)
    with average.in_force():
        for _ in range(2):
            _, gradients = babel_dl.value_and_grad(lambda: ops.mean(ops.square(model(X))), model)
            optimizer.apply(gradients, model.trainable_variables)
    assert_same(values_of(average), before)
    for path in average.averages:
        np.testing.assert_array_equal(model.named_variables[f"/{path}"].numpy(), own[f"/{path}"])


# -------------------------------------------------------------------- with a trainer


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
