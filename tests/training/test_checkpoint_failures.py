"""Saving fails the real way: a full disk, a read-only disk, no permission, a size limit, Ctrl-C. The old file always stays.

A full and a read-only disk are a small tmpfs, mounted in a namespace of a process of its own. Where the machine lets nobody mount, these
two are left out of the table, and the limit on file sizes and the missing permission, which need no mount, stand for them.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from babel_dl.errors import CheckpointError
from babel_dl.training.checkpoint import write_checkpoint

SCRIPT = """
import os, pathlib, signal, subprocess, sys
import numpy as np
from babel_dl.errors import CheckpointError
from babel_dl.training.checkpoint import read_checkpoint, write_checkpoint

folder = pathlib.Path(sys.argv[1])
path = folder / "latest.safetensors"

def mount(options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)

def disk_full():
    mount("size=1m")
    yield
def read_only():
    mount("size=16m")
    yield
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
def file_size_limit():
    import resource
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
def no_permission():
    yield
    folder.chmod(0o555)
    if os.geteuid() == 0:
        os.seteuid(65534)
def interrupt():
    yield
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.02)

means = globals()[sys.argv[2]]()
next(means)
write_checkpoint(path, {"x": np.ones(3)}, {"epoch": 1})
next(means, None)
try:
    for _ in range(1000 if sys.argv[2] == "interrupt" else 1):
        write_checkpoint(path, {"x": np.ones(500_000)}, {"epoch": 1 if sys.argv[2] == "interrupt" else 2})
    print("SAVED")
except (CheckpointError, KeyboardInterrupt) as error:
    print(type(error).__name__, error)
print("FILES", os.listdir(folder), "EPOCH", read_checkpoint(path).metadata["epoch"])
"""

IN_A_NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]
EXPECTED = {
    "file_size_limit": ("File too large", "ulimit -f"),
    "no_permission": ("Permission denied", "Choose a folder that you may write to"),
}
MOUNTED = {
    "disk_full": ("No space left on device", "Free some space"),
    "read_only": ("Read-only file system", "choose another folder, or mount it writable"),
}


def can_mount() -> bool:
    try:
        probe = ["sh", "-c", 'd=$(mktemp -d) && mount -t tmpfs -o size=1m tmpfs "$d"; code=$?; umount "$d"; rmdir "$d"; exit $code']
        return subprocess.run([*IN_A_NAMESPACE, *probe], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


CASES = {**EXPECTED, **(MOUNTED if can_mount() else {})}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that another user can reach, which pytest's own is not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)
        Path(name).chmod(0o755)


def save_in(folder: Path, means: str) -> str:
    prefix = IN_A_NAMESPACE if means in MOUNTED else []
    return subprocess.run([*prefix, sys.executable, "-c", SCRIPT, str(folder), means], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("means", CASES)
def test_a_failed_save_keeps_the_old_file_leaves_no_other_and_says_why(folder: Path, means: str) -> None:
    reason, way_out = CASES[means]
    said = save_in(folder, means)
    assert f"CheckpointError The checkpoint '{folder}/latest.safetensors' cannot be saved: {reason}." in said
    assert re.search(r"It needs 4,000,\d{3} bytes; [\d,]+ are free there", said)
    assert "The old checkpoint is untouched." in said
    assert way_out in said
    assert "FILES ['latest.safetensors'] EPOCH 1" in said


def test_an_interrupt_while_saving_passes_on_and_leaves_no_temporary_file(folder: Path) -> None:
    said = save_in(folder, "interrupt")
    assert said.startswith("KeyboardInterrupt")
    assert "FILES ['latest.safetensors'] EPOCH 1" in said


def test_a_missing_folder_says_that_no_older_checkpoint_was_there(folder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"No such file or directory.\n.*needs [\d,]+ bytes.*no older.*\n  Create the folder"):
        write_checkpoint(folder / "missing" / "x.safetensors", {"x": np.zeros(3)}, {})
