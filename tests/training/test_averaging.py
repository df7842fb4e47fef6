"""Averages of weights: the formula against numpy, and the swap and back; inside and outside of compiled steps."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import babel_dl
from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.core import Module
from babel_dl.training import WeightAverage
from babel_dl.training.optimizers import SGD
from tests.training.averages import Layers, X, assert_averages, assert_same, moved, reference, updated, values_of


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
