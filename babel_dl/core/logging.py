"""Log lines in one format, on the console and in the file of a run; pictures into the folder of that file.

    [2020-09-19 18:07:39] STAT Training 1/10 - metrics/ca=0.697 - loss/total=1.499 - LR 0.000905

Everything runs through Python's own logger "babel_dl": set its level, or attach handlers to it, as to any other. It does not hand lines up
to the root logger, so `logging.basicConfig` doubles none; set `propagate = True` on it to change that.

Example:
    >>> info("Started fit.")  # doctest: +ELLIPSIS
    [...] INFO Started fit.
"""

import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from babel_dl.errors import ArgumentError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "DEBUG_VERBOSITY",
    "LOGGER",
    "STAT",
    "debug",
    "error",
    "get_log_path",
    "get_timestamp",
    "info",
    "log_image",
    "set_console",
    "set_logger",
    "status",
    "warn",
]

DEBUG_VERBOSITY: bool = False
"""Whether `debug` lines are shown, whatever the level of the logger."""

STAT: int = 25
"""The level of `status` lines: above INFO, below WARNING."""

LOGGER: logging.Logger = logging.getLogger("babel_dl")
"""The logger that all lines go through."""

_LABELS = {logging.DEBUG: "DBUG", logging.INFO: "INFO", STAT: "STAT", logging.WARNING: "WARN", logging.ERROR: "ERROR"}


class LineFormatter(logging.Formatter):
    """Writes `[YYYY-mm-dd HH:MM:SS] LEVEL message`; each line of a long message gets its own time and level, so `grep` sees them all."""

    def format(self, record: logging.LogRecord) -> str:
        """The text of a record, without a line end at its end."""
        start = f"[{self.formatTime(record, '%Y-%m-%d %H:%M:%S')}] {_LABELS.get(record.levelno, record.levelname)} "
        return "\n".join((start + line).rstrip() for line in super().format(record).split("\n"))


class ConsoleHandler(logging.Handler):
    """Hands formatted lines to a function: one that prints, or one that prints above a progress bar."""

    def __init__(self) -> None:
        super().__init__()
        self.write: Callable[[str], None] = print_line
        self.setFormatter(LineFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record; a console that fails is reported the way Python's logging does, and stops no training."""
        try:
            self.write(self.format(record))
        except Exception:
            self.handleError(record)


class RunFileHandler(logging.FileHandler):
    """Appends lines to the file of a run and hands each to the operating system at once, so that they survive a crash."""

    def __init__(self, path: str) -> None:
        super().__init__(path, mode="a", encoding="utf-8")
        self.setFormatter(LineFormatter())
        self._has_failed = False

    def handleError(self, record: logging.LogRecord) -> None:
        """Reports the first failure of the file, e.g. a full disk, on the error stream. The run goes on, the console has the lines."""
        if not self._has_failed and sys.stderr is not None:
            what = f"The log file {self.baseFilename} cannot be written: {sys.exc_info()[1]}."
            print(f"{what} Lines may be missing in it; the run goes on.", file=sys.stderr)
        self._has_failed = True

    def close(self) -> None:
        """Closes the file; what a full disk keeps from being written was reported before."""
        with contextlib.suppress(OSError):
            super().close()


def print_line(line: str) -> None:
    """Prints to what `sys.stdout` is at that moment, and flushes it.

    Args:
        line: The text, without a line end.
    """
    if sys.stdout is not None:  # None under pythonw, a Python without a console.
        print(line, flush=True)


def info(message: object) -> None:
    """Logs what happens.

    Args:
        message: The text, or something to print.
    """
    _log(logging.INFO, message)


def status(message: object) -> None:
    """Logs the numbers of a training: the STAT lines.

    Args:
        message: The text, or something to print.
    """
    _log(STAT, message)


def warn(message: object) -> None:
    """Logs what the user should look at.

    Args:
        message: The text, or something to print.
    """
    _log(logging.WARNING, message)


def error(message: object) -> None:
    """Logs what went wrong.

    Args:
        message: The text, or something to print.
    """
    _log(logging.ERROR, message)


def debug(message: object) -> None:
    """Logs details, if `DEBUG_VERBOSITY` is set or the level of the logger is low enough.

    Args:
        message: The text, or something to print.
    """
    _log(logging.DEBUG, message)


def get_timestamp() -> str:
    """The local time as a name for a folder.

    Returns:
        `YYYY-mm-dd_HH.MM.SS`: sorts by time, and has no sign that a file system refuses.
    """
    return time.strftime("%Y-%m-%d_%H.%M.%S")


def set_logger(log_file: str | os.PathLike[str] | None) -> None:
    """Starts the log file of a run, and with it the folder of the run. Closes the file before, if there was one.

    Args:
        log_file: The file; its folder is made, an existing file is continued. None ends logging to a file.

    Raises:
        ArgumentError: The folder cannot be made or the file not be written. The file before stays in use.
    """
    new = None if log_file is None else _open_run_file(os.path.abspath(log_file))
    for old in _run_files():
        LOGGER.removeHandler(old)
        old.close()
    if new is not None:
        LOGGER.addHandler(new)


def get_log_path() -> str | None:
    """The folder of the run: where its log file lies.

    Returns:
        An absolute path, or None while `set_logger` has not been called.
    """
    files = _run_files()
    return os.path.dirname(files[0].baseFilename) if files else None


def log_image(name: str, figure: "Figure | None" = None) -> str | None:
    """Saves a matplotlib figure in the folder of the run.

    Args:
        name: The file within the folder; may name folders below it. The ending chooses the format, PNG without one.
        figure: The figure; None for the current one of pyplot.

    Returns:
        The path of the picture, or None if there is no run folder, or its disk is full or read-only: that is logged, and stops nothing.

    Raises:
        ArgumentError: The name leads out of the folder or has an unknown ending, or pyplot has no figure.
    """
    folder = get_log_path()
    if folder is None:
        warn(f"The picture {name} is not saved: there is no run folder. Call logging.set_logger(...) first.")
        return None
    path = os.path.normpath(os.path.join(folder, name if os.path.splitext(name)[1] else f"{name}.png"))
    if not os.path.basename(name) or not path.startswith(os.path.join(folder, "")):
        raise ArgumentError(f"log_image got the name {name!r}. It must name a file in the run folder {folder}, such as 'preds/dev.png'.")
    figure = _current_figure() if figure is None else figure
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        figure.savefig(path)
    except OSError as failure:
        warn(f"The picture {path} is not saved: {failure}.")
        return None
    except ValueError as failure:
        raise ArgumentError(f"log_image cannot save {name!r}: {failure}") from failure
    return path


def set_console(write: Callable[[str], None] | None) -> Callable[[str], None]:
    """Sends console lines through another function, e.g. one that prints above a progress bar.

    Calls come one at a time, under the lock of the handler. The file of the run is not affected.

    Args:
        write: Takes one line (or several, parted by line ends) without the last line end. None prints to standard output again.

    Returns:
        The function in use before, to be put back.

    Raises:
        ArgumentError: The console handler was taken off the logger "babel_dl".

    Example:
        >>> lines = []
        >>> before = set_console(lines.append)
        >>> info("quiet")
        >>> _ = set_console(before)
        >>> lines[0].endswith("INFO quiet")
        True
    """
    consoles = [handler for handler in LOGGER.handlers if isinstance(handler, ConsoleHandler)]
    if not consoles:
        advice = "Put one back: LOGGER.addHandler(ConsoleHandler())."
        raise ArgumentError(f'set_console found no console handler on the logger "babel_dl". {advice}')
    console = consoles[0]
    console.acquire()
    try:
        before, console.write = console.write, print_line if write is None else write
    finally:
        console.release()
    return before


def _log(level: int, message: object) -> None:
    if not (LOGGER.isEnabledFor(level) or (level == logging.DEBUG and DEBUG_VERBOSITY)):
        return
    # The record is made here and not by LOGGER.log, so that DEBUG_VERBOSITY needs no level, and a percent sign is just a percent sign.
    record = LOGGER.makeRecord(LOGGER.name, level, LOGGER.name, 0, str(message), (), None)
    if level == STAT:
        record.levelname = "STAT"  # Not logging.addLevelName: that names the level for the whole process.
    LOGGER.handle(record)


def _run_files() -> list[RunFileHandler]:
    return [handler for handler in LOGGER.handlers if isinstance(handler, RunFileHandler)]


def _open_run_file(path: str) -> RunFileHandler:
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return RunFileHandler(path)
    except OSError as failure:
        raise ArgumentError(f"set_logger cannot write the log file {path}: {failure}. Choose a folder that can be written.") from failure


def _current_figure() -> "Figure":
    from matplotlib import pyplot  # Slow, and chooses a window system: only for those who draw.

    if not pyplot.get_fignums():
        raise ArgumentError("log_image found no figure. Draw one with matplotlib.pyplot first, or pass figure=...")
    return pyplot.gcf()


def _attach_console() -> None:
    """Sets up our own logger, unless the user did so before the import."""
    if LOGGER.handlers:
        return
    LOGGER.propagate = False
    LOGGER.addHandler(ConsoleHandler())
    if LOGGER.level == logging.NOTSET:
        LOGGER.setLevel(logging.INFO)


_attach_console()
