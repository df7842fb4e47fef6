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
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from babel_dl.data.batch import Batch, stack_samples
from babel_dl.data.batch_transformer import is_vectorised, transform_batch
from babel_dl.data.handover import Address, Slot, Written, write
from babel_dl.data.streams import SampleStreams
from babel_dl.errors import DataError

if TYPE_CHECKING:
    from babel_dl.data.dataset import Dataset

Task = tuple[int, np.ndarray]
"""The epoch, and the sample indices of a batch."""

_TIMED_BATCHES = 3  # of each epoch
_THREAD_PAYS = 5e-4  # seconds for a batch from which on a thread gathers ahead; handing a batch over costs 30 to 50 microseconds

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
        return dataset.gather(indices, epoch, seed)
    if any(map(is_vectorised, dataset.realtime_transformers)):
        tokens = dataset.all_sample_tokens
        chosen = [tokens[index] for index in indices.tolist()]
        streams = SampleStreams(seed, epoch, indices)
        return transform_batch(dataset.realtime_transformers, dataset.stored_samples(indices), chosen, streams)
    positions = indices.tolist()
    tokens = dataset.all_sample_tokens
    return stack_samples([dataset.sample(position, epoch, seed) for position in positions], [tokens[position] for position in positions])


def batches_gathered(dataset: "Dataset", seed: int, epoch: int, parts: Iterator[np.ndarray], prefetch: int) -> Batches:
    """Batches of a dataset that gathers: made when they are asked for, or by a thread that works ahead, where making one takes long.

    Args:
        dataset: Where the samples are.
        seed: For random transformers.
        epoch: The epoch, from 0.
        parts: The sample indices of each batch.
        prefetch: How many batches the thread works ahead; 0 for no thread.

    Yields:
        Batches, in the order of `parts`.

    Raises:
        DataError: As `make_batch`.
    """
    batches = dataset.gather_each(parts, epoch, seed)
    seconds = []
    for _ in range(_TIMED_BATCHES if prefetch else 0):
        start = perf_counter()
        batch = next(batches, None)
        if batch is None:
            return
        seconds.append(perf_counter() - start)
        yield batch
    if seconds and min(seconds) >= _THREAD_PAYS:
        yield from batches_from_thread(dataset, seed, ((epoch, indices) for indices in parts), prefetch)
    else:
        yield from batches


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
        yield from _in_order(executor, lambda task: _Pending(executor, task), tasks, num_workers * max(1, prefetch))
    except BrokenProcessPool as error:
        raise DataError(
            f"A worker process of the loader of {type(dataset).__name__} died.\n"
            f"  Either the system ended it, most often for want of memory: use fewer workers or smaller batches.\n"
            f"  Or the program starts its loaders outside of `if __name__ == '__main__':`, which worker processes need.\n"
            f"  Or a getter crashed: use num_workers=0 to see where."
        ) from error
    finally:
        _remove(path)


class _Pending:
    """A batch that a worker process makes, and the memory it comes through."""

    def __init__(self, executor: Executor, task: Task) -> None:
        self._slot = Slot()
        try:
            self._future = executor.submit(_work, *task, self._slot.address)
        except BaseException:
            self._slot.close()
            raise

    def result(self) -> Batch:
        """The batch, when it is there."""
        batch = self._slot.take(self._future.result())
        self._slot.close()
        return batch

    def close(self) -> None:
        """Gives up the batch; its worker must have ended."""
        self._slot.close()


def _in_order(executor: Executor, submit: Callable[[Task], "Future[Batch] | _Pending"], tasks: Iterator[Task], size: int) -> Batches:
    window: deque[Future[Batch] | _Pending] = deque()
    try:
        window.extend(submit(task) for task in islice(tasks, size))
        while window:
            batch = window[0].result()
            window.popleft()  # not before: what is interrupted is closed below, when no worker can write to its place any more
            window.extend(submit(task) for task in islice(tasks, 1))
            yield batch
    finally:
        try:
            executor.shutdown(wait=True, cancel_futures=True)
        finally:
            for pending in window:
                if isinstance(pending, _Pending):
                    pending.close()


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


def _work(epoch: int, indices: np.ndarray, address: Address | None) -> Written | Batch:
    if "dataset" not in _worker:
        try:
            with open(_worker["path"], "rb") as file:
                _worker["dataset"] = pickle.load(file)
        except Exception as error:
            raise DataError(
                f"A worker process cannot rebuild the dataset.\n  {type(error).__name__}: {error}\n"
                f"  Define its class, named tuples and transformers at the top of a module that can be imported, or use num_workers=0."
            ) from error
    return write(make_batch(_worker["dataset"], _worker["seed"], epoch, indices), address)
