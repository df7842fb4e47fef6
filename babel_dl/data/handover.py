"""Batches on their way from a worker process: through memory that both see, and not through a pipe.

    program:  makes a file in memory without a name, and sends its number along with the task
    worker:   writes the arrays into the file, and sends back what is left of the batch
    program:  maps the file as the memory of the arrays, and closes it

The file belongs to the processes that hold it open, and to no folder. So nothing is left behind, however one of them ends, and the size of
/dev/shm does not matter. Where the system has no such files, or has no memory for one, the batch goes through the pipe.
"""

import mmap
import os
import pickle
from typing import Any, NamedTuple
from weakref import WeakSet

from babel_dl.data.batch import Batch

_LEAST_BYTES = 2**17  # smaller batches go through the pipe, which is as fast for them
_MOST_MAPPED = 64  # batches alive at a time; Python keeps a file open for each, so further ones are copied
_ALIGNMENT = 64  # bytes; the widest registers of processors

_mapped: WeakSet[mmap.mmap] = WeakSet()

Address = tuple[int, int]
"""Process and number of an open file."""


class Written(NamedTuple):
    """What a worker sends back through the pipe."""

    rest: bytes  # the batch without the content of its arrays
    places: list[tuple[int, int]]  # first byte and number of bytes of each array


class Slot:
    """Room for one batch that a worker makes.

    Attributes:
        address: Where the worker finds it; None if there is no such memory here.
    """

    def __init__(self) -> None:
        self._file: int | None = None
        self.address: Address | None = None
        if not hasattr(os, "memfd_create") or not os.path.isdir("/proc/self/fd"):
            return
        try:
            self._file = os.memfd_create("babel_dl-batch", os.MFD_CLOEXEC)
        except OSError:  # too many open files, or a kernel without them
            return
        self.address = os.getpid(), self._file

    def take(self, came: Written | Batch) -> Batch:
        """The batch that a worker wrote, or sent whole. It stays when the slot is closed.

        Args:
            came: What came through the pipe.
        """
        if not isinstance(came, Written) or self._file is None:
            return came  # pyright: ignore[reportReturnType]
        size = max(first + count for first, count in came.places)
        memory = memoryview(self._memory(size))
        return pickle.loads(came.rest, buffers=[memory[first : first + count] for first, count in came.places])

    def _memory(self, size: int) -> Any:
        if len(_mapped) < _MOST_MAPPED:
            mapped = mmap.mmap(self._file or 0, size)
            _mapped.add(mapped)
            return mapped
        copy, done = bytearray(size), 0
        while done < size:
            done += os.preadv(self._file or 0, [memoryview(copy)[done:]], done)
        return copy

    def close(self) -> None:
        """Gives the file back; batches that were taken keep its memory until they go."""
        if self._file is not None:
            os.close(self._file)
        self._file = self.address = None


def write(batch: Batch, address: Address | None) -> Written | Batch:
    """In a worker process: writes a batch to where the program wants it.

    Args:
        batch: Named tuples of arrays.
        address: Of a slot; None if there is none.

    Returns:
        What goes through the pipe: the batch itself where it is small, or where the memory cannot be had.
    """
    if address is None or sum(array.nbytes for part in batch for array in part) < _LEAST_BYTES:
        return batch
    buffers: list[pickle.PickleBuffer] = []
    rest = pickle.dumps(batch, protocol=5, buffer_callback=buffers.append)
    try:
        file = os.open(f"/proc/{address[0]}/fd/{address[1]}", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return batch
    try:
        places, end = [], 0
        for buffer in buffers:
            content = buffer.raw()
            first = -(-end // _ALIGNMENT) * _ALIGNMENT
            end = first + content.nbytes
            places.append((first, content.nbytes))
            while first < end:
                first += os.pwrite(file, content[content.nbytes - (end - first) :], first)
        return Written(rest, places)
    except OSError:  # no memory left for files
        return batch
    finally:
        os.close(file)
