"""A disk that is full or read-only in the middle of a training: the run stops, and the checkpoint before stays and can be used.

A full and a read-only disk are a small tmpfs, mounted in a namespace of a process of its own. Where the machine lets nobody mount, the
limit on file sizes stands for them.
"""

import os
import re
import subprocess
import sys

import pytest

from babel_dl.errors import CheckpointError
from babel_dl.training.callbacks import CheckpointCallback
from babel_dl.training.checkpoint import read_checkpoint
from tests.training.examples import ROOT, make_trainer, points

SCRIPT = """
import pathlib, resource, subprocess, sys
from babel_dl.errors import BabelError
from babel_dl.training.callbacks import CheckpointCallback, LogCallback
from babel_dl.training.checkpoint import read_checkpoint
from tests.training.examples import At, make_trainer, points

folder, means = pathlib.Path(sys.argv[1]), sys.argv[2]

def mount(options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)

def break_disk(trainer):
    if means == "disk_full":
        try:
            with open(folder / "filler", "wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
        except OSError:
            pass
    elif means == "read_only":
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

if means != "file_size_limit":
    mount("size=200k")
trainer = make_trainer(callbacks=[CheckpointCallback(folder), LogCallback(), At("on_epoch_end", break_disk)])
try:
    trainer.fit(points().to_dataloader(8), epochs=3)
except BabelError as error:
    print(type(error).__name__ + ":", error)
print("STEPS", trainer.step, "LATEST", read_checkpoint(folder / "latest.safetensors").metadata["progress"]["step"])
print("FILES", *sorted(path.name for path in folder.iterdir() if path.name != "filler"))
if means == "file_size_limit":
    sys.exit()
resumed = make_trainer()
print("RESUMED", resumed.fit(points().to_dataloader(8), epochs=2, resume=folder / "latest.safetensors")["loss/total"] < 10)
"""
IN_A_NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]
EXPECTED = {
    "file_size_limit": "File too large",
    "disk_full": "No space left on device",
    "read_only": "Read-only file system",
}


def can_mount() -> bool:
    try:
        probe = ["sh", "-c", 'd=$(mktemp -d) && mount -t tmpfs -o size=1m tmpfs "$d"; code=$?; umount "$d"; rmdir "$d"; exit $code']
        return subprocess.run([*IN_A_NAMESPACE, *probe], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("means", EXPECTED if can_mount() else ["file_size_limit"])
def test_a_disk_that_fails_stops_the_run_and_the_checkpoint_before_stays(tmp_path, means):
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backends'}", "BABEL_DL_BACKEND": "torch"}
    namespace = IN_A_NAMESPACE if means != "file_size_limit" else []
    command = [*namespace, sys.executable, "-c", SCRIPT, str(tmp_path), means]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stdout[done.stdout.index("\nCheckpointError: ") :]
    assert re.search(rf"'.*latest.safetensors' cannot be saved: {EXPECTED[means]}.*\n.*The old checkpoint is untouched.", told)
    assert "STEPS 6 LATEST 3\nFILES best.safetensors latest.safetensors\n" in told
    assert "ERROR CheckpointError: The checkpoint" in done.stdout
    if means == "file_size_limit":
        latest = tmp_path / "latest.safetensors"
        assert read_checkpoint(latest).metadata["progress"]["step"] == 3
    else:
        assert told.endswith("RESUMED True\n")


@pytest.mark.parametrize("backend_name", ["torch"])
def test_a_folder_that_cannot_be_made_stops_the_run(backend, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match=r"The folder '.*file/checkpoints' for checkpoints cannot be made: Not a directory"):
        make_trainer(callbacks=[CheckpointCallback(tmp_path / "file" / "checkpoints")]).fit(points().to_dataloader(8))
