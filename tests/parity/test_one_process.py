"""All backends at the same time in one process, step by step in turn: each trains as if it were alone."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import babel_dl
from babel_dl.data import Dataset
from tests.parity.runs import SMOOTH, Recorder, Run, first_batches
from tests.parity.template import make_config

NUM_TURNS = 12


@pytest.fixture(scope="module")
def alone(run_of: Callable[[Any, str], Run], backend_names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The losses of each backend when only one of them trains."""
    return {name: run_of(SMOOTH, name).losses for name in backend_names}


def test_steps_in_turn_do_not_disturb_each_other(backend_names: tuple[str, ...], data: Dataset, alone: dict[str, np.ndarray]):
    schedule, batches = make_config().train_learning_rate_shedule, first_batches(SMOOTH, data)[:NUM_TURNS]
    trainers, losses = {}, {name: [] for name in backend_names}
    for name in backend_names:
        with babel_dl.use_backend(name):
            trainers[name] = SMOOTH.make_trainer(data)
            trainers[name].prepare(batches[0])
    in_force = babel_dl.get_backend()
    for step, batch in enumerate(batches):
        for name, trainer in trainers.items():  # without use_backend: a trainer knows where it lives
            trainer.optimizer.learning_rate = schedule(step)
            losses[name].append(float(trainer.backend.to_numpy(trainer.compiled_train_step(batch)["loss/total"])))
            assert trainer.backend.name == name
    assert babel_dl.get_backend() == in_force
    for name in backend_names:
        assert np.array_equal(losses[name], alone[name][:NUM_TURNS])


def test_trainings_in_threads_do_not_disturb_each_other(backend_names: tuple[str, ...], data: Dataset, alone: dict[str, np.ndarray]):
    recorders = {name: Recorder(last_step=NUM_TURNS) for name in backend_names}

    def train(name: str) -> None:
        with babel_dl.use_backend(name):
            SMOOTH.make_trainer(data, [recorders[name]]).fit(data.to_dataloader(seed=SMOOTH.seed))

    threads = [threading.Thread(target=train, args=[name]) for name in backend_names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in backend_names:
        assert np.array_equal(recorders[name].losses, alone[name][:NUM_TURNS])
