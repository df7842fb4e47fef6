"""Where the full MNIST lies."""

import os
from pathlib import Path

import pytest

DATA_VARIABLE = "BABEL_DL_DATA_DIR"
BESIDE = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def mnist_folder() -> Path:
    """The folder of its four files: in the one that `BABEL_DL_DATA_DIR` names, or beside the checkout. Skips where neither is there."""
    chosen = os.environ.get(DATA_VARIABLE)
    folder = Path(chosen or BESIDE) / "mnist"
    if not folder.is_dir() and not chosen:
        pytest.skip(f"the full MNIST is neither in {BESIDE} nor where {DATA_VARIABLE} says, which is not set")
    return folder
