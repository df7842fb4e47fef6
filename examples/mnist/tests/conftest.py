"""A classifier for each backend, trained once by its program, that judges in the tests of the other two."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from examples.shared.testing import run_program


@pytest.fixture(scope="session")
def classified(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, str]]:
    """The folder that the classifier's program left on a backend, and what it printed."""

    @cache
    def run(backend_name: str) -> tuple[Path, str]:
        logs = tmp_path_factory.mktemp(f"classification_{backend_name}")
        done = run_program("examples.mnist.classification", logs, "--backend", backend_name)
        if done.returncode:
            raise RuntimeError(done.stderr)
        (folder,) = logs.iterdir()
        return folder, done.stdout

    return run
