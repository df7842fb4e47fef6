"""A store keeps `latest`, the one before, and `best`; damage is passed over and told; kills at any instant lose nothing that was saved."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from babel_dl.errors import CheckpointError
from babel_dl.training.checkpoint import CheckpointStore, read_checkpoint


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path, warnings: list[str]) -> CheckpointStore:
    return CheckpointStore(tmp_path / "run" / "checkpoints", warnings.append)


def weights(value: float) -> dict[str, np.ndarray]:
    return {"/linear/weight": np.full(3, value, np.float32)}


def damage(path: Path) -> None:
    """Writes a new file, as a failing disk would not, to leave other names of the same file alone."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.unlink()
    path.write_bytes(content)


def test_latest_and_best_are_kept_apart(store: CheckpointStore, warnings: list[str]) -> None:
    store.save("best", weights(1), {"epoch": 1})
    store.save("latest", weights(2), {"epoch": 2})
    assert store.load("best").metadata == {"epoch": 1}
    assert store.load("latest").metadata == {"epoch": 2}
    np.testing.assert_array_equal(store.load("latest").tensors["/linear/weight"], [2, 2, 2])
    assert warnings == []


def test_saving_latest_keeps_exactly_the_one_before(store: CheckpointStore) -> None:
    for epoch in (1, 2, 3):
        assert store.save("latest", weights(epoch), {"epoch": epoch}) == store.folder / "latest.safetensors"
    store.save("best", weights(3), {"epoch": 3})
    assert sorted(os.listdir(store.folder)) == ["best.safetensors", "latest.previous.safetensors", "latest.safetensors"]
    assert read_checkpoint(store.folder / "latest.previous.safetensors").metadata == {"epoch": 2}


def test_a_damaged_latest_falls_back_to_the_one_before_and_says_so(store: CheckpointStore, warnings: list[str]) -> None:
    store.save("latest", weights(1), {"epoch": 1})
    store.save("latest", weights(2), {"epoch": 2})
    damage(store.path("latest"))
    assert store.load("latest").metadata == {"epoch": 1}
    assert len(warnings) == 1
    assert re.search(r"latest.safetensors' is damaged: .*\n.*\n  Going on from the one before: '.*latest.previous", warnings[0])


def test_a_missing_latest_falls_back_to_the_one_before(store: CheckpointStore, warnings: list[str]) -> None:
    store.save("latest", weights(1), {"epoch": 1})
    store.save("latest", weights(2), {"epoch": 2})
    store.path("latest").unlink()
    assert store.has("latest")
    assert store.load("latest").metadata == {"epoch": 1}
    assert "There is no checkpoint file" in warnings[0]


def test_when_both_are_damaged_the_error_names_both(store: CheckpointStore) -> None:
    store.save("latest", weights(1), {})
    store.save("latest", weights(2), {})
    damage(store.path("latest"))
    damage(store.folder / "latest.previous.safetensors")
    with pytest.raises(CheckpointError, match=r"(?s)No checkpoint 'latest' in .* can be loaded.*latest.safetensors' is.*latest.previous"):
        store.load("latest")


def test_a_damaged_best_is_an_error(store: CheckpointStore) -> None:
    store.save("best", weights(1), {})
    damage(store.path("best"))
    with pytest.raises(CheckpointError, match=r"best.safetensors' is damaged"):
        store.load("best")


def test_an_empty_store_says_that_nothing_was_saved(store: CheckpointStore) -> None:
    assert not store.has("latest")
    with pytest.raises(CheckpointError, match=r"No checkpoint 'latest' in .*checkpoints'.\n  Check the folder, or train first"):
        store.load("latest")


def test_an_unknown_name_gets_a_hint(store: CheckpointStore) -> None:
    for use in (store.load, store.has, store.path, lambda name: store.save(name, {}, {})):
        with pytest.raises(CheckpointError, match=r"A store has no checkpoint 'lastest'. Did you mean 'latest'\?"):
            use("lastest")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
@pytest.mark.parametrize("name", ["latest", "best"])
def test_weights_that_are_not_finite_never_replace_healthy_ones(store: CheckpointStore, name: str, dtype: type, bad: float) -> None:
    store.save(name, weights(1), {"epoch": 1})
    sick = {"/count": np.zeros(2, np.int64), "/a": np.ones(2, dtype), "/b": np.array([1, bad, bad, 2], dtype), "/c": np.array([bad], dtype)}
    with pytest.raises(CheckpointError, match=r"Tensor '/b' is not finite: 2 of 4 values.*\n.*\.safetensors' stays as it was"):
        store.save(name, sick, {"epoch": 2})
    assert store.load(name).metadata == {"epoch": 1}
    assert os.listdir(store.folder) == [f"{name}.safetensors"]


def test_only_tensors_marked_as_weights_must_be_finite(store: CheckpointStore) -> None:
    tensors = {**weights(1), "/optimizer/largest": np.array(np.inf)}
    store.save("latest", tensors, {}, weights=["/linear/weight"])
    assert store.load("latest").tensors["/optimizer/largest"] == np.inf
    with pytest.raises(CheckpointError, match=r"'/optimizer/largest' is not finite: 1 of 1 .*\n.*stays as it was"):
        store.save("latest", tensors, {})


def test_finiteness_is_not_asked_when_told_so(store: CheckpointStore) -> None:
    store.save("latest", weights(np.nan), {}, reject_non_finite=False)
    assert np.isnan(store.load("latest").tensors["/linear/weight"]).all()


def test_a_weight_that_is_not_saved_is_refused(store: CheckpointStore) -> None:
    with pytest.raises(CheckpointError, match=r"weight '/linear/weigth' is not among the tensors to save. Did you mean '/linear/weight'\?"):
        store.save("latest", weights(1), {}, weights=["/linear/weigth"])


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"folder '.*file/run' for checkpoints cannot be made: Not a directory"):
        CheckpointStore(tmp_path / "file" / "run").save("latest", {}, {})


def test_the_healthy_one_before_survives_the_first_save_after_damage(store: CheckpointStore, tmp_path: Path) -> None:
    """`latest` is damaged, and the save that would replace it fails: the one before is still what it was."""
    store.save("latest", weights(1), {"epoch": 1})
    store.save("latest", weights(2), {"epoch": 2})
    damage(store.path("latest"))
    with pytest.raises(CheckpointError, match="which JSON cannot say"):
        store.save("latest", weights(3), {"epoch": object()})
    assert store.load("latest").metadata == {"epoch": 1}


def test_temporary_files_of_killed_processes_are_removed_after_an_hour(store: CheckpointStore) -> None:
    store.save("latest", weights(1), {})
    old, fresh = (store.folder / f".latest.safetensors.{age}.tmp" for age in ("old", "fresh"))
    old.touch()
    fresh.touch()
    os.utime(old, times=(time.time() - 3700,) * 2)
    store.save("latest", weights(2), {})
    assert not old.exists()
    assert fresh.exists(), "another process may be writing this one"


KILLED = """
import sys
import numpy as np
from babel_dl.training.checkpoint import CheckpointStore
store = CheckpointStore(sys.argv[1])
epoch = store.load("latest").metadata["epoch"] if store.has("latest") else 0
while True:
    epoch += 1
    for name in ("latest", "best"):
        store.save(name, {"/weight": np.full(100_000, epoch, np.float32), "/more": np.full((3, 5), -epoch)}, {"epoch": epoch})
    print(epoch, flush=True)
"""


def run_and_kill(folder: Path, seconds: float) -> int:
    """Saves in a process that is killed so long after its first save. Returns the last epoch that it reported as saved."""
    with subprocess.Popen([sys.executable, "-c", KILLED, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()  # the imports are done, and one save
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        return int([first, *process.stdout.read().split()][-1])


def test_twenty_kills_lose_no_checkpoint_that_was_saved(store: CheckpointStore, warnings: list[str]) -> None:
    delays = random.Random(0)
    for _ in range(20):
        reported = run_and_kill(store.folder, delays.uniform(0, 0.03))
        for name in ("latest", "best"):
            loaded = store.load(name)
            epoch = loaded.metadata["epoch"]
            assert epoch >= reported
            assert (loaded.tensors["/weight"] == epoch).all()
            assert (loaded.tensors["/more"] == -epoch).all()
        if (previous := store.folder / "latest.previous.safetensors").exists():
            read_checkpoint(previous)
    assert warnings == []
