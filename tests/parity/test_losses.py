"""The first 100 steps: every backend follows a plain PyTorch loop in float64, and so the others, within 1e-4.

Two curves that run freely can be compared where the network has no kinks, as `SmoothModel` explains. The template has them, so there each
of the 100 steps is compared by itself, from the same state; what runs freely has to arrive at about the same place.
"""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch

from babel_dl import use_backend
from babel_dl.data import Dataset
from babel_dl.training import SupervisedTrainer
from babel_dl.training.state import named_variables
from tests.parity.runs import DROPOUT, NUM_STEPS, SMOOTH, TEMPLATE, Run, Setup, first_batches, largest_difference
from tests.parity.template import make_config
from tests.parity.twin import TwinModel, to_our_layout, twin_of, twin_steps

TOLERANCE = 1e-4
STATE_TOLERANCE = 1e-5
SETUPS = [pytest.param(SMOOTH, id="sgd-momentum"), pytest.param(DROPOUT, id="adam-dropout")]


@pytest.fixture(scope="module")
def twin_losses(data: Dataset) -> Callable[[Setup, torch.dtype], np.ndarray]:
    """The losses of the hand-written loop."""
    found: dict[tuple[Setup, torch.dtype], np.ndarray] = {}

    def find(setup: Setup, dtype: torch.dtype) -> np.ndarray:
        if (setup, dtype) not in found:
            model, optimizer = twin_of(setup, dtype)
            model.load_canonical(setup.make_model(data).state_dict())
            found[setup, dtype] = np.array(list(twin_steps(model, optimizer, first_batches(setup, data))))
        return found[setup, dtype]

    return find


@pytest.mark.parametrize("setup", SETUPS)
def test_losses_follow_a_hand_written_loop(
    backend_name: str, setup: Setup, run_of: Callable[[Setup, str], Run], twin_losses: Callable[[Setup, torch.dtype], np.ndarray]
):
    losses = run_of(setup, backend_name).losses
    assert len(losses) == NUM_STEPS
    assert largest_difference(losses, twin_losses(setup, torch.float64)) <= TOLERANCE


@pytest.mark.parametrize("setup", SETUPS)
def test_losses_are_the_same_on_all_backends(backend_names: tuple[str, ...], setup: Setup, run_of: Callable[[Setup, str], Run]):
    for one, other in combinations(backend_names, 2):
        assert largest_difference(run_of(setup, one).losses, run_of(setup, other).losses) <= TOLERANCE


def test_each_step_of_the_template_is_that_of_a_hand_written_loop(backend_name: str, data: Dataset):
    batches = first_batches(TEMPLATE, data)
    model, optimizer = twin_of(TEMPLATE, torch.float64)
    with use_backend(backend_name):
        trainer = TEMPLATE.make_trainer(data)
        trainer.prepare(batches[0])
        model.load_canonical(trainer.model.state_dict())
        expected = twin_steps(model, optimizer, batches)
        for step, batch in enumerate(batches):
            take_over(trainer, model, optimizer, step)
            loss = trainer.backend.to_numpy(trainer.compiled_train_step(batch)["loss/total"])
            assert float(loss) == pytest.approx(next(expected), rel=TOLERANCE)
            assert weight_error(trainer, model) <= STATE_TOLERANCE
            assert largest_statistic_error(trainer, model) <= STATE_TOLERANCE


def take_over(trainer: SupervisedTrainer, model: TwinModel, optimizer: torch.optim.Optimizer, step: int) -> None:
    """Puts the twin's weights, statistics and momenta into our trainer, and the learning rate of the step."""
    ours: dict[str, Any] = {**named_variables(trainer)}
    for path, value in model.canonical().items():
        ours[f"model{path}"].assign(value.astype(ours[f"model{path}"].dtype))
    for path, parameter in model.named_by_path().items():
        if parameter in optimizer.state:
            momentum = to_our_layout(optimizer.state[parameter]["momentum_buffer"].numpy())
            ours[f"optimizer/momentum{path}"].assign(momentum.astype(np.float32))
    trainer.optimizer.learning_rate = make_config().train_learning_rate_shedule(step)


def weight_error(trainer: SupervisedTrainer, model: TwinModel) -> float:
    """The relative distance of all weights together."""
    expected, parameters = model.canonical(), trainer.model.trainable_variables
    apart = sum(np.sum(np.square(variable.numpy() - expected[variable.path])) for variable in parameters)
    return float(np.sqrt(apart / sum(np.sum(np.square(expected[variable.path])) for variable in parameters)))


def largest_statistic_error(trainer: SupervisedTrainer, model: TwinModel) -> float:
    """The largest relative distance of a layer's running mean, variance or count."""
    expected, errors = model.canonical(), []
    for variable in trainer.model.untrainable_variables:
        wanted = expected[variable.path]
        errors.append(np.linalg.norm(variable.numpy() - wanted) / np.linalg.norm(wanted))
    return float(max(errors))


def test_template_arrives_at_about_the_same_loss(
    backend_name: str, run_of: Callable[[Setup, str], Run], twin_losses: Callable[[Setup, torch.dtype], np.ndarray]
):
    losses, expected = run_of(TEMPLATE, backend_name).losses, twin_losses(TEMPLATE, torch.float64)
    assert losses[0] == pytest.approx(expected[0], rel=1e-6)
    assert largest_difference(losses, expected) <= 0.1
    assert losses[-10:].mean() == pytest.approx(expected[-10:].mean(), rel=0.05)


@pytest.mark.parametrize("setup", [*SETUPS, pytest.param(TEMPLATE, id="template")])
def test_training_learns(backend_name: str, setup: Setup, run_of: Callable[[Setup, str], Run]):
    losses = run_of(setup, backend_name).losses
    assert losses[-10:].mean() < 0.6 * losses[0]
