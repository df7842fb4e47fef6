"""Makes batches ahead of their use, in a thread or in processes, and hands them over in the order they were asked for.

    window = the first `size` tasks, submitted
    for each task that is left:   hand over the oldest result, submit one more
    at the end, however it comes: cancel what has not begun, wait for the rest, end the thread or the processes
"""

import contextvars
import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from babel_dl.data.batch import Batch, stack_samples
from babel_dl.errors import DataError

if TYPE_CHECKING:
    from babel_dl.data.dataset import Dataset

Task = tuple[int, np.ndarray]
"""The epoch, and the sample indices of a batch."""

Batches = Generator[Batch, None, None]
"""Batches one after the other; closing it ends the thread or the processes behind it."""


def make_batch(dataset: "Dataset", seed: int, epoch: int, indices: np.ndarray) -> Batch:
    """The batch of some samples: a function of its arguments alone, wherever it runs.

    Args:
        dataset: Where the samples are.
        seed: Decides, with epoch and index, what random transformers draw.
        epoch: The epoch, from 0.
        indices: Sample indices, int64.

    Returns:
        Named tuples of new arrays.

    Raises:
        DataError: A getter or a transformer failed, or the samples do not fit into one batch.
    """
    if dataset.is_gathered:
        return dataset.gather(indices)
    positions = indices.tolist()
    tokens = dataset.all_sample_tokens
    return stack_samples([dataset.sample(position, epoch, seed) for position in positions], [tokens[position] for position in positions])


def batches_from_thread(dataset: "Dataset", seed: int, tasks: Iterator[Task], prefetch: int) -> Batches:
    """Batches made by one thread, which works ahead.

    Args:
        dataset: Where the samples are.
        seed: For random transformers.
        tasks: What to make.
        prefetch: How many batches to work ahead, at least 1.

    Yields:
        Batches, in the order of `tasks`.

    Raises:
        DataError: As `make_batch`.
    """
    context = contextvars.copy_context()  # a backend or seed chosen by a `with` block holds for the getters, too
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="babel_dl-loader")
    yield from _in_order(executor, lambda task: executor.submit(context.run, make_batch, dataset, seed, *task), tasks, prefetch)


def batches_from_processes(dataset: "Dataset", seed: int, tasks: Iterator[Task], num_workers: int, prefetch: int) -> Batches:
    """Batches made by several processes. They are spawned, never forked: a fork copies the locks of a framework's threads, and hangs.

    Args:
        dataset: Where the samples are; it is pickled once.
        seed: For random transformers.
        tasks: What to make.
        num_workers: How many processes, at least 1.
        prefetch: How many batches each works ahead.

    Yields:
        Batches, in the order of `tasks`, whichever process made them.

    Raises:
        DataError: As `make_batch`; the dataset cannot be pickled; or a process died.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # a process that is being spawned runs the program's top level
        raise DataError("A worker process came to start a loader. Put the main part of the program below `if __name__ == '__main__':`.")
    # through a file: spawn writes arguments into a pipe that it also holds the other end of, and hangs if the process dies before reading
    path = _pickled(dataset)
    try:
        executor = ProcessPoolExecutor(num_workers, multiprocessing.get_context("spawn"), _start_worker, (path, seed))
        yield from _in_order(executor, lambda task: executor.submit(_work, *task), tasks, num_workers * max(1, prefetch))
    except BrokenProcessPool as error:
        raise DataError(
            f"A worker process of the loader of {type(dataset).__name__} died.\n"
            f"  Either the system ended it, most often for want of memory: use fewer workers or smaller batches.\n"
            f"  Or the program starts its loaders outside of `if __name__ == '__main__':`, which worker processes need.\n"
            f"  Or a getter crashed: use num_workers=0 to see where."
        ) from error
    finally:
        _remove(path)


def _in_order(executor: Executor, submit: Callable[[Task], "Future[Batch]"], tasks: Iterator[Task], size: int) -> Batches:
    try:
        window = deque(submit(task) for task in islice(tasks, size))
        while window:
            batch = window.popleft().result()
            for task in islice(tasks, 1):
                window.append(submit(task))
            yield batch
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _pickled(dataset: "Dataset") -> str:
    handle, path = tempfile.mkstemp(prefix="babel_dl-dataset-")
    try:
        with os.fdopen(handle, "wb") as file:
            pickle.dump(dataset, file, protocol=5)
    except Exception as error:
        _remove(path)
        raise DataError(
            f"{type(dataset).__name__} cannot be sent to worker processes.\n  {type(error).__name__}: {error}\n"
            f"  Define its class, named tuples and transformers at the top of a module (no lambdas), and keep no open files in it; "
            f"or use num_workers=0."
        ) from error
    return path


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):  # a worker that outlived its program removed it
        os.unlink(path)


_worker: dict[str, Any] = {}
"""In a worker process: the path of the pickled dataset, the seed, and later the dataset."""


def _start_worker(path: str, seed: int) -> None:
    _worker.update(path=path, seed=seed)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the program itself ends its workers
    threading.Thread(target=_end_with_parent, args=(path,), daemon=True).start()


def _end_with_parent(path: str) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        _remove(path)  # the program was killed, and could not clean up
        os._exit(1)


def _work(epoch: int, indices: np.ndarray) -> Batch:
    if "dataset" not in _worker:
        try:
            with open(_worker["path"], "rb") as file:
                _worker["dataset"] = pickle.load(file)
        except Exception as error:
            raise DataError(
                f"A worker process cannot rebuild the dataset.\n  {type(error).__name__}: {error}\n"
                f"  Define its class, named tuples and transformers at the top of a module that can be imported, or use num_workers=0."
            ) from error
    return make_batch(_worker["dataset"], _worker["seed"], epoch, indices)
