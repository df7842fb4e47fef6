"""The order of events is that of the pseudocode in `babel_dl.training.loop`."""

import os
import re
import signal
import threading
from typing import Any

import pytest

from babel_dl.core.variable import is_dry_run
from babel_dl.training import loop
from babel_dl.training.callbacks import HOOKS
from tests.training.examples import At, CrossEntropy, Noisy, Recorder, make_trainer, points, weights_of

pytestmark = pytest.mark.usefixtures("hears_ctrl_c")

NUM_BATCHES = 3  # 20 samples in batches of 8
NUM_DEV_BATCHES = 2
one_backend = pytest.mark.parametrize("backend_name", ["torch"])


def derived(
    epochs: int, dev: bool = True, log_every: int = 100, stop_at: int | None = None, epoch: int = 0, position: int = 0, step: int = 0
) -> list[tuple[str, int, int]]:
    """The events by the pseudocode, each with epoch and step, from a place in training on; `stop_at` is the step whose end asks to stop."""
    events = [("on_prepare", 0, 0)] if not step else []

    def tell(name: str) -> None:
        events.append((name, epoch, step))

    stopped = False
    tell("on_fit_start")
    while epoch < epochs and not stopped:
        tell("on_epoch_start")
        tell("on_train_start")
        while position < NUM_BATCHES and not stopped:
            tell("on_step_start")
            step, position = step + 1, position + 1
            tell("on_step_end")
            stopped = step == stop_at
            if position % log_every == 0:
                tell("on_metrics")
        tell("on_train_end")
        if dev:
            for name in ["on_dev_start", *["on_dev_step_end"] * NUM_DEV_BATCHES, "on_dev_end"]:
                tell(name)
        if position < NUM_BATCHES:
            break
        epoch, position = epoch + 1, 0
        tell("on_epoch_end")
    tell("on_fit_end")
    return events


def fit(recorder: Recorder, *others: Any, epochs: int = 1, dev: bool = True, log_every: int = 100, resume: Any = False) -> Any:
    trainer = make_trainer(callbacks=[*others, recorder], log_every=log_every)
    trainer.fit(points().to_dataloader(8), points(10, seed=1).to_dataloader(5) if dev else None, epochs, resume=resume)
    return trainer


def test_the_pseudocode_names_every_event():
    assert set(re.findall(r"\bon_[a-z_]+", loop.__doc__ or "")) == set(HOOKS)


@pytest.mark.parametrize("dev", [True, False])
@pytest.mark.parametrize("log_every", [1, 2, 100])
@one_backend
def test_events_come_in_the_order_of_the_pseudocode(backend, dev, log_every):
    recorder = Recorder()
    fit(recorder, epochs=2, dev=dev, log_every=log_every)
    assert recorder.events == derived(2, dev, log_every)


def test_events_come_in_the_same_order_on_every_backend(backend):
    recorder = Recorder()
    fit(recorder, epochs=2, log_every=2)
    assert recorder.events == derived(2, log_every=2)


@pytest.mark.parametrize("step", [1, 2, 3, 4])
@one_backend
def test_a_callback_that_asks_to_stop_ends_training_after_the_step_in_work(backend, step):
    recorder = Recorder()
    fit(recorder, At("on_step_end", lambda trainer: trainer.stop("enough"), step), epochs=5)
    assert recorder.events == derived(5, stop_at=step)


@one_backend
def test_a_callback_that_asks_to_stop_after_an_epoch_ends_training_there(backend):
    recorder = Recorder()
    trainer = fit(recorder, At("on_epoch_end", lambda trainer: trainer.stop("enough")), epochs=5)
    assert recorder.events == derived(1)
    assert trainer.progress.stop_reason == "enough"


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 6])
@one_backend
def test_a_resumed_run_goes_on_behind_the_last_step(backend, step, tmp_path):
    file = tmp_path / "here.safetensors"
    fit(Recorder(), At("on_step_end", lambda trainer: trainer.save(file), step), epochs=2)
    recorder = Recorder()
    fit(recorder, epochs=2, resume=file)
    epoch, position = divmod(step - 1, NUM_BATCHES)
    assert recorder.events == [("on_prepare", 0, 0), *derived(2, epoch=epoch, position=position + 1, step=step)]


@one_backend
def test_a_second_fit_goes_on_where_the_first_ended(backend):
    recorder = Recorder()
    trainer = fit(recorder, epochs=1)
    recorder.events.clear()
    trainer.fit(points().to_dataloader(8), points(10, seed=1).to_dataloader(5), 2)
    assert recorder.events == [("on_prepare", 1, 3), *derived(2, epoch=1, step=3)]


@one_backend
def test_ctrl_c_finishes_the_step_tells_the_callbacks_and_goes_on(backend):
    recorder = Recorder()
    with pytest.raises(KeyboardInterrupt):
        fit(recorder, At("on_step_start", lambda trainer: os.kill(os.getpid(), signal.SIGINT), step=1), epochs=2)
    wanted = derived(1)
    assert recorder.events == [*wanted[: wanted.index(("on_step_end", 0, 2)) + 1], ("on_fit_interrupted", 0, 2)]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@one_backend
def test_ctrl_c_while_evaluating_ends_it_after_the_batch(backend):
    recorder = Recorder()
    with pytest.raises(KeyboardInterrupt):
        fit(recorder, At("on_dev_step_end", lambda trainer: os.kill(os.getpid(), signal.SIGINT)), epochs=2)
    assert recorder.names[-3:] == ["on_dev_start", "on_dev_step_end", "on_fit_interrupted"]


@one_backend
def test_ctrl_c_at_the_very_end_is_not_lost(backend):
    with pytest.raises(KeyboardInterrupt):
        fit(Recorder(), At("on_fit_end", lambda trainer: os.kill(os.getpid(), signal.SIGINT)))


@one_backend
def test_a_second_ctrl_c_does_not_wait_for_the_step(backend):
    def twice(trainer: Any) -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)

    recorder = Recorder()
    with pytest.raises(KeyboardInterrupt):
        fit(recorder, At("on_step_start", twice, step=1))
    assert recorder.events[-2:] == [("on_step_end", 0, 1), ("on_fit_interrupted", 0, 1)]


@one_backend
def test_an_error_is_told_to_the_callbacks_and_goes_on(backend):
    class Boom(RuntimeError):
        pass

    class Explosive(CrossEntropy):
        def call(self, y_pred: Any, y_true: Any) -> Any:
            if not is_dry_run():  # the model is built without an accident
                raise Boom("the disk fell off")
            return super().call(y_pred, y_true)

    recorder = Recorder()
    with pytest.raises(Boom, match="the disk fell off"):
        make_trainer(callbacks=[recorder], loss=Explosive()).fit(points().to_dataloader(8))
    assert recorder.names[-1] == "on_fit_failed"
    assert isinstance(recorder.arguments[-1][1], Boom)


@one_backend
def test_training_runs_in_another_thread_too(backend):
    recorder = Recorder()
    thread = threading.Thread(target=lambda: fit(recorder))
    thread.start()
    thread.join()
    assert recorder.events == derived(1)


@one_backend
def test_metrics_come_with_the_events_that_have_some(backend):
    recorder = Recorder()
    fit(recorder, log_every=1)
    told = {name: arguments for name, *arguments in recorder.arguments}
    for name in ("on_metrics", "on_train_end", "on_dev_end", "on_epoch_end"):
        assert list(told[name][0]) == ["metrics/ca", "loss/total"]
    assert told["on_epoch_end"] == told["on_dev_end"]


@one_backend
def test_without_dev_data_an_epoch_ends_with_the_means_of_training(backend):
    recorder = Recorder()
    fit(recorder, dev=False)
    told = {name: arguments for name, *arguments in recorder.arguments}
    assert told["on_epoch_end"] == told["on_train_end"]


def test_modules_train_in_training_and_evaluate_in_evaluation(backend):
    modes = []

    def note(trainer: Any) -> None:
        modes.append({module.training for module in trainer.model.modules.values()})

    trainer = make_trainer(Noisy(), callbacks=[At("on_step_end", note, 1), At("on_dev_step_end", note)])
    trainer.fit(points(8).to_dataloader(8), points(4).to_dataloader(4))
    assert modes == [{True}, {False}]
    assert trainer.model.training


def test_evaluation_changes_no_weight_no_running_statistic_and_no_counter(backend):
    trainer = make_trainer(Noisy())
    trainer.fit(points().to_dataloader(8))
    before = weights_of(trainer)
    trainer.evaluate(points(10, seed=1))
    after = weights_of(trainer)
    assert any("running" in name for name in before) and any("counter" in name for name in before)
    assert all((before[name] == after[name]).all() for name in before)


def test_training_gives_the_same_weights_with_and_without_dev_data(backend):
    found = []
    for dev in (points(10, seed=1), None):
        trainer = make_trainer(Noisy())
        trainer.fit(points().to_dataloader(8), dev, epochs=2)
        found.append(weights_of(trainer))
    assert all((found[0][name] == found[1][name]).all() for name in found[0])
