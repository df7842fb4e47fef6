"""The first 100 steps: every backend follows a plain PyTorch loop, and so the others, within 1e-4."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
import torch

from babel_dl.data import Dataset
from tests.parity.runs import DROPOUT, NUM_STEPS, SMOOTH, TEMPLATE, Run, Setup, first_batches, largest_difference
from tests.parity.twin import train_twin, twin_of

TOLERANCE = 1e-4
SETUPS = [pytest.param(TEMPLATE, id="template"), pytest.param(SMOOTH, id="smooth"), pytest.param(DROPOUT, id="dropout-adam")]


@pytest.fixture(scope="module")
def twin_losses(data: Dataset) -> Callable[[Setup, torch.dtype], np.ndarray]:
    """The losses of the hand-written loop."""
    found: dict[tuple[Setup, torch.dtype], np.ndarray] = {}

    def find(setup: Setup, dtype: torch.dtype) -> np.ndarray:
        if (setup, dtype) not in found:
            model, optimizer = twin_of(setup, dtype)
            model.load_canonical(setup.make_model(data).state_dict())
            found[setup, dtype] = train_twin(model, optimizer, first_batches(setup, data))
        return found[setup, dtype]

    return find


@pytest.mark.parametrize("setup", SETUPS)
def test_each_step_follows_a_hand_written_loop(
    backend_name: str, setup: Setup, run_of: Callable[[Setup, str], Run], twin_losses: Callable[[Setup, torch.dtype], np.ndarray]
):
    losses = run_of(setup, backend_name).losses
    assert len(losses) == NUM_STEPS
    assert largest_difference(losses, twin_losses(setup, torch.float64)) <= TOLERANCE


@pytest.mark.parametrize("setup", SETUPS)
def test_each_step_is_the_same_on_all_backends(backend_names: tuple[str, ...], setup: Setup, run_of: Callable[[Setup, str], Run]):
    for one, other in combinations(backend_names, 2):
        assert largest_difference(run_of(setup, one).losses, run_of(setup, other).losses) <= TOLERANCE


@pytest.mark.parametrize("setup", SETUPS)
def test_the_hand_written_loop_does_not_depend_on_its_precision(
    setup: Setup, twin_losses: Callable[[Setup, torch.dtype], np.ndarray]
):
    """If this one fails, rounding switches a ReLU of this start on this machine, and the tests above compare noise: take another seed."""
    assert largest_difference(twin_losses(setup, torch.float32), twin_losses(setup, torch.float64)) <= TOLERANCE


@pytest.mark.parametrize("setup", SETUPS)
def test_training_learns(backend_name: str, setup: Setup, run_of: Callable[[Setup, str], Run]):
    losses = run_of(setup, backend_name).losses
    assert losses[-10:].mean() < 0.6 * losses[0]
