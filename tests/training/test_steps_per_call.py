"""Several steps in one call are the same training: numbers, logs, checkpoints and callbacks are those of one step to a call."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from babel_dl.core import Module
from babel_dl.core.random import set_seed
from babel_dl.data import ArrayDataset
from babel_dl.errors import ArgumentError, BabelError, NonFiniteError
from babel_dl.model.layers import Activation, Conv2D, Flatten, FullyConnected
from babel_dl.training import Trainer
from babel_dl.training.callbacks import Callback, CheckpointCallback, LearningRateUpdateCallback, WeightAveragingCallback
from babel_dl.training.optimizers import SGD, Adam
from babel_dl.training.optimizers.learning_rates import Exponential, LearningRateSchedule, OneCycle
from babel_dl.training.pace import MAX_STEPS, MAX_TIMED, WANTED_SECONDS, Pace
from babel_dl.training.steps import CompiledStep
from tests.training.examples import CrossEntropy, Inputs, Noisy, Outputs, make_trainer, points, weights_of

NUM_STEPS = 13  # of 100 samples in batches of 8: twelve full ones, and one of four


class Metrics(Callback):
    """Writes down what is told of numbers, and of steps where it wants to hear of each."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, dict[str, float]]] = []

    def on_metrics(self, trainer: Any, metrics: dict[str, float]) -> None:
        self.seen.append((trainer.step, metrics))

    def on_train_end(self, trainer: Any, metrics: dict[str, float]) -> None:
        self.seen.append((trainer.step, metrics))


class Counting(Callback):
    """Overwrites `on_step_end`, so it must be told of every step."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def on_step_end(self, trainer: Any) -> None:
        self.steps.append(trainer.step)


class CallLengths(Callback):
    """Hears at which steps calls ended."""

    told_every = 0

    def __init__(self) -> None:
        self.steps: list[int] = []

    def on_step_end(self, trainer: Any) -> None:
        self.steps.append(trainer.step)


def trained(steps_per_call: int | str, epochs: int = 2, **options: Any) -> tuple[Any, dict[str, np.ndarray], Metrics]:
    set_seed(3)
    metrics, others = Metrics(), options.pop("callbacks", [])
    trainer = make_trainer(Noisy(), [*others, metrics], steps_per_call=steps_per_call, **options)
    trainer.fit(points(100).to_dataloader(8), epochs=epochs)
    return trainer, weights_of(trainer), metrics


def expect_equal(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.parametrize("length", [2, 5, 100, "auto"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimizer": lambda: Adam(OneCycle(0.01, 26)), "log_every": 4},
        {"optimizer": lambda: SGD(0.05, momentum=0.9, nesterov=True, clip_norm=0.5), "accumulate": 3},
        {"callbacks": lambda: [LearningRateUpdateCallback(Exponential(0.1, 0.05))], "log_every": 5},
        {"callbacks": lambda: [WeightAveragingCallback(0.9, every=4)]},
    ],
    ids=["plain", "one-cycle", "accumulate", "callback", "averaging"],
)
def test_how_many_steps_a_call_makes_changes_no_bit(backend, length, options):
    def made() -> dict[str, Any]:
        return {name: value() if callable(value) else value for name, value in options.items()}

    trainer, weights, metrics = trained(length, **made())
    _, wanted, told = trained(3, **made())
    expect_equal(weights, wanted)
    assert metrics.seen == told.seen
    assert trainer.step == 2 * NUM_STEPS


@pytest.mark.parametrize("optimizer", [lambda: SGD(0.05, momentum=0.9), lambda: Adam(OneCycle(0.01, 26))], ids=["sgd", "adam"])
def test_one_step_to_a_call_computes_the_same(backend, optimizer):
    _, weights, metrics = trained(5, optimizer=optimizer())
    _, wanted, told = trained(1, optimizer=optimizer())
    for name, value in wanted.items():
        np.testing.assert_allclose(weights[name], value, rtol=2e-5, atol=1e-6, err_msg=name)
    for (step, found), (other_step, other) in zip(metrics.seen, told.seen, strict=True):
        assert step == other_step
        assert found == pytest.approx(other, rel=1e-5)


def test_the_learning_rate_is_that_of_the_last_step(backend):
    schedule = Exponential(0.1, 0.05)
    trainer, _, _ = trained(5, optimizer=SGD(schedule))
    assert trainer.optimizer.learning_rate == schedule(2 * NUM_STEPS - 1)
    assert float(trainer.optimizer.named_variables["learning_rate"].numpy()) == pytest.approx(schedule(2 * NUM_STEPS - 1))


@dataclass(frozen=True)
class Listed(LearningRateSchedule):
    """Knows the rates of some steps, and fails beyond."""

    initial_lr: float
    num_steps: int

    def __call__(self, step: int) -> float:
        if step >= self.num_steps:
            raise IndexError(f"step {step} was asked for")
        return self.initial_lr / (1 + step)


@pytest.mark.parametrize("limit", [{"steps": 7}, {"epochs": 1}, {"epochs": 2}])
def test_a_schedule_is_asked_for_no_step_that_is_not_made(backend, limit):
    num_steps = limit.get("steps") or limit["epochs"] * NUM_STEPS
    trainer = make_trainer(Noisy(), optimizer=SGD(Listed(0.1, num_steps)))
    trainer.fit(points(100).to_dataloader(8), **limit)
    assert trainer.optimizer.learning_rate == 0.1 / num_steps


def test_a_callback_that_overwrites_on_step_end_hears_of_every_step(backend):
    counting = Counting()
    trained("auto", callbacks=[counting])
    assert counting.steps == list(range(1, 2 * NUM_STEPS + 1))


def test_calls_end_where_numbers_are_read_and_where_training_stops(backend):
    lengths = CallLengths()
    set_seed(3)
    trainer = make_trainer(Noisy(), [lengths], steps_per_call=5, log_every=4)
    trainer.fit(points(100).to_dataloader(8), steps=7)
    assert trainer.step == 7
    assert {4, 7} <= set(lengths.steps)
    step = trainer.compiled_train_step
    assert isinstance(step, CompiledStep)
    assert lengths.steps == ([1, 4, 5, 7] if step.can_loop else list(range(1, 8)))


@pytest.mark.parametrize("every", [4, 5])
def test_checkpoints_are_written_at_their_steps_and_lead_to_the_same_weights(backend, tmp_path, every):
    _, wanted, _ = trained(5)
    trained(5, epochs=1, callbacks=[CheckpointCallback(tmp_path, every_steps=every)])
    set_seed(3)
    again = make_trainer(Noisy(), [CheckpointCallback(tmp_path, every_steps=every)], steps_per_call=7)
    again.fit(points(100).to_dataloader(8), epochs=2, resume=True)
    expect_equal(weights_of(again), wanted)


@pytest.mark.parametrize("stop", [1, 6, 12])
def test_a_run_that_was_stopped_within_a_chunk_goes_on_at_the_very_step(backend, tmp_path, stop):
    _, wanted, _ = trained(5)
    set_seed(3)
    first = make_trainer(Noisy(), [CheckpointCallback(tmp_path)], steps_per_call=5)
    first.fit(points(100).to_dataloader(8), steps=stop)
    set_seed(3)
    second = make_trainer(Noisy(), [CheckpointCallback(tmp_path)], steps_per_call=4)
    second.fit(points(100).to_dataloader(8), epochs=2, resume=True)
    expect_equal(weights_of(second), wanted)


class Duel(Trainer):
    """Two models; the second one learns at every third step only."""

    def __init__(self, **options: Any) -> None:
        super().__init__(callbacks=[], optimizers={"often": SGD(0.1), "seldom": Adam(0.01)}, **options)
        self.often, self.seldom, self.loss = Noisy(), Noisy(), CrossEntropy()

    def train_step(self, batch: Any) -> dict[str, Any]:
        inputs, outputs = batch
        found = {"often": self.minimize(lambda: self.loss(self.often(inputs.x), outputs), over="often")}
        if self.every(3):
            found["seldom"] = self.minimize(lambda: self.loss(self.seldom(inputs.x), outputs), over="seldom")
        return found


def test_what_is_done_every_third_step_is_done_at_every_third_step(backend):
    found = []
    for length in (1, 8):
        set_seed(3)
        duel = Duel(steps_per_call=length)
        duel.fit(points(100).to_dataloader(8), epochs=1)
        assert int(duel.optimizers["optimizers/seldom"].named_variables["step"].numpy()) == 5
        found.append(weights_of(duel))
    for name, value in found[0].items():
        np.testing.assert_allclose(found[1][name], value, rtol=2e-5, atol=1e-6, err_msg=name)


class Small(Module):
    """A convolution, which not every backend likes in a loop."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [Conv2D(3, 3), Activation("relu"), Flatten(), FullyConnected(3)]

    def call(self, x: Any) -> Outputs:
        x = x.reshape((-1, 2, 2, 1))
        for layer in self.layers:
            x = layer(x)
        return Outputs(x)


def test_a_model_with_convolutions_trains_all_the_same(backend):
    found = []
    for length in (1, "auto"):
        set_seed(3)
        trainer = make_trainer(Small(), steps_per_call=length)
        trainer.fit(points(100).to_dataloader(8), epochs=2)
        assert trainer.step == 2 * NUM_STEPS
        found.append(weights_of(trainer))
    for name, value in found[0].items():
        np.testing.assert_allclose(found[1][name], value, rtol=2e-5, atol=1e-6, err_msg=name)


class Pooled(Module):
    """The mean over any number of points."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = FullyConnected(3)

    def call(self, x: Any) -> Outputs:
        return Outputs(self.dense(x).mean(axis=1))


@pytest.mark.parametrize("length", ["auto", 4])
def test_samples_that_differ_in_shape_train_one_to_a_batch(backend, length):
    clouds = [np.ones((size, 4), np.float32) for size in (3, 5, 3, 7, 5, 4)]
    trainer = make_trainer(Pooled(), steps_per_call=length)
    trainer.fit(ArrayDataset(Inputs(clouds), Outputs(np.arange(6, dtype=np.int32) % 3)).to_dataloader(1), epochs=1)
    assert trainer.step == 6


@pytest.mark.parametrize(
    "options",
    [{"callbacks": lambda: [Counting()]}, {"log_every": 3}, {"accumulate": 3}, {"callbacks": lambda: [WeightAveragingCallback(every=2)]}],
    ids=["each step", "log_every", "accumulate", "averaging"],
)
def test_calls_that_would_be_short_have_one_step_each(backend, options):
    """A call of several costs more than one of a single step: it pays from about four on."""
    lengths = CallLengths()
    options = {name: value() if callable(value) else value for name, value in options.items()}
    callbacks = [*options.pop("callbacks", []), lengths]
    make_trainer(Noisy(), callbacks, **options).fit(points(100).to_dataloader(8), epochs=2)
    assert lengths.steps == list(range(1, 2 * NUM_STEPS + 1))


def test_a_number_that_is_not_finite_is_named_with_its_very_step(backend):
    data = points(100)
    loader = data.to_dataloader(8, shuffle=False)
    data._inputs.x[8 * 6] = np.nan  # of the seventh batch
    with pytest.raises(NonFiniteError, match=r"step 6 \(batch 6 of the epoch\)"):
        make_trainer(Noisy(), steps_per_call=5).fit(loader, epochs=1)


def test_an_error_in_the_step_comes_through(backend):
    class Broken(Noisy):
        def call(self, x: Any) -> Outputs:
            if x.shape[0] == 8:
                raise BabelError("planned")
            return super().call(x)

    with pytest.raises(BabelError, match="planned"):
        make_trainer(Broken(), steps_per_call=5).fit(points(100).to_dataloader(8))


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "fast"])
def test_a_bad_number_of_steps_is_refused(backend, value):
    with pytest.raises(ArgumentError, match='needs steps_per_call="auto" or a whole number of at least 1'):
        make_trainer(steps_per_call=value)


def test_the_pace_grows_until_a_call_is_long_enough():
    pace, used = Pace("auto"), []
    pace.note(1, 9.0)  # the first call compiles
    while not pace.is_settled:
        used.append(pace.steps)
        pace.note(pace.steps, pace.steps * WANTED_SECONDS / 40)
    assert used == [1, 4, 16, 16]
    assert pace.steps == 40
    slow = Pace("auto")
    for seconds in (9.0, 1.0, 1.1):
        slow.note(1, seconds)
    assert (slow.steps, slow.is_settled) == (1, True)


def test_the_pace_settles_where_all_calls_end_early():
    pace, calls = Pace("auto"), 0
    pace.note(1, 9.0)
    while not pace.is_settled:
        pace.note(min(pace.steps, 3), 1e-6)
        calls += 1
    assert calls == MAX_TIMED - 1


def test_one_call_that_was_held_up_does_not_settle_the_pace():
    pace = Pace("auto")
    for seconds in (9.0, 1e-4, 5.0, 1e-4, 1e-3):
        pace.note(pace.steps, seconds)
    assert (pace.steps, pace.is_settled) == (MAX_STEPS, True)


def test_the_pace_has_an_upper_end():
    pace = Pace("auto")
    for _ in range(10):
        pace.note(pace.steps, 1e-6)
    assert (pace.steps, pace.is_settled) == (MAX_STEPS, True)
