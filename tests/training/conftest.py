"""What several tests of training need."""

import signal
from collections.abc import Iterator

import pytest

from babel_dl.core import logging


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """The lines that are logged while the test runs."""
    found: list[str] = []
    before = logging.set_console(found.append)
    yield found
    logging.set_console(before)


@pytest.fixture
def hears_ctrl_c() -> Iterator[None]:
    """Ctrl-C is heard here and in processes that the test starts, also where a shell put the tests into the background, deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def run_folder(tmp_path) -> Iterator[str]:
    """The folder of a run, with its log file."""
    logging.set_logger(tmp_path / "run" / "log.txt")
    yield logging.get_log_path()
    logging.set_logger(None)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> Iterator[None]:
    """An empty working directory, and no log file before and after."""
    monkeypatch.chdir(tmp_path)
    logging.set_logger(None)
    yield
    logging.set_logger(None)
