"""The folder of a run: that of its log file."""

from __future__ import annotations

import os
from pathlib import Path

from babel_dl.core import logging


def run_folder() -> Path:
    """The folder where the run's log lies. Without a log, one is started in `.logs/<time>/log.txt` below the working directory."""
    folder = logging.get_log_path()
    if folder is None:
        logging.set_logger(os.path.join(".logs", logging.get_timestamp(), "log.txt"))
        folder = logging.get_log_path()
    return Path(folder or ".")
