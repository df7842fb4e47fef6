"""What one sees of a training: the lines of the log in the format of the tutorials, and a bar where there is a terminal."""

import os
import pty
import re
import subprocess
import sys
import time
from typing import Any

import pytest

from babel_dl.training.callbacks import LearningRateUpdateCallback, LogCallback
from babel_dl.training.optimizers.learning_rates import Exponential
from tests.training.examples import ROOT, At, Noisy, make_trainer, points

one_backend = pytest.mark.parametrize("backend_name", ["torch"])

TIME = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\]"
METRICS = r"( - [a-z_/]+=-?\d+\.\d{3})+"
TRAINING = re.compile(rf"{TIME} STAT Training \d+/\d+{METRICS} - LR \d\.\d{{6}}")
EPOCH = re.compile(rf"{TIME} STAT Epoch \d+/\d+ \(ETA \d+:\d\d:\d\d\){METRICS}")


def test_the_lines_of_the_tutorial_have_the_format_that_is_tested_here():
    """The lines are from the tutorial, in shared/seeds/003."""
    assert TRAINING.fullmatch("[2020-09-19 18:12:30] STAT Training 1/10 - metrics/ca=0.697 - loss/total=1.499 - LR 0.000905")
    assert EPOCH.fullmatch("[2020-09-19 18:13:16] STAT Epoch 1/10 (ETA 0:50:31) - metrics/ca=0.717 - loss/total=1.464")


def test_each_epoch_logs_a_line_of_training_and_one_of_the_epoch(backend, lines):
    schedule = Exponential(0.05, k=0.1)
    trainer = make_trainer(callbacks=[LogCallback(), LearningRateUpdateCallback(schedule)])
    metrics = trainer.fit(points().to_dataloader(8), points(10, seed=1), epochs=2)
    status = [line for line in lines if " STAT " in line]
    assert [bool(TRAINING.fullmatch(line)) for line in status] == [True, False, True, False]
    assert [bool(EPOCH.fullmatch(line)) for line in status] == [False, True, False, True]
    assert status[2].endswith(f" - LR {schedule(5):.6f}")
    assert status[3].split("STAT ")[1] == (
        f"Epoch 2/2 (ETA 0:00:00) - metrics/ca={metrics['metrics/ca']:.3f} - loss/total={metrics['loss/total']:.3f}"
    )


@one_backend
def test_variables_are_listed_with_paths_and_shapes_trainable_ones_first(backend, lines):
    make_trainer(Noisy(), callbacks=[LogCallback()]).fit(points())
    text = [re.sub(rf"{TIME} INFO ", "", line) for line in lines]
    start = text.index("Trainable Variables:")
    assert text[:start] == ["Build Model", "Started fit."]
    assert text[start + 1 : start + 4] == ["  /layers/0/weight: (4, 5)", "  /layers/0/bias: (5,)", "  /layers/1/weight: (5,)"]
    untrainable = text[text.index("Untrainable Variables:") + 1 :]
    assert "  /layers/1/running_mean: (5,)" in untrainable


@one_backend
def test_the_time_to_go_is_that_of_the_epochs_left(backend, lines):
    wait = At("on_train_start", lambda trainer: time.sleep(0.6))
    make_trainer(callbacks=[LogCallback(), wait]).fit(points(), epochs=3)
    eta = [int(re.search(r"ETA 0:00:(\d\d)", line)[1]) for line in lines if "ETA" in line]
    assert 1 <= eta[0] <= 8 and 1 <= eta[1] <= 4 and eta[2] == 0
    assert eta[0] >= eta[1]


@one_backend
def test_the_time_to_go_after_a_resume_counts_the_epochs_of_this_run_only(backend, lines, tmp_path):
    trainer = make_trainer()
    trainer.fit(points(), epochs=1)
    trainer.save(tmp_path / "here")
    slow = At("on_train_start", lambda trainer: time.sleep(1.0))
    make_trainer(callbacks=[LogCallback(), slow]).fit(points(), epochs=3, resume=tmp_path / "here")
    eta = [int(re.search(r"ETA 0:00:(\d\d)", line)[1]) for line in lines if "ETA" in line]
    assert len(eta) == 2 and 1 <= eta[0] <= 5 and eta[1] == 0  # half of it, if the epoch before counted as one of no time


@one_backend
def test_a_resumed_run_says_where_it_goes_on(backend, lines, tmp_path):
    make_trainer(callbacks=[At("on_step_end", lambda trainer: trainer.save(tmp_path / "here"), 4)]).fit(points().to_dataloader(8), epochs=2)
    make_trainer(callbacks=[LogCallback()]).fit(points().to_dataloader(8), epochs=2, resume=tmp_path / "here")
    assert any(line.endswith("INFO Going on at step 4: epoch 2, batch 2.") for line in lines)


@one_backend
def test_the_log_says_why_training_stopped(backend, lines):
    make_trainer(callbacks=[LogCallback(), At("on_epoch_end", lambda trainer: trainer.stop("It is late."))]).fit(points(), epochs=9)
    assert lines[-1].endswith("INFO Stopped after epoch 1: It is late.")


@one_backend
def test_the_log_has_the_error_that_ended_a_run(backend, lines):
    def fail(trainer: Any) -> None:
        raise ValueError("no")

    with pytest.raises(RuntimeError, match="At.on_step_end failed at step 1"):
        make_trainer(callbacks=[LogCallback(), At("on_step_end", fail)]).fit(points())
    assert any(" ERROR CallbackError: At.on_step_end failed at step 1: ValueError: no" in line for line in lines)


# ---------------------------------------------------------------- the bar

SCRIPT = """
import time
from babel_dl.training.callbacks import LogCallback, ProgressBar
from tests.training.examples import At, make_trainer, points
slow = At("on_step_end", lambda trainer: time.sleep(0.1))
make_trainer(callbacks=[ProgressBar(), LogCallback(), slow], log_every=2).fit(points(32).to_dataloader(8), points(10, seed=1), epochs=2)
"""
ENVIRONMENT = {
    **os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backends'}", "BABEL_DL_BACKEND": "torch", "TERM": "xterm", "COLUMNS": "120",
}  # fmt: skip


def in_a_terminal(script: str) -> str:
    """All that a script writes to a terminal of its own."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", script], stdin=theirs, stdout=theirs, stderr=theirs, env=ENVIRONMENT)
    os.close(theirs)
    written = b""
    with open(ours, "rb", buffering=0) as terminal:
        try:
            while chunk := terminal.read(65536):
                written += chunk
        except OSError:  # the other side was closed: Linux says it so
            pass
    assert process.wait() == 0, written.decode()
    return written.decode()


def test_a_terminal_shows_a_bar_with_the_means_so_far_and_takes_it_away():
    written = in_a_terminal(SCRIPT)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)
    assert re.search(r"Epoch 1/2 [^\r]*[34]/4 [^\r]*metrics/ca=\d\.\d{3} - loss/total=\d\.\d{3}", plain)
    assert re.search(r"Epoch 2/2 [^\r]*4/4 ", plain)
    assert len(TRAINING.findall(plain)) == len(EPOCH.findall(plain)) == 2
    assert "\x1b[?25h" in written[written.rindex("\x1b[?25l") :]  # the cursor, which the bar hides, is back


def test_what_is_no_terminal_gets_lines_only():
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=ENVIRONMENT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout and "\r" not in done.stdout
    assert all(re.match(TIME, line) for line in done.stdout.splitlines())


FAILING = """
from babel_dl.core import logging
from babel_dl.training.callbacks import ProgressBar
from tests.training.examples import At, make_trainer, points
def fail(trainer):
    raise ValueError("no")
try:
    make_trainer(callbacks=[ProgressBar(), At("on_step_end", fail)]).fit(points())
except RuntimeError:
    logging.info("It failed.")
"""


def test_the_bar_is_taken_away_when_training_fails():
    written = in_a_terminal(FAILING)
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")
    assert re.search(rf"{TIME} INFO It failed.\r\n$", written)
