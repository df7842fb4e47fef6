"""Files from the network: into a temporary file beside the target, verified, and only then given their name."""

import gzip
import hashlib
import http.client
import os
import tempfile
import urllib.request
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from babel_dl.data.sources.catalog import SourceFile
from babel_dl.errors import DataError

TIMEOUT = 30.0  # seconds without a byte
_PIECE = 1 << 16


def download(file: SourceFile, urls: Sequence[str], folder: Path) -> Path:
    """Fetches a file into a folder. It stands there whole and verified, or not at all.

    Args:
        file: Which one.
        urls: Folders on the network, tried one after the other.
        folder: Where it goes; made if missing.

    Returns:
        The file's path.

    Raises:
        DataError: No address delivered the file; the failure of each is listed.
    """
    failures = []
    for url in urls:
        try:
            return _fetch(file, f"{url}{file.name}", folder)
        except (OSError, EOFError, zlib.error, ValueError, http.client.HTTPException) as error:
            failures.append(f"{url}{file.name}: {type(error).__name__}: {error}")
    raise DataError("The download of {} into {} failed.\n  {}".format(file.name, folder, "\n  ".join(failures) or "No address is known."))


def _fetch(file: SourceFile, url: str, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", suffix=".part", dir=folder)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as target:
            _receive(url, file.name, target.write)
            target.flush()
            os.fsync(target.fileno())
        _verify(temporary, file)
        os.chmod(temporary, 0o644)
        os.replace(temporary, folder / file.name)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(folder)
    return folder / file.name


def _receive(url: str, name: str, write: Callable[[bytes], Any]) -> None:
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, _progress_bar() as progress:
        announced = answer.headers.get("Content-Length")
        task = progress.add_task(name, total=int(announced) if announced else None)
        received = 0
        while piece := answer.read(_PIECE):
            write(piece)
            received += len(piece)
            progress.update(task, completed=received)
    if announced and received != int(announced):
        raise OSError(f"the connection ended after {received} of {announced} bytes")


def _progress_bar() -> Progress:
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    return Progress(*columns, console=console, disable=not console.is_terminal)


def _verify(path: Path, file: SourceFile) -> None:
    sha = hashlib.sha256()
    with gzip.open(path) as content:
        while piece := content.read(_PIECE):
            sha.update(piece)
    if sha.hexdigest() != file.sha256:
        raise ValueError(f"what came has the SHA-256 {sha.hexdigest()} when decompressed, expected {file.sha256}")


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
