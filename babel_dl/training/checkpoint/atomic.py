"""Replaces a file in one step: whoever looks, at any instant, finds the old file or the new one, whole."""

import contextlib
import errno
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

_ABANDONED_AFTER = 3600.0
"""Seconds without a write, after which a temporary file is taken for one whose process was killed."""


def replace_file(path: Path, write: Callable[[BinaryIO], None], check: Callable[[Path], object], keep_old_as: Path | None = None) -> None:
    """Writes a file beside `path`, brings it to the disk, checks it, and gives it the name `path`.

        write to a temporary file in the same folder; flush; fsync
        check(temporary file)
        give the old file a second name        (only with keep_old_as)
        rename the temporary file to path
        rename the second name to keep_old_as  (only with keep_old_as)
        fsync the folder

    Only when the new file is in place is the one under `keep_old_as` given up, so that a healthy file has a name at each instant even if
    the one that is replaced was damaged. On any failure, an interrupt included, the temporary file is removed and the old one stays.

    Args:
        path: The file to make or replace.
        write: Gets the open temporary file and writes the content.
        check: Gets the path of the written file and raises if it is not good.
        keep_old_as: A path in the same folder under which the file that is replaced stays.

    Raises:
        OSError: The system refused a step.
    """
    _remove_abandoned(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    second_name = path.with_name(f".{path.name}.{secrets.token_hex(4)}.old.tmp")
    try:
        with open(temporary, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        check(temporary)
        if keep_old_as is not None:
            _give_second_name(path, second_name, keep_old_as)
        os.replace(temporary, path)
        if keep_old_as is not None and second_name.exists():
            os.replace(second_name, keep_old_as)
    finally:
        for leftover in (temporary, second_name):
            with contextlib.suppress(OSError):  # the failure that led here is the one to report
                leftover.unlink(missing_ok=True)
    _fsync_folder(path.parent)


def _give_second_name(path: Path, second_name: Path, keep_old_as: Path) -> None:
    with contextlib.suppress(FileNotFoundError):  # the first save replaces nothing
        try:
            os.link(path, second_name)
        except FileNotFoundError:
            raise
        except OSError:  # a file system without hard links
            os.replace(path, keep_old_as)


def _fsync_folder(folder: Path) -> None:
    """Makes the rename itself durable, where the system lets folders be opened for that."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems cannot, and need not
            raise
    finally:
        os.close(handle)


def _remove_abandoned(path: Path) -> None:
    """A killed process cannot clean up behind itself; the next save does."""
    long_ago = time.time() - _ABANDONED_AFTER
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        with contextlib.suppress(OSError):  # another process was faster, or owns it
            if leftover.stat().st_mtime < long_ago:
                leftover.unlink()
