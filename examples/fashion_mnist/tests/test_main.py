"""The program itself: what it writes, and what it says to a wrong setting."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PICTURES = (
    "training_data.png", "dev_data.png", "dev_predictions_before.png", "dev_predictions_after.png", "curves.png", "confusion.png",
)  # fmt: skip


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    search = os.pathsep.join([str(PROJECT.parents[1]), str(PROJECT.parents[1] / "backends"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": search, "MPLBACKEND": "agg"}
    command = [sys.executable, str(PROJECT / "main.py"), "--logs", str(folder), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("backend_name", ["torch", "tensorflow", "jax"])
def test_one_epoch_leaves_accuracy_pictures_configuration_history_and_checkpoints(tmp_path, backend_name):
    done = run(tmp_path, "--backend", backend_name, "--epochs", "1", "--set", "train_batch_size=250", "--set", "train_momentum=0.9")
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.iterdir()
    accuracy = re.search(rf"INFO Dev accuracy (\d+\.\d)%\. Results: {re.escape(str(folder))}$", done.stdout.strip())
    assert accuracy and float(accuracy[1]) > 15.0  # better than guessing
    for name in PICTURES:
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    config = json.loads((folder / "config.json").read_text())
    assert '"train_batch_size": 250' in json.dumps(config)
    assert '"train_momentum": 0.9' in json.dumps(config)
    rows = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert [(row["epoch"], row["step"], row["split"]) for row in rows] == [(1, 24, "train"), (1, 24, "dev")]
    with open(folder / "history.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 2
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"latest.safetensors", "best.safetensors"}
    assert "STAT Epoch 1/1" in (folder / "log.txt").read_text()


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("--set", "train_batchsize=64"), "ConfigError: QuickConfig has no field 'train_batchsize'. Did you mean 'train_batch_size'?"),
        (("--set", "train_batch_size=many"), "ConfigError: QuickConfig.train_batch_size got 'many' (str), expected int."),
        (("--set", "train_batch_size"), "ConfigError: QuickConfig got the setting 'train_batch_size'. Write it as name=value"),
        (("--backend", "pytroch"), "UnknownBackendError: There is no backend 'pytroch'. Did you mean 'torch'?"),
        (("--device", "tpu:3"), "DeviceError: Backend 'torch' has no device 'tpu:3' here."),
        (("--epochs", "0"), "ArgumentError: fit needs epochs of at least 1, and got 0."),
        (("--resume", "nowhere.safetensors"), "CheckpointError: There is no checkpoint file 'nowhere.safetensors'."),
    ],
)
def test_a_wrong_setting_ends_with_a_hint_and_without_a_traceback(tmp_path, arguments, hint):
    done = run(tmp_path, *(arguments if "--backend" in arguments else ("--backend", "torch", *arguments)))
    assert done.returncode == 1
    assert hint in done.stderr
    assert "Traceback" not in done.stderr


def test_a_finished_run_can_be_resumed_and_is_evaluated(tmp_path):
    quick = ("--backend", "torch", "--epochs", "1", "--set", "train_batch_size=1000")
    assert run(tmp_path / "first", *quick).returncode == 0
    (folder,) = (tmp_path / "first").iterdir()
    done = run(tmp_path / "second", *quick, "--resume", str(folder / "checkpoints" / "best.safetensors"))
    assert done.returncode == 0, done.stderr
    assert "are done, and 1 epochs were asked for in all." in done.stdout
    assert "INFO Dev accuracy" in done.stdout
