"""The folder of a run: that of its log file."""

from __future__ import annotations

import os
import re
from pathlib import Path

from babel_dl.core import logging
from babel_dl.errors import ArgumentError


def run_folder() -> Path:
    """The folder where the run's log lies. Without a log, one is started in `.logs/<time>/log.txt` below the working directory."""
    folder = logging.get_log_path()
    if folder is None:
        logging.set_logger(os.path.join(".logs", logging.get_timestamp(), "log.txt"))
        folder = logging.get_log_path()
    return Path(folder or ".")


def open_run_folder(folder: str | Path | bool | None, title: str, mark: str, goes_on: bool) -> Path | None:
    """A folder for a new run, or that of an earlier one to go on with; its log file is open then.

    Args:
        folder: Which one; None for that of the log in use if no run was there before, or else a new one in `.logs`; False for none.
        title: What is trained, for the name of a new folder.
        mark: The name of the file that says that a run was there.
        goes_on: Whether an earlier run is gone on with.

    Returns:
        The folder; None if no files are wanted.

    Raises:
        ArgumentError: There is an earlier run in the folder and none was to be gone on with, or the folder cannot be written.
    """
    if folder is False:
        return None
    if folder is None or folder is True:
        current = logging.get_log_path()
        if current is not None and (goes_on or not (Path(current) / mark).exists()):
            return Path(current)
        named = re.sub("[^A-Za-z0-9_.-]+", "_", f"{logging.get_timestamp()}_{title}").rstrip("_")
        folder = _free(Path(".logs") / named)
    elif not goes_on and (Path(folder) / mark).exists():
        raise ArgumentError(f"The folder {folder} holds a run already. Go on with it by resume=True, or choose another folder.")
    logging.set_logger(Path(folder) / "log.txt")
    return Path(folder).absolute()


def _free(folder: Path) -> Path:
    """The folder, or the next one that is not there: two runs may begin in one second."""
    count = 1
    while (found := folder if count == 1 else folder.with_name(f"{folder.name}_{count}")).exists():
        count += 1
    return found
