"""Training in float16: scaled losses, steps that are left out, and the scale's rule."""

import copy
from typing import Any

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.core import Variable, collect_logged, compile
from babel_dl.errors import ArgumentError, GradientError, NonFiniteError, ShapeError
from babel_dl.model.layers import BatchNormalization, FullyConnected, Sequential
from babel_dl.training.callbacks import Callback
from babel_dl.training.loss_scaling import DynamicLossScale, scaled_update, state_of
from babel_dl.training.optimizers import SGD, Adam, AdamW, RMSprop
from tests.training.examples import Linear, Noisy, Outputs, make_trainer, points, weights_of

OPTIMIZERS = {
    "sgd": lambda: SGD(0.1, momentum=0.9),
    "sgd_plain": lambda: SGD(0.1, momentum=0.0),
    "sgd_dampened": lambda: SGD(0.1, momentum=0.9, dampening=0.5),
    "adam": lambda: Adam(0.1, weight_decay=0.01),
    "adamw": lambda: AdamW(0.1, clip_norm=1.0),
    "rmsprop": lambda: RMSprop(0.1, momentum=0.5, centered=True),
}
START = np.array([[1.0, -2.0], [0.5, 3.0]], np.float32)


def factors(*values: float) -> Any:
    """A loss sum(w * w) * factor, whose gradient is as finite as the factor."""
    return [np.float32(value) for value in values]


def make_step(weights: list[Variable], optimizer: Any, scale: DynamicLossScale, mode: str) -> Any:
    def step(factor: Any) -> Any:
        return scaled_update(lambda: sum(ops.square(w).sum() for w in weights) * factor, weights, optimizer, scale)

    return compile(step, mode)


def all_values(*parts: Any) -> dict[str, bytes]:
    """The bits of all variables."""
    return {f"{place}{name}": v.numpy().tobytes() for place, part in enumerate(parts) for name, v in part.items()}


def state(scale: DynamicLossScale) -> tuple[float, int, int]:
    return float(scale.scale.numpy()), int(scale.good_steps.numpy()), int(scale.skipped_steps.numpy())


# ---------------------------------------------------------------- the rule


@pytest.mark.parametrize("mode", ["off", "auto"])
def test_the_scale_doubles_after_good_steps_and_halves_after_a_bad_one(backend: Backend, mode: str) -> None:
    scale = DynamicLossScale(8.0, growth_interval=3)
    step = make_step([Variable(START)], SGD(0.0), scale, mode)
    seen = []
    for factor in factors(1, 1, 1, 1, np.inf, 1, 1, np.nan, 1, 1, 1):
        step(factor)
        seen.append(state(scale))
    assert seen == [
        (8.0, 1, 0), (8.0, 2, 0), (16.0, 0, 0), (16.0, 1, 0), (8.0, 0, 1), (8.0, 1, 1), (8.0, 2, 1), (4.0, 0, 2), (4.0, 1, 2), (4.0, 2, 2),
        (8.0, 0, 2),
    ]  # fmt: skip


def test_the_scale_stays_between_1_and_its_largest(backend: Backend) -> None:
    scale = DynamicLossScale(2.0, growth_interval=1)
    step = make_step([Variable(START)], SGD(0.0), scale, "off")
    for _ in range(3):
        step(np.float32(np.inf))
    assert state(scale) == (1.0, 0, 3)
    scale = DynamicLossScale(2.0**23, growth_interval=1)
    step = make_step([Variable(START)], SGD(0.0), scale, "off")
    for _ in range(3):
        step(np.float32(1.0))
    assert state(scale) == (2.0**24, 0, 0)


def test_a_new_scale_is_that_of_the_papers(backend: Backend) -> None:
    scale = DynamicLossScale()
    assert (state(scale), scale.growth_interval) == ((2.0**15, 0, 0), 2000)
    assert {path: v.dtype for path, v in scale.named_variables.items()} == {
        "/scale": "float32", "/good_steps": "int32", "/skipped_steps": "int32"
    }  # fmt: skip
    assert scale.trainable_variables == []


@pytest.mark.parametrize("value", [0.5, 3, 2.0**25, True, "big", float("nan")])
def test_a_scale_that_is_no_power_of_two_is_refused(backend: Backend, value: Any) -> None:
    with pytest.raises(ArgumentError, match=r"DynamicLossScale needs an initial_scale of 1, 2, 4 ... or 2\*\*24, and got"):
        DynamicLossScale(value)


@pytest.mark.parametrize("value", [0, 1.5, True])
def test_a_growth_interval_below_1_is_refused(backend: Backend, value: Any) -> None:
    with pytest.raises(ArgumentError, match="DynamicLossScale needs a growth_interval of at least 1, and got"):
        DynamicLossScale(growth_interval=value)


# ---------------------------------------------------------------- steps


@pytest.mark.parametrize("mode", ["off", "auto"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_good_steps_are_those_without_a_scale_to_the_bit(backend: Backend, name: str, mode: str) -> None:
    def train(is_scaled: bool) -> dict[str, bytes]:
        weights, optimizer = [Variable(START, path="/a"), Variable(START[0], path="/b")], OPTIMIZERS[name]()
        step = make_step(weights, optimizer, DynamicLossScale(1024.0 if is_scaled else 1.0), mode)
        losses = {f"loss{i}": Variable(step(factor)) for i, factor in enumerate(factors(1.0, 0.25, -0.5))}
        return all_values({v.path: v for v in weights}, optimizer.named_variables, losses)

    assert train(True) == train(False)


@pytest.mark.parametrize("mode", ["off", "auto"])
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_bad_step_leaves_variables_state_and_count_as_they_were(backend: Backend, name: str, bad: float, mode: str) -> None:
    weights, optimizer, scale = [Variable(START, path="/a"), Variable(START[0], path="/b")], OPTIMIZERS[name](), DynamicLossScale()
    step = make_step(weights, optimizer, scale, mode)
    step(np.float32(bad))  # at the very first step, too
    assert all(np.array_equal(v.numpy(), start) for v, start in zip(weights, (START, START[0]), strict=True))
    for factor in factors(1.0, 0.5):
        step(factor)
    before = all_values({v.path: v for v in weights}, optimizer.named_variables)
    value = step(np.float32(bad))
    assert not np.isfinite(value.numpy())
    assert all_values({v.path: v for v in weights}, optimizer.named_variables) == before
    assert state(scale) == (2.0**13, 0, 2)
    step(np.float32(0.5))
    assert all_values({v.path: v for v in weights}, optimizer.named_variables) != before


def test_one_gradient_that_is_not_finite_is_enough(backend: Backend) -> None:
    good, bad = Variable(START, path="/good"), Variable(START, path="/bad")
    scaled_update(lambda: good.sum() + (bad * np.float32(np.inf)).sum(), [good, bad], SGD(0.1), DynamicLossScale())
    assert np.array_equal(good.numpy(), START) and np.array_equal(bad.numpy(), START)


def test_gradients_come_back_without_the_scale_and_the_loss_as_it_was(backend: Backend) -> None:
    w, scale = Variable(START), DynamicLossScale(4096.0)
    (value, aux), (gradient,) = scale.value_and_grad(lambda: (ops.square(w).sum(), {"twice": w * 2.0}), w, has_aux=True)
    assert float(value) == np.square(START).sum()
    assert np.array_equal(aux["twice"].numpy(), 2 * START) and np.array_equal(gradient.numpy(), 2 * START)
    value, (gradient,) = scale.value_and_grad(lambda x: ops.square(x).sum(), ops.asarray(START))
    assert float(value) == np.square(START).sum() and np.array_equal(gradient.numpy(), 2 * START)


def test_small_gradients_survive_float16_by_their_scale(backend: Backend) -> None:
    model = FullyConnected(1, use_bias=False)
    model.precision = "float16"
    x = np.ones((4, 2), np.float32)
    model(x)

    def gradient(initial_scale: float) -> np.ndarray:
        return DynamicLossScale(initial_scale).value_and_grad(lambda: (model(x) * 1e-9).sum(), model)[1][0].numpy()

    np.testing.assert_array_equal(gradient(1.0), 0.0)  # below the smallest float16, 6e-8
    np.testing.assert_allclose(gradient(2.0**15), 4e-9, rtol=2e-3)


@pytest.mark.parametrize("mode", ["off", "auto"])
def test_a_scale_that_float16_cannot_hold_is_left_by_itself(backend: Backend, mode: str) -> None:
    model = FullyConnected(1, use_bias=False)
    model.precision = "float16"
    x = np.full((4, 2), 10.0, np.float32)
    model(x)
    optimizer, scale = SGD(1e-3, momentum=0.0), DynamicLossScale(2.0**16)
    start = model.weight.numpy()
    step = compile(lambda: scaled_update(lambda: model(x).sum(), model, optimizer, scale), mode)
    for _ in range(8):
        step()
    assert state(scale)[::2] == (2.0**10, 6)  # 40 * 2**10 < 65504 <= 40 * 2**11
    np.testing.assert_allclose(model.weight.numpy(), start - 2 * 1e-3 * 40.0, rtol=1e-5)


def test_an_accumulated_sum_is_left_out_as_a_whole(backend: Backend) -> None:
    w, optimizer, scale = Variable(START), Adam(0.1), DynamicLossScale()
    total = ops.zeros((2, 2))
    for factor in factors(1.0, np.inf, 1.0):
        _, (gradient,) = scale.value_and_grad(lambda factor=factor: (w * factor).sum(), w)
        total = total + gradient
    scale.apply(optimizer, [total], [w])
    assert np.array_equal(w.numpy(), START) and state(scale) == (2.0**14, 0, 1)


def test_one_scale_serves_several_optimizers(backend: Backend) -> None:
    first, second, scale = Variable(START, path="/w"), Variable(START, path="/w"), DynamicLossScale(64.0)
    optimizers = Adam(0.1), SGD(0.1)
    scaled_update(lambda: first.sum(), first, optimizers[0], scale)
    scaled_update(lambda: (second * np.float32(np.nan)).sum(), second, optimizers[1], scale)
    assert not np.array_equal(first.numpy(), START) and np.array_equal(second.numpy(), START)
    assert state(scale) == (32.0, 0, 1)


def test_two_variables_of_one_path_both_have_their_state_put_back(backend: Backend) -> None:
    first, second, optimizer, scale = Variable(START, path="/w"), Variable(2 * START, path="/w"), Adam(0.1), DynamicLossScale()
    step = make_step([first, second], optimizer, scale, "off")
    step(np.float32(1.0))
    before = all_values(optimizer.named_variables, {"first": first, "second": second})
    step(np.float32(np.inf))
    assert all_values(optimizer.named_variables, {"first": first, "second": second}) == before
    assert len(state_of(optimizer, [first, second])) == 2 * 2 + 1


def test_running_statistics_move_and_are_no_business_of_the_scale(backend: Backend) -> None:
    model = Sequential(FullyConnected(3), BatchNormalization())
    model.precision = "float16"
    model(np.ones((4, 2), np.float32))
    optimizer, scale = SGD(0.1), DynamicLossScale()
    before = int(model.layers[1].num_batches_tracked.numpy())
    x = np.random.default_rng(0).normal(size=(8, 2)).astype(np.float32)
    scaled_update(lambda: ops.square(model(x)).mean(), model, optimizer, scale)
    assert int(model.layers[1].num_batches_tracked.numpy()) == before + 1
    assert len(state_of(optimizer, model.trainable_variables)) == 4  # momenta of weight, bias, scale and offset


# ---------------------------------------------------------------- reports, and bad input


def test_scale_and_skipped_steps_are_logged_and_a_hopeless_one_as_nan(backend: Backend) -> None:
    scale = DynamicLossScale(2.0)
    step = make_step([Variable(START)], SGD(0.0), scale, "auto")
    logs = []
    for factor in factors(1.0, np.inf, np.inf):
        with collect_logged() as logged:
            step(factor)
        logs.append({name: float(value) for name, value in logged.items()})
    assert logs[:2] == [{"precision/loss_scale": 2.0, "precision/skipped": 0.0}, {"precision/loss_scale": 2.0, "precision/skipped": 1.0}]
    assert np.isnan(logs[2]["precision/loss_scale"]) and state(scale)[0] == 1.0


def test_a_loss_that_is_no_scalar_or_depends_on_nothing_is_refused_as_always(backend: Backend) -> None:
    w, other = Variable(START, path="/w"), Variable(START, path="/other")
    with pytest.raises(ShapeError, match="value_and_grad needs a function that returns a scalar"):
        scaled_update(lambda: w * 2.0, w, SGD(0.1), DynamicLossScale())
    with pytest.raises(ShapeError, match="value_and_grad needs a function that returns a scalar, and it returned NoneType"):
        scaled_update(lambda: None, w, SGD(0.1), DynamicLossScale())
    with pytest.raises(GradientError, match="does not depend on /other"):
        scaled_update(lambda: w.sum(), [w, other], SGD(0.1), DynamicLossScale())


def test_a_scale_can_be_saved_and_goes_on_where_it_stood(backend: Backend) -> None:
    scale = DynamicLossScale(64.0, growth_interval=3)
    step = make_step([Variable(START)], SGD(0.0), scale, "auto")
    for factor in factors(1, np.inf, 1, 1):
        step(factor)
    other = DynamicLossScale(growth_interval=3).load_state_dict(copy.deepcopy(scale.state_dict()))
    assert state(other) == state(scale) == (32.0, 2, 1)
    make_step([Variable(START)], SGD(0.0), other, "auto")(np.float32(1.0))
    assert state(other) == (64.0, 0, 1)


# ---------------------------------------------------------------- in a trainer


TYPES: list[str] = []
"""The types in which the layers of `Watching` gave their answers, when a step was traced last. A trainer allows no note on a module."""


class Watching(Noisy):
    """Tells the types of its layers' answers."""

    def call(self, x: Any) -> Outputs:
        TYPES.clear()
        for layer in self.layers:
            x = layer(x)
            TYPES.append(x.dtype)
        return Outputs(x)


def bits(trainer: Any) -> dict[str, bytes]:
    return {name: value.tobytes() for name, value in weights_of(trainer).items()}


def test_a_trainer_makes_a_scale_for_float16_alone(backend: Backend) -> None:
    for precision, types in (("float32", {"float32"}), ("bf16", {"bfloat16"}), (16, {"float16"})):
        trainer = make_trainer(Watching(), precision=precision)
        trainer.fit(points(16), epochs=1)
        assert set(TYPES) == types
        assert (trainer.loss_scale is not None) == (precision == 16) == ("loss_scale/scale" in weights_of(trainer))


def test_a_model_that_is_told_otherwise_between_two_fits_is_compiled_anew(backend: Backend) -> None:
    trainer = make_trainer(Watching())
    trainer.fit(points(16), epochs=1)
    assert set(TYPES) == {"float32"}
    trainer.model.set_precision("float16", "/layers/4")
    trainer.fit(points(16), epochs=2)
    assert TYPES == ["float32"] * 5 and trainer.loss_scale is not None  # it gives float32 to the model around it
    trainer.model.precision = "bf16"
    trainer.fit(points(16), epochs=3)
    assert TYPES == ["bfloat16"] * 4 + ["float32"]


def test_a_scale_goes_into_checkpoints_and_a_resumed_run_is_the_same_to_the_bit(backend: Backend, tmp_path: Any) -> None:
    def make() -> Any:
        trainer = make_trainer(Noisy(), optimizer=Adam(0.01), precision="float16", log_every=1)
        trainer.loss_scale = DynamicLossScale(2.0**24, growth_interval=3)  # large, so that steps are left out at first
        return trainer

    data = points(32).to_dataloader(batch_size=4)
    straight, first, second = make(), make(), make()
    straight.fit(data, epochs=3)
    first.fit(data, epochs=2)
    first.save(tmp_path / "checkpoint")
    second.fit(data, epochs=3, resume=tmp_path / "checkpoint")
    assert bits(second) == bits(straight) != bits(first)
    assert 0 < int(straight.loss_scale.skipped_steps.numpy()) < 24 == straight.step
    taken = int(straight.optimizer.named_variables["step"].numpy())
    assert taken + int(straight.loss_scale.skipped_steps.numpy()) == 24


def test_the_share_of_skipped_steps_is_among_the_metrics(backend: Backend) -> None:
    seen: list[dict[str, float]] = []

    class Reading(Callback):
        def on_train_end(self, trainer: Any, metrics: dict[str, float]) -> None:
            seen.append(metrics)

    trainer = make_trainer(callbacks=[Reading()], precision="float16")
    trainer.loss_scale = DynamicLossScale(2.0**24)
    trainer.fit(points(32).to_dataloader(batch_size=4), epochs=1)
    skipped = int(trainer.loss_scale.skipped_steps.numpy())
    assert skipped > 0 and seen[0]["precision/skipped"] == skipped / 8
    assert seen[0]["precision/loss_scale"] > float(trainer.loss_scale.scale.numpy())


def test_gradients_that_no_scale_can_help_stop_the_trainer(backend: Backend) -> None:
    class Bottomless(Linear):
        def call(self, x: Any) -> Outputs:
            return Outputs(self.dense(x) + ops.sqrt(ops.abs(self.dense(x)) * 0.0))  # the root's gradient at 0 is infinite

    trainer = make_trainer(Bottomless(), precision="float16", log_every=1)
    trainer.loss_scale = DynamicLossScale(4.0)
    with pytest.raises(NonFiniteError, match=r"step 2 .*precision/loss_scale became nan.\n  Gradients are not finite even without a scale"):
        trainer.fit(points(32).to_dataloader(batch_size=4), epochs=1)
    start = make_trainer(Linear())
    start.prepare(next(iter(points(32).to_dataloader(batch_size=4).batches(0, 0))))
    assert np.array_equal(trainer.model.dense.weight.numpy(), start.model.dense.weight.numpy())


def test_accumulated_gradients_go_through_the_scale(backend: Backend) -> None:
    trainer = make_trainer(Noisy(), precision="float16", accumulate=4)
    trainer.fit(points(32).to_dataloader(batch_size=4), epochs=2)
    assert (trainer.step, int(trainer.loss_scale.good_steps.numpy())) == (16, 4)


def test_a_checkpoint_of_a_narrow_run_goes_on_in_float32_and_back(backend: Backend, tmp_path: Any) -> None:
    data = points(32).to_dataloader(batch_size=4)
    narrow, wide, again = (make_trainer(Noisy(), precision=name) for name in ("bfloat16", "float32", "bfloat16"))
    narrow.fit(data, epochs=1)
    narrow.save(tmp_path / "checkpoint")
    wide.fit(data, epochs=2, resume=tmp_path / "checkpoint")
    wide.save(tmp_path / "checkpoint")
    again.fit(data, epochs=3, resume=tmp_path / "checkpoint")
    assert (again.step, bits(again).keys()) == (24, bits(narrow).keys())
