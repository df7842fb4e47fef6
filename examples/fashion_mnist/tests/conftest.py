"""The project's modules import each other from this folder's parent, as main.py does."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
sys.path.insert(0, str(PROJECT))

import babel_dl  # noqa: E402  (the search path comes first)


@pytest.fixture(params=["torch", "tensorflow", "jax"])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of each installed backend in turn, in force while the test runs."""
    with babel_dl.use_backend(request.param):
        yield request.param
