"""The examples import each other as `examples.<name>`, from the root of the repository; a test with `backend` runs on each backend."""

from collections.abc import Iterator

import pytest

import babel_dl


@pytest.fixture(params=["torch", "tensorflow", "jax"])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of each backend in turn, in force while the test runs."""
    with babel_dl.use_backend(request.param):
        yield request.param
