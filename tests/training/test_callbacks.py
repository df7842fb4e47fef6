"""How callbacks are told: what they may be, what happens when one fails, what they cost when they do nothing."""

import re
from typing import Any

import pytest

from babel_dl.errors import ArgumentError, CallbackError
from babel_dl.training.callbacks import (
    HOOKS,
    Callback,
    CheckpointCallback,
    EarlyStopping,
    HistoryCallback,
    LearningRateUpdateCallback,
    LogCallback,
    ProgressBar,
    default_callbacks,
)
from babel_dl.training.optimizers import SGD
from babel_dl.training.optimizers.learning_rates import Const
from tests.training.examples import At, Recorder, make_trainer, points

one_backend = pytest.mark.parametrize("backend_name", ["torch"])


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("on_fit_interruted", "on_fit_interrupted"), ("on_epoch_ends", "on_epoch_end"), ("on_train_begin", "on_train_end")],
)
def test_a_misspelt_event_is_refused_and_the_nearest_offered(wrong, right):
    text = f"Mine.{wrong} would never be called: there is no such event. Did you mean '{right}'?"
    with pytest.raises(CallbackError, match=re.escape(text)):
        type("Mine", (Callback,), {wrong: lambda self, trainer: None})


def test_methods_that_are_no_events_are_welcome():
    type("Mine", (Callback,), {"only": lambda self: None, "_on_something": lambda self: None})


def test_an_unknown_policy_for_failures_is_refused():
    with pytest.raises(CallbackError, match=re.escape('Mine.on_failure is "stop" or "report", and not \'ignore\'.')):
        type("Mine", (Callback,), {"on_failure": "ignore"})


@pytest.mark.parametrize(
    ("callbacks", "text"),
    [
        ([LogCallback], "A trainer takes callbacks, and got <class .*LogCallback'>. Make one: LogCallback()."),
        (["log"], "A trainer takes callbacks, and got 'log'. Derive it from Callback."),
        (LogCallback(), "A trainer takes a list of callbacks, and got <.*LogCallback.*>. Write: callbacks=[...]."),
        (7, "A trainer takes a list of callbacks, and got 7. Write: callbacks=[...]."),
    ],
)
def test_what_is_no_callback_is_refused(callbacks, text):
    with pytest.raises(CallbackError, match=text.replace("(", r"\(").replace(")", r"\)").replace("[...]", re.escape("[...]"))):
        make_trainer(callbacks=callbacks)


def failing(policy: str, error: type[BaseException] = ValueError) -> Callback:
    class Failing(Callback):
        on_failure = policy
        calls = 0

        def on_step_end(self, trainer: Any) -> None:
            self.calls += 1
            raise error("no")

    return Failing()


@one_backend
def test_a_callback_whose_failure_stops_the_run_is_named_with_event_and_step(backend):
    text = 'Failing.on_step_end failed at step 1: ValueError: no\n  Its failure stops the run. Set on_failure = "report" in the class'
    with pytest.raises(CallbackError, match=re.escape(text)) as caught:
        make_trainer(callbacks=[failing("stop")]).fit(points())
    assert isinstance(caught.value.__cause__, ValueError)


@one_backend
@pytest.mark.parametrize("error", [ValueError, ArgumentError])
def test_a_callback_whose_failure_is_reported_is_reported_once_and_training_goes_on(backend, lines, error):
    callback, recorder = failing("report", error), Recorder()
    trainer = make_trainer(callbacks=[callback, recorder])
    trainer.fit(points().to_dataloader(8))
    reports = [line for line in lines if "WARN" in line]
    assert (trainer.step, callback.calls, recorder.names.count("on_step_end"), len(reports)) == (3, 3, 3, 1)
    assert re.search(r"Failing.on_step_end failed; training goes on, .* not reported: .*\bno$", reports[0])


@one_backend
def test_errors_of_babel_dl_pass_unchanged(backend):
    with pytest.raises(ArgumentError, match="^no$"):
        make_trainer(callbacks=[failing("stop", ArgumentError)]).fit(points())


@one_backend
def test_an_event_that_nobody_overwrote_is_not_told(backend):
    class Quiet(Callback):
        def on_fit_end(self, trainer: Any) -> None:
            """The only one."""

    trainer = make_trainer(callbacks=[Quiet()])
    assert [hook for hook in HOOKS if trainer.callbacks.hears(hook)] == ["on_fit_end"]


@one_backend
def test_callbacks_are_told_in_their_order(backend):
    told: list[str] = []
    first, second = (At("on_step_end", lambda trainer, name=name: told.append(name)) for name in ("first", "second"))
    make_trainer(callbacks=[first, second]).fit(points(8).to_dataloader(8))
    assert told == ["first", "second"]


def test_each_trainer_gets_default_callbacks_of_its_own():
    first, second = make_trainer(callbacks=None), make_trainer(callbacks=None)
    kinds = [type(callback) for callback in first.callbacks.callbacks]
    assert kinds == [ProgressBar, LogCallback, CheckpointCallback, HistoryCallback]
    assert not {id(callback) for callback in first.callbacks.callbacks} & {id(callback) for callback in second.callbacks.callbacks}
    assert default_callbacks()[2].monitor is not default_callbacks()[2].monitor


@one_backend
def test_the_best_value_of_one_trainer_does_not_leak_into_the_next(backend, run_folder):
    first, second = make_trainer(callbacks=None), make_trainer(callbacks=None)
    first.fit(points().to_dataloader(8))
    assert second.callbacks.callbacks[2].monitor.best == float("inf")


@one_backend
def test_a_callback_that_a_checkpoint_does_not_know_starts_fresh(backend, tmp_path, lines):
    first = make_trainer(callbacks=[EarlyStopping()])
    first.fit(points().to_dataloader(8))
    first.save(tmp_path / "here")
    second = make_trainer(callbacks=[LogCallback(), EarlyStopping()])
    second.prepare(next(iter(points().to_dataloader(8))))
    second.load(tmp_path / "here")
    assert second.callbacks.callbacks[1].monitor.best == float("inf")
    assert "INFO The checkpoint knows no callback 1/EarlyStopping; it starts fresh." in lines[-1]


@one_backend
def test_early_stopping_keeps_its_count_over_a_resume(backend, tmp_path):
    first = make_trainer(callbacks=[EarlyStopping(patience=5, min_delta=100.0)])
    first.fit(points().to_dataloader(8), epochs=3)
    first.save(tmp_path / "here")
    second = make_trainer(callbacks=[EarlyStopping(patience=5, min_delta=100.0)])
    second.fit(points().to_dataloader(8), epochs=20, resume=tmp_path / "here")
    assert second.epoch == 6


@one_backend
@pytest.mark.parametrize("make", [EarlyStopping, CheckpointCallback])
def test_watching_a_metric_that_is_not_there_is_refused(backend, make, run_folder):
    with pytest.raises(CallbackError, match=re.escape("There is no metric 'metrics/acc' to watch. Did you mean 'metrics/ca'?")):
        make_trainer(callbacks=[make(monitor="metrics/acc")]).fit(points())


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: EarlyStopping(patience=0), "EarlyStopping needs a patience of at least 1 epoch, and got 0."),
        (lambda: EarlyStopping(min_delta=-1.0), "min_delta is at least 0, and -1.0 came."),
        (lambda: EarlyStopping(mode="lowest"), 'A metric is watched with mode "min" or "max", and got \'lowest\'.'),
        (lambda: CheckpointCallback(mode="maximum"), 'A metric is watched with mode "min" or "max", and got \'maximum\'.'),
        (lambda: CheckpointCallback(every_steps=0), "CheckpointCallback needs every_steps of at least 1, and got 0."),
    ],
)
def test_a_setting_out_of_its_range_is_refused(make, text):
    with pytest.raises(ArgumentError, match=re.escape(text)):
        make()


@one_backend
def test_a_schedule_for_an_optimizer_that_is_not_there_is_refused(backend):
    text = "does not know which optimizer to move: 'adam' was named, and the trainer has optimizer.\n  Name one:"
    with pytest.raises(CallbackError, match=re.escape(text)):
        make_trainer(callbacks=[LearningRateUpdateCallback(Const(0.1), optimizer="adam")]).fit(points())


@one_backend
def test_a_schedule_for_two_optimizers_must_say_which(backend):
    trainer = make_trainer(callbacks=[LearningRateUpdateCallback(Const(0.1))])
    trainer.other = SGD(0.1)
    with pytest.raises(CallbackError, match="None was named, and the trainer has optimizer, other"):
        trainer.fit(points())
