"""One checkpoint file: written so that it is whole or not there, read so that no damage goes unseen."""

import errno
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import ml_dtypes  # noqa: F401  (its import teaches numpy the name "bfloat16", which safetensors asks for)
import numpy as np
from safetensors import SafetensorError, safe_open

from babel_dl.errors import CheckpointError
from babel_dl.training.checkpoint.atomic import replace_file
from babel_dl.training.checkpoint.header import FORMAT_VERSION, canonical, encode_header, ordered, seal, tensor_bytes, tensor_digest

READ_BACK_BELOW = 64 * 1024 * 1024
"""Files smaller than this, in bytes, are read back and verified before they replace another."""

_UNREADABLE = (SafetensorError, ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError, MemoryError)
"""What safetensors, numpy and json raise on a file that lies about itself."""

_WAYS_OUT = {
    errno.ENOSPC: "Free some space and save again.",
    errno.EDQUOT: "Your quota is used up: free some space and save again.",
    errno.EFBIG: "Files are limited to a smaller size here (ulimit -f, or the file system): raise the limit, or save elsewhere.",
    errno.EROFS: "The file system is read-only: choose another folder, or mount it writable.",
    errno.EACCES: "Choose a folder that you may write to, or change its permissions.",
    errno.EPERM: "Choose a folder that you may write to, or change its permissions.",
    errno.ENOENT: "Create the folder first.",
}


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds.

    Args:
        tensors: Arrays by name, in canonical layout. They are the caller's own and may be changed.
        metadata: The JSON values that were saved along with them.
    """

    tensors: dict[str, np.ndarray]
    metadata: dict[str, Any]


def write_checkpoint(
    path: str | os.PathLike[str],
    tensors: Mapping[str, np.ndarray],
    metadata: dict[str, Any],
    keep_old_as: str | os.PathLike[str] | None = None,
) -> None:
    """Writes one safetensors file with digests, in one step: the old file stays until the new one is whole and on the disk.

    Args:
        path: The file to make or replace; its folder exists.
        tensors: Arrays by name; strides and byte order do not matter, values and shapes are kept. Any library can read them.
        metadata: JSON values; tuples come back as lists.
        keep_old_as: A path in the same folder under which the file that is replaced stays.

    Raises:
        CheckpointError: A tensor or the metadata cannot be written, a tensor changed while it was written, or the system refused (disk
            full, read-only, no permission). A file that was there before is untouched, and nothing else is left behind.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_checkpoint(f"{folder}/model.safetensors", {"/weight": np.eye(2)}, {"epoch": 3})
        ...     read_checkpoint(f"{folder}/model.safetensors").metadata
        {'epoch': 3}
    """
    path = Path(path)
    arrays = {name: canonical(name, tensor) for name, tensor in tensors.items()}
    header = encode_header(arrays, metadata)
    needed = len(header) + sum(array.nbytes for array in arrays.values())

    def write(file: BinaryIO) -> None:
        file.write(header)
        for name in ordered(arrays):
            file.write(tensor_bytes(arrays[name]))

    def check(written: Path) -> None:
        if needed < READ_BACK_BELOW:
            _read_back(written, path)

    had_one = path.exists()
    try:
        replace_file(path, write, check, Path(keep_old_as) if keep_old_as is not None else None)
    except OSError as error:
        raise CheckpointError(_cannot_write(path, needed, had_one, error)) from error


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Reads a file that `write_checkpoint` wrote, and verifies every byte. Runs no code from the file, whoever made it.

    Args:
        path: The file.

    Raises:
        CheckpointError: There is no such file, it cannot be read, it is damaged, no checkpoint of babel_dl, or of a newer babel_dl.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise CheckpointError(f"There is no checkpoint file '{path}'.\n  Check the path, or train first.")
        with safe_open(path, framework="numpy") as file:
            sealed = file.metadata() or {}
            metadata, digests = _unseal(path, sealed)
            _compare_names(path, set(file.keys()), set(digests))
            tensors = {}
            for name in digests:
                tensors[name] = file.get_tensor(name)
                if tensor_digest(tensors[name]) != digests[name]:
                    raise _damaged(path, f"the bytes of tensor {name!r} are not those that were saved")
    except OSError as error:
        text = f"The checkpoint '{path}' cannot be read: {error.strerror or error}.\n  Check the disk and the file's permissions."
        raise CheckpointError(text) from error
    except _UNREADABLE as error:
        raise _damaged(path, f"its header or layout is broken ({error})") from error
    return Checkpoint(tensors, metadata)


def _unseal(path: Path, sealed: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    missing = {"format_version", "metadata", "tensors", "digest"} - set(sealed)
    if missing:
        raise CheckpointError(
            f"'{path}' is a safetensors file, but no checkpoint of babel_dl: its metadata lacks {', '.join(sorted(missing))}.\n"
            f"  Was it written by another program, or is it damaged? Read other programs' tensors with safetensors.numpy.load_file."
        )
    if seal(sealed) != sealed["digest"]:
        raise _damaged(path, "its metadata is not what was saved")
    if sealed["format_version"] != str(FORMAT_VERSION):
        raise CheckpointError(
            f"The checkpoint '{path}' has format {sealed['format_version']}; this babel_dl reads format {FORMAT_VERSION}.\n"
            f"  Install the version of babel_dl that wrote it, or a newer one."
        )
    metadata, digests = json.loads(sealed["metadata"]), json.loads(sealed["tensors"])
    if not isinstance(metadata, dict) or not isinstance(digests, dict):
        raise _damaged(path, "its metadata is no dictionary")
    return metadata, digests


def _compare_names(path: Path, found: set[str], expected: set[str]) -> None:
    if found != expected:
        odd = sorted(found ^ expected)
        raise _damaged(path, f"tensor {odd[0]!r} is {'not listed in its metadata' if odd[0] in found else 'missing'}")


def _damaged(path: Path, what: str) -> CheckpointError:
    return CheckpointError(
        f"The checkpoint '{path}' is damaged: {what}.\n"
        f"  It was cut short or altered after it was saved; nothing of it was loaded. Use an older checkpoint, or fetch the file again."
    )


def _read_back(written: Path, path: Path) -> None:
    try:
        read_checkpoint(written)
    except CheckpointError as error:
        raise CheckpointError(
            f"The new checkpoint '{path}' is not what was to be saved when it is read back; the file was dropped, and an old one stays.\n"
            f"  Was a tensor changed by another thread meanwhile? If not, the disk or the memory is failing.\n  {error}"
        ) from error


def _cannot_write(path: Path, needed: int, had_one: bool, error: OSError) -> str:
    try:
        free = f"{shutil.disk_usage(path.parent).free:,} are free there"
    except OSError:
        free = "its folder cannot be looked at"
    stays = "The old checkpoint is untouched." if had_one else "There was no older checkpoint under this name."
    return (
        f"The checkpoint '{path}' cannot be saved: {error.strerror or error}.\n"
        f"  It needs {needed:,} bytes; {free}. {stays}\n"
        f"  {_WAYS_OUT.get(error.errno or 0, 'Check the disk, and save again.')}"
    )
