"""What several parity tests share: the data, and the 100 steps of each backend, made once in a session."""

from collections.abc import Callable
from itertools import product

import pytest

from babel_dl.data import Dataset
from tests.conftest import requested_backends
from tests.parity.runs import Run, Setup, run_training
from tests.parity.template import make_data


@pytest.fixture(scope="session")
def data() -> Dataset:
    """The 6,000 training images that come with babel_dl."""
    return make_data()


@pytest.fixture(scope="session")
def run_of(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Setup, str], Run]:
    """The first 100 steps of a setup on a backend."""
    folder = tmp_path_factory.mktemp("parity")
    runs: dict[tuple[Setup, str], Run] = {}

    def find(setup: Setup, backend_name: str) -> Run:
        if (setup, backend_name) not in runs:
            runs[setup, backend_name] = run_training(setup, backend_name, data, folder / f"{len(runs)}.safetensors")
        return runs[setup, backend_name]

    return find


def requested_pairs(config: pytest.Config) -> list[tuple[str, str]]:
    """Each requested backend with each, itself included."""
    return list(product(*[requested_backends(config)] * 2))
