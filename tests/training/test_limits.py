"""When a training ends, and what is tried before it begins."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.errors import ArgumentError, NonFiniteError, OutOfMemoryError
from babel_dl.training.callbacks import CheckpointCallback, LogCallback
from tests.training.duel import Duel, rows
from tests.training.examples import At, make_trainer, points, weights_of


def test_steps_end_a_run_in_the_middle_of_an_epoch_and_another_fit_goes_on(backend, lines):
    data, dev = points().to_dataloader(4), points(8, seed=1)
    trainer, straight = make_trainer(callbacks=[LogCallback()]), make_trainer()
    metrics = trainer.fit(data, dev, steps=7)
    assert (trainer.step, trainer.epoch, trainer.progress.position) == (7, 1, 2)
    assert "metrics/ca" in metrics
    assert any("Stopped after epoch 1: 7 steps are done." in line for line in lines)
    assert any("STAT Training 2/2" in line for line in lines)
    trainer.fit(data, dev, steps=13)
    straight.fit(data, dev, epochs=3)
    assert trainer.step == 13
    trainer.fit(data, dev, epochs=3)
    for name, value in weights_of(straight).items():
        np.testing.assert_array_equal(weights_of(trainer)[name], value)


@pytest.mark.parametrize(("limits", "steps"), [({"epochs": 2, "steps": 7}, 7), ({"epochs": 1, "steps": 7}, 5), ({}, 5), ({"steps": 5}, 5)])
def test_the_first_limit_ends_the_run(backend, limits, steps):
    trainer = make_trainer()
    trainer.fit(points().to_dataloader(4), **limits)
    assert trainer.step == steps


def test_time_ends_a_run_that_nothing_else_ends(backend, lines):
    trainer = make_trainer(callbacks=[LogCallback(), At("on_step_end", lambda t: setattr(t.progress, "deadline", 1e-9), step=8)])
    trainer.fit(points().to_dataloader(4), max_time=timedelta(hours=1))
    assert trainer.step == 9  # time is looked at after each step, before callbacks hear of it
    assert any("Stopped after epoch 1: The time is up." in line for line in lines)
    assert any("STAT Epoch 1 (ETA" in line for line in lines)


def test_a_limit_that_is_reached_already_only_evaluates(backend, lines):
    trainer = make_trainer()
    trainer.fit(points().to_dataloader(4), steps=3)
    before = weights_of(trainer)
    trainer.fit(points().to_dataloader(4), steps=3)
    assert all((before[name] == value).all() for name, value in weights_of(trainer).items())
    assert "Nothing to train: 0 epochs (3 steps) are done, and 3 steps were asked for in all." in lines[-1]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"epochs": 0}, "epochs of at least 1, and got 0"),
        ({"epochs": "3"}, "epochs of at least 1, and got '3'"),
        ({"epochs": True}, "epochs of at least 1, and got True"),
        ({"steps": -1}, "steps of at least 1, and got -1"),
        ({"max_time": 0}, "max_time in seconds above 0 or as a timedelta, and got 0"),
        ({"max_time": "1h"}, "max_time in seconds above 0 or as a timedelta, and got '1h'"),
    ],
)
def test_limits_that_are_none_are_refused(limits, message):
    with pytest.raises(ArgumentError, match=message):
        make_trainer().fit(points(), **limits)


def test_a_rehearsal_leaves_no_trace_in_the_numbers(backend, lines):
    rehearsed, plain = Duel(), Duel()
    first = rehearsed.fit(rows().to_dataloader(8), rows(8, seed=1), epochs=2, debug=True)
    assert first == plain.fit(rows().to_dataloader(8), rows(8, seed=1), epochs=2)
    assert rehearsed.step == plain.step == 6
    for name in ("generator", "critic", "random"):
        for path, value in getattr(plain, name).state_dict().items():
            np.testing.assert_array_equal(getattr(rehearsed, name).state_dict()[path], value)
    assert any("Debug: a training step (loss/critic=" in line for line in lines)


def test_a_rehearsal_finds_a_slip_in_the_evaluation_before_the_first_epoch(backend):
    class Slip(Duel):
        def evaluate_step(self, batch: Any) -> dict[str, Any]:
            return {"loss": self.critic(batch[0].x).mean() / 0.0}

    trainer = Slip()
    with pytest.raises(NonFiniteError, match=r"Evaluation after epoch 0, step 0 \(batch 0\): loss became"):
        trainer.fit(rows(), epochs=3, debug=True)
    assert trainer.step == 0


def test_a_rehearsal_before_a_resume_keeps_the_place(backend, tmp_path):
    data = points().to_dataloader(4)
    trainer = make_trainer(callbacks=[CheckpointCallback(tmp_path)])
    trainer.fit(data, epochs=1)
    again = make_trainer(callbacks=[CheckpointCallback(tmp_path)])
    again.fit(data, epochs=2, resume=True, debug=True)
    trainer.fit(data, epochs=2)
    for name, value in weights_of(trainer).items():
        np.testing.assert_array_equal(weights_of(again)[name], value)


class Greedy(Duel):
    """Sorts the products of all pairs of rows. There are (times * batch^3)^2: 1 MB for one sample, 262 GB for eight."""

    times = 500

    def train_step(self, batch: Any) -> dict[str, Any]:
        count = len(batch[0].x)
        many = ops.tile(batch[0].x, (self.times * count**2, 1))
        pairs = ops.matmul(many, ops.permute_dims(many, (1, 0)))
        far = ops.argsort(pairs).astype("float32").mean()
        return {"far": far, **super().train_step(batch)}


@pytest.mark.parametrize(
    ("times", "size", "message"),
    [(500, 8, r"batch of 8 samples \(160 bytes of data\).*batch_size=4.*accumulate=2"), (400_000, 1, "One sample alone is too much")],
)
def test_a_step_that_needs_more_memory_than_there_is_says_what_to_change(backend, times, size, message):
    trainer = Greedy()
    trainer.times = times
    with pytest.raises(OutOfMemoryError, match=rf"(?s)Greedy\.train_step ran out of memory on {backend.name} with .*{message}"):
        trainer.fit(rows(16).to_dataloader(size), epochs=1)
