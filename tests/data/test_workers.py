"""Worker processes: the same batches, and a clear end whatever happens."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest

from babel_dl.data import RandomCrop, RandomFlip
from babel_dl.errors import DataError
from tests.data.examples import FailAt, FashionDataset, KillProcess, NoteProcess, Wrap, batches_equal


def augmented():
    data = FashionDataset()
    data.realtime_transformers += [Wrap(), RandomFlip(), RandomCrop(28, padding=3)]
    return data


def process_ids(batches):
    return {pid for _, outp in batches for pid in outp.class_id.tolist()}


def is_alive(pid):
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def gone(pids, seconds=20):
    end = time.monotonic() + seconds
    while any(map(is_alive, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(is_alive, pids))


def test_batches_are_the_same_with_any_number_of_workers():
    lists = [list(augmented().to_dataloader(batch_size=8, num_workers=number, seed=2)) for number in (0, 1, 2)]
    assert batches_equal(lists[0], lists[1]) and batches_equal(lists[0], lists[2])


def test_processes_end_with_the_epoch():
    data = FashionDataset()
    data.realtime_transformers.append(NoteProcess())
    pids = process_ids(data.to_dataloader(batch_size=4, num_workers=2))
    assert os.getpid() not in pids and gone(pids) and multiprocessing.active_children() == []


def test_processes_end_when_the_loop_is_left_early():
    data = FashionDataset()
    data.realtime_transformers.append(NoteProcess())
    loop = iter(data.to_dataloader(batch_size=4, num_workers=1))
    pids = process_ids(islice(loop, 2))
    loop.close()
    assert gone(pids) and multiprocessing.active_children() == []


def test_failure_in_a_worker_keeps_its_message():
    data = FashionDataset()
    data.realtime_transformers.append(FailAt(int(data[20][1].class_id)))
    with pytest.raises(DataError, match="The transformer FailAt failed for the sample token \\d+.\n  KeyError") as caught:
        list(data.to_dataloader(num_workers=1))
    assert "raise KeyError" in str(caught.value.__cause__)  # the worker's own traceback


def test_killed_worker_is_reported():
    data = FashionDataset()
    data.realtime_transformers.append(KillProcess())
    with pytest.raises(DataError, match="A worker process of the loader of FashionDataset died.\n  Either the system ended it"):
        list(data.to_dataloader(num_workers=1))
    assert multiprocessing.active_children() == []


def test_dataset_that_cannot_be_pickled_is_reported():
    data = FashionDataset()
    data.realtime_transformers.append(lambda inp, outp: (inp, outp))
    with pytest.raises(DataError, match="FashionDataset cannot be sent to worker processes"):
        list(data.to_dataloader(num_workers=1))


SCRIPT = """
import os
from tests.data.examples import FashionDataset, NoteProcess

def main():
    data = FashionDataset(num_samples=50)
    data.realtime_transformers.append(NoteProcess())
    for _, outp in data.to_dataloader(batch_size=1, num_workers=1):
        print(int(outp.class_id[0]), flush=True)
        input()

{call}
"""


def start(tmp_path, call):
    script = tmp_path / "program.py"
    script.write_text(SCRIPT.format(call=call))
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'backends'}", "TMPDIR": str(tmp_path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, str(script)], env=environment, text=True, **pipes)


def test_workers_end_when_the_program_is_killed(tmp_path):
    with start(tmp_path, "if __name__ == '__main__':\n    main()") as program:
        worker = int(program.stdout.readline())
        assert is_alive(worker)
        program.send_signal(signal.SIGKILL)
    assert gone({worker})
    assert not list(tmp_path.glob("babel_dl-dataset-*"))


def test_program_without_a_main_guard_is_told_so(tmp_path):
    with start(tmp_path, "main()") as program:
        _, errors = program.communicate(timeout=120)
    assert program.returncode == 1 and "outside of `if __name__ == '__main__':`" in errors
    assert not list(tmp_path.glob("babel_dl-dataset-*"))
