"""The tutorial of the seeds, block by block as it was written, on real data: what it prints, and what it leaves behind."""

import gzip
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from babel_dl.data import load_images
from babel_dl.data.sources.idx import format_idx
from babel_dl.training.checkpoint import read_checkpoint
from tests.tutorial.blocks import SEEDS, SEEDS_VARIABLE, blocks_of, find_tutorial

HERE = Path(__file__).parent
NUM_EPOCHS, NUM_STEPS = 10, 188
TIME = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\]"
METRICS = r"metrics/ca=(\d\.\d{3}) - loss/total=(\d+\.\d{3})"
TRAINING = re.compile(rf"^{TIME} STAT Training (\d+)/10 - {METRICS} - LR (0\.\d{{6}})$", re.MULTILINE)
EPOCH = re.compile(rf"^{TIME} STAT Epoch (\d+)/10 \(ETA (\d+:\d\d:\d\d)\) - {METRICS}$", re.MULTILINE)
PICTURES = {f"{split}_{what}.png" for split in ("training", "dev") for what in ("data", "preds", "preds_final")}

pytestmark = pytest.mark.parametrize("backend_name", ["torch", "tensorflow"])


class Outcome(NamedTuple):
    """What the blocks printed, and the folder of their run."""

    printed: str
    folder: Path

    def lines(self, level: str) -> list[str]:
        """The messages of a level, without their time."""
        return re.findall(rf"^{TIME} {level} (.*)$", self.printed, re.MULTILINE)


@pytest.fixture(scope="module")
def tutorial() -> list[str]:
    """Its blocks."""
    path = find_tutorial()
    if path is None:
        pytest.skip(f"the tutorial 003_* is neither in {SEEDS} nor where {SEEDS_VARIABLE} says, which is not set")
    return blocks_of(path)


@pytest.fixture(scope="module")
def outcome_of(tutorial: list[str], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Outcome]:
    """What came of the tutorial on a backend, in a process of its own."""
    outcomes: dict[str, Outcome] = {}

    def find(backend_name: str) -> Outcome:
        if backend_name not in outcomes:
            outcomes[backend_name] = _run(tutorial, backend_name, tmp_path_factory.mktemp(backend_name))
        return outcomes[backend_name]

    return find


def _run(blocks: list[str], backend_name: str, folder: Path) -> Outcome:
    write_images(folder / ".datasets" / "FashionMNIST" / "raw")  # where torchvision looks, told problem_base_dir
    write_images(folder / "keras" / "datasets" / "fashion-mnist")
    (folder / "blocks.json").write_text(json.dumps(blocks))
    environment = {
        **os.environ,
        "BABEL_DL_BACKEND": backend_name,
        "KERAS_HOME": str(folder / "keras"),
        "MPLBACKEND": "agg",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": os.pathsep.join([str(HERE / "stand_in"), *sys.path]),
    }
    command = [sys.executable, str(HERE / "run_blocks.py"), "blocks.json"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    (folder / "printed.txt").write_text(done.stdout + done.stderr)  # for a look after a failure
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    runs = list((folder / ".logs").iterdir())
    assert len(runs) == 1
    return Outcome(done.stdout, runs[0])


def write_images(folder: Path) -> None:
    """The real images that come with babel_dl, under the names and in the format of the full set."""
    folder.mkdir(parents=True)
    for split, start in (("train", "train"), ("dev", "t10k")):
        images, labels = load_images("fashion_mnist", split, data="mini")
        (folder / f"{start}-images-idx3-ubyte.gz").write_bytes(gzip.compress(format_idx(images), 1))
        (folder / f"{start}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(format_idx(labels), 1))


def test_the_text_has_the_blocks_that_it_had(tutorial: list[str], backend_name: str):
    assert len(tutorial) == 13
    assert tutorial[0].startswith("import os\nimport babel_dl\nfrom babel_dl.core import logging\n")
    assert tutorial[-1].endswith("model.train()\n")


def test_variables_are_listed_with_paths_and_shapes(backend_name: str, outcome_of: Callable[[str], Outcome]):
    lines = outcome_of(backend_name).lines("INFO")
    start, middle = lines.index("Trainable Variables:"), lines.index("Untrainable Variables:")
    assert "Started fit." in lines[:start]
    trainable, untrainable = lines[start + 1 : middle], lines[middle + 1 : middle + 16]
    assert trainable == [f"  {path}: {shape}" for path, shape in expected_trainable()]
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    channels = {0: 1, 4: 12, 8: 18, 12: 18, 16: 18}
    assert untrainable == [
        f"  /linear/{place}/{name}: {() if name == statistics[2] else (count,)}" for place, count in channels.items() for name in statistics
    ]
    assert not lines[middle + 16].startswith("  ")


def expected_trainable() -> list[tuple[str, tuple[int, ...]]]:
    """The tutorial's own listing, with kernels in our layout and without the inner module `bn`."""
    channels, found = (1, 12, 18, 18, 18), []
    for place, (before, after) in enumerate(pairwise(channels)):
        found += [(f"/linear/{4 * place}/{name}", (before,)) for name in ("weight", "bias")]
        found += [(f"/linear/{4 * place + 1}/weight", (3, 3, before, after)), (f"/linear/{4 * place + 1}/bias", (after,))]
    found += [(f"/linear/16/{name}", (18,)) for name in ("weight", "bias")]
    found += [("/linear/18/weight", (18, 18)), ("/linear/18/bias", (18,))]
    return [*found, ("/linear/20/weight", (18, 10)), ("/linear/20/bias", (10,))]


def test_each_epoch_has_its_two_lines(backend_name: str, outcome_of: Callable[[str], Outcome]):
    printed = outcome_of(backend_name).printed
    assert [int(found[1]) for found in TRAINING.finditer(printed)] == list(range(1, NUM_EPOCHS + 1))
    assert [int(found[1]) for found in EPOCH.finditer(printed)] == list(range(1, NUM_EPOCHS + 1))
    assert len(outcome_of(backend_name).lines("STAT")) == 2 * NUM_EPOCHS
    assert [found[2] for found in EPOCH.finditer(printed)][-1] == "0:00:00"


def test_learning_rate_falls_with_training_steps_only(backend_name: str, outcome_of: Callable[[str], Outcome]):
    rates = [found[4] for found in TRAINING.finditer(outcome_of(backend_name).printed)]
    last_steps = [NUM_STEPS * epoch - 1 for epoch in range(1, NUM_EPOCHS + 1)]
    assert rates == [f"{0.001 * math.exp(-0.1 / (60000 / 32) * step):.6f}" for step in last_steps]


def test_network_learns_to_tell_the_classes(backend_name: str, outcome_of: Callable[[str], Outcome]):
    epochs = list(EPOCH.finditer(outcome_of(backend_name).printed))
    accuracies, losses = [float(found[3]) for found in epochs], [float(found[4]) for found in epochs]
    assert accuracies[-1] > 0.75
    assert accuracies[-1] > accuracies[0] + 0.1
    assert losses[-1] < 0.6 * losses[0]


def test_checkpoints_are_announced_and_can_be_read(backend_name: str, outcome_of: Callable[[str], Outcome]):
    outcome = outcome_of(backend_name)
    saved = [line for line in outcome.lines("INFO") if line.startswith("Saved Checkpoint")]
    assert saved.count("Saved Checkpoint: checkpoints/latest.safetensors") == NUM_EPOCHS
    assert saved.count("Saved Checkpoint: checkpoints/best.safetensors") >= NUM_EPOCHS // 2
    latest = read_checkpoint(outcome.folder / "checkpoints" / "latest.safetensors")
    assert latest.metadata["progress"]["step"] == NUM_EPOCHS * NUM_STEPS
    assert read_checkpoint(outcome.folder / "checkpoints" / "best.safetensors").metadata["backend"] == backend_name


def test_pictures_and_log_lie_in_the_folder_of_the_run(backend_name: str, outcome_of: Callable[[str], Outcome]):
    outcome = outcome_of(backend_name)
    assert {path.name for path in outcome.folder.glob("*.png")} == PICTURES
    assert all(path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 20_000 for path in outcome.folder.glob("*.png"))
    log = (outcome.folder / "log.txt").read_text()
    assert TRAINING.findall(log) == TRAINING.findall(outcome.printed)
    assert list((outcome.folder / "tensorboard" / "train").iterdir()) != []
    assert "Train Data Predictions\nDev Data Predictions\n" in outcome.printed
