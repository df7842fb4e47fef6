"""Ctrl-C and kill -9 in the middle of a real training, by the project template on the embedded pictures."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from babel_dl.training.checkpoint import read_checkpoint
from tests.training.examples import ROOT

pytestmark = pytest.mark.usefixtures("hears_ctrl_c")

MAIN = ROOT / "examples" / "fashion_mnist" / "main.py"


@contextmanager
def template(folder: Path, *arguments: str) -> Iterator[subprocess.Popen]:
    """The template in a process of its own, that ends with the block."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backends'}", "MPLBACKEND": "agg", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, str(MAIN), "--data", "mini", "--epochs", "50", "--logs", str(folder), *arguments]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen, pattern: str) -> list[str]:
    """The lines that the process prints, up to the first that fits."""
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if re.search(pattern, line):
            return lines
    raise AssertionError(f"No line fits {pattern!r}:\n" + "\n".join([*lines, process.stderr.read()]))


def interrupted(process: subprocess.Popen) -> list[str]:
    """What the process still prints when Ctrl-C is pressed; nothing of it is a traceback."""
    process.send_signal(signal.SIGINT)
    printed, complaints = process.communicate()
    assert process.returncode == 130, complaints
    assert "Traceback" not in complaints
    return printed.splitlines()


def only_run(folder: Path) -> Path:
    (run,) = folder.iterdir()
    return run


def test_ctrl_c_saves_and_ends_with_130_and_resume_goes_on_from_there(backend_name, tmp_path):
    with template(tmp_path / "first", "--backend", backend_name) as process:
        read_until(process, "Untrainable Variables:")
        time.sleep(1.5)
        told = "\n".join(interrupted(process))
    step, epoch = map(int, re.search(r"WARN Interrupted at step (\d+), in epoch (\d+)\.", told).groups())
    assert told.splitlines()[-1].endswith("INFO Saved Checkpoint: checkpoints/latest.safetensors")
    latest = only_run(tmp_path / "first") / "checkpoints" / "latest.safetensors"
    progress = read_checkpoint(latest).metadata["progress"]
    position, num_batches = progress["position"], progress["steps_per_epoch"]
    assert (progress["step"], progress["epoch"] + 1) == (step, epoch)
    assert step == progress["epoch"] * num_batches + position > 0

    with template(tmp_path / "second", "--backend", backend_name, "--resume", str(latest)) as process:
        lines = read_until(process, "Going on at step")
        place = f"batch {position + 1}" if position < num_batches else "behind its last batch"
        assert lines[-1].endswith(f"INFO Going on at step {step}: epoch {epoch}, {place}.")
        time.sleep(1.5)
        told = "\n".join(interrupted(process))
    assert int(re.search(r"WARN Interrupted at step (\d+)", told)[1]) > step


@pytest.mark.parametrize("backend_name", ["torch"])
def test_kill_leaves_a_checkpoint_from_which_training_goes_on(backend_name, tmp_path):
    quick = ("--backend", backend_name, "--set", "train_batch_size=500")
    with template(tmp_path / "first", *quick) as process:
        for _ in range(2):
            read_until(process, "Saved Checkpoint: checkpoints/latest.safetensors")
        time.sleep(0.3)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    latest = only_run(tmp_path / "first") / "checkpoints" / "latest.safetensors"
    step = read_checkpoint(latest).metadata["progress"]["step"]
    assert step >= 24
    with template(tmp_path / "second", *quick, "--resume", str(latest)) as process:
        line = read_until(process, "Going on at step")[-1]
        assert line.endswith(f"INFO Going on at step {step}: epoch {step // 12}, behind its last batch.")
        epoch = read_until(process, "STAT Epoch")[-1]
        assert f"STAT Epoch {step // 12}/50" in epoch
