"""Batches of worker processes through shared memory: the same bits, and nothing left behind, however it ends."""

import errno
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from babel_dl.data import ArrayDataset, handover
from babel_dl.data.handover import Slot, Written, write
from babel_dl.errors import DataError
from tests.data.examples import FailAt, KillProcess, NetworkInput, NetworkOutput, Noise, NoteProcess, batches_equal

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has files in memory without a name")


def dataset(*transformers, num_samples=24):
    images = np.random.default_rng(0).random((num_samples, 64, 64, 3), "float32")
    data = ArrayDataset(NetworkInput(images), NetworkOutput(np.arange(num_samples, dtype="int32")), version="fixed")
    data.realtime_transformers += transformers
    return data


def open_files():
    gc.collect()
    links = Path("/proc/self/fd").iterdir()
    return sum(os.readlink(link).startswith("/memfd:babel_dl-batch") for link in links if link.is_symlink())


def shared_maps():
    gc.collect()
    return sum("memfd:babel_dl-batch" in line for line in Path("/proc/self/maps").read_text().splitlines())


@pytest.fixture(autouse=True)
def leaves_nothing_behind():
    names = sorted(os.listdir("/dev/shm"))
    yield
    assert (open_files(), shared_maps(), sorted(os.listdir("/dev/shm"))) == (0, 0, names)
    assert multiprocessing.active_children() == []


def test_large_batches_come_through_shared_memory_and_have_the_same_bits():
    data = dataset(Noise())
    batches = list(data.to_dataloader(batch_size=8, num_workers=2, seed=1))
    assert shared_maps() == len(batches) == 3
    assert batches_equal(batches, list(data.to_dataloader(batch_size=8, seed=1)))
    for part in (part for batch in batches for part in batch):
        assert all(array.flags.c_contiguous and array.flags.writeable and array.flags.aligned for array in part)
        for array in part:
            array[...] = 0  # is nobody else's memory: the check below sees the batches that follow
    assert batches_equal(list(data.to_dataloader(batch_size=8, num_workers=1, seed=1)), list(data.to_dataloader(batch_size=8, seed=1)))


def test_a_batch_outlives_its_loader_and_its_memory_goes_with_it():
    batch = next(iter(dataset(Noise()).to_dataloader(batch_size=8, num_workers=1)))
    image = batch[0].image[2:3]
    del batch
    assert shared_maps() == 1 and float(np.abs(image).sum()) > 0
    del image
    assert shared_maps() == 0


def test_small_batches_come_through_the_pipe():
    batches = list(dataset(Noise(), num_samples=4).to_dataloader(batch_size=1, num_workers=1))
    assert shared_maps() == 0 and len(batches) == 4


def test_many_living_batches_hold_a_bounded_number_of_files(monkeypatch):
    monkeypatch.setattr(handover, "_MOST_MAPPED", 2)
    data = dataset(Noise())
    batches = list(data.to_dataloader(batch_size=4, num_workers=1, seed=1))
    assert shared_maps() == 2
    assert batches_equal(batches, list(data.to_dataloader(batch_size=4, seed=1)))
    assert all(array.flags.writeable for part in batches[-1] for array in part)


def test_a_loop_that_is_left_early_leaves_nothing():
    loop = iter(dataset(Noise()).to_dataloader(batch_size=4, num_workers=2))
    assert len(list(islice(loop, 2))) == 2
    loop.close()


def test_a_failure_leaves_nothing():
    with pytest.raises(DataError, match="The transformer FailAt failed"):
        list(dataset(FailAt(13)).to_dataloader(batch_size=4, num_workers=2))


def test_a_worker_that_dies_leaves_nothing():
    with pytest.raises(DataError, match="A worker process of the loader of ArrayDataset died"):
        list(dataset(KillProcess()).to_dataloader(batch_size=4, num_workers=2))


def test_a_worker_that_is_killed_between_two_batches_leaves_nothing():
    loop = iter(dataset(NoteProcess(), num_samples=200).to_dataloader(batch_size=4, num_workers=1))
    _, outp = next(loop)
    os.kill(int(outp.class_id[0]), signal.SIGKILL)
    with pytest.raises(DataError, match="A worker process of the loader of ArrayDataset died"):
        list(loop)


# ---------------------------------------------------------------- the end of the whole program

SCRIPT = """
import multiprocessing
from tests.data.examples import NoteProcess
from tests.data.test_handover import dataset, open_files, shared_maps

def main():
    try:
        for batch in dataset(NoteProcess(), num_samples=4000).to_dataloader(batch_size=8, num_workers=1):
            print(open_files() > 0, shared_maps() > 0, flush=True)
            input()
    except KeyboardInterrupt:
        del batch
        print(open_files(), shared_maps(), multiprocessing.active_children(), flush=True)

if __name__ == "__main__":
    main()
"""


def start(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(SCRIPT)
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'backends'}", "TMPDIR": str(tmp_path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, str(script)], env=environment, text=True, **pipes)


def test_ctrl_c_leaves_nothing(tmp_path):
    with start(tmp_path) as program:
        first = program.stdout.readline()
        program.send_signal(signal.SIGINT)
        out, errors = program.communicate(timeout=120)
    assert (first, out) == ("True True\n", "0 0 []\n"), errors
    assert not list(tmp_path.glob("babel_dl-*"))


def test_a_program_that_is_killed_leaves_no_name_of_its_memory(tmp_path):
    with start(tmp_path) as program:
        program.stdout.readline()
        program.send_signal(signal.SIGKILL)


# ---------------------------------------------------------------- where there is no such memory


def batch_of(count):
    return NetworkInput(np.arange(count, dtype="float64")), NetworkOutput(np.asfortranarray(np.ones((3, 5), "int8")))


def test_what_is_written_is_what_is_taken():
    slot = Slot()
    written = write(batch_of(100_001), slot.address)
    assert isinstance(written, Written) and len(written.rest) < 1000
    taken = slot.take(written)
    slot.close()
    assert batches_equal([taken], [batch_of(100_001)]) and type(taken[0]) is NetworkInput


def test_without_files_in_memory_batches_come_through_the_pipe(monkeypatch):
    def refuse(*_):
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(os, "memfd_create", refuse)
    data = dataset(Noise())
    batches = list(data.to_dataloader(batch_size=8, num_workers=1, seed=1))
    assert shared_maps() == 0 and batches_equal(batches, list(data.to_dataloader(batch_size=8, seed=1)))


def test_where_memory_is_short_the_batch_itself_is_sent(monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "no space left")

    slot, batch = Slot(), batch_of(100_000)
    monkeypatch.setattr(os, "pwrite", full)
    came = write(batch, slot.address)
    assert came is batch and slot.take(came) is batch
    slot.close()


def test_a_slot_that_cannot_be_reached_makes_the_batch_itself_be_sent():
    slot, batch = Slot(), batch_of(100_000)
    address = slot.address
    slot.close()
    slot.close()
    assert write(batch, address) is batch and write(batch, None) is batch
