"""A checkpoint written on one backend, in the middle of an epoch, goes on on any other."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from babel_dl import use_backend
from babel_dl.data import Dataset
from babel_dl.training import SupervisedTrainer
from babel_dl.training.checkpoint import read_checkpoint
from tests.parity.conftest import requested_pairs
from tests.parity.runs import CHECKPOINT_STEP, DROPOUT, SMOOTH, Recorder, Run, Setup, largest_difference

NUM_MORE = 20
TOLERANCE = 1e-4
SETUPS = [pytest.param(SMOOTH, id="sgd-momentum"), pytest.param(DROPOUT, id="adam-dropout")]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Writer and reader: all pairs of the backends that are tested."""
    if {"writer", "reader"} <= set(metafunc.fixturenames):
        metafunc.parametrize(("writer", "reader"), requested_pairs(metafunc.config))


@pytest.fixture(scope="module")
def trainer_of(data: Dataset) -> Callable[[Setup, str], tuple[SupervisedTrainer, Recorder]]:
    """One trainer for each setup and backend, compiled once; each checkpoint replaces all that it knows."""
    trainers: dict[tuple[Setup, str], tuple[SupervisedTrainer, Recorder]] = {}

    def find(setup: Setup, backend_name: str) -> tuple[SupervisedTrainer, Recorder]:
        if (setup, backend_name) not in trainers:
            recorder = Recorder(last_step=CHECKPOINT_STEP + NUM_MORE)
            trainer = setup.make_trainer(data, [recorder])
            trainer.prepare(next(iter(data.to_dataloader().batches(0))))
            trainers[setup, backend_name] = trainer, recorder
        return trainers[setup, backend_name]

    return find


@pytest.mark.parametrize("setup", SETUPS)
def test_checkpoint_holds_weights_statistics_and_optimizer(backend_name: str, setup: Setup, run_of: Callable[[Setup, str], Run]):
    tensors = run_of(setup, backend_name).checkpoint.tensors
    slots = ("first_moment", "second_moment") if setup is DROPOUT else ("momentum",)
    parameters = {name.removeprefix("model") for name in tensors if name.startswith("model/") and name.endswith(("weight", "bias"))}
    assert len(parameters) == 22
    assert {f"optimizer/{slot}{path}" for slot in slots for path in parameters} <= set(tensors)
    assert all(np.any(tensors[f"optimizer/{slots[-1]}{path}"]) for path in parameters)
    assert tensors["model/linear/1/weight"].shape == (3, 3, 1, 12)
    assert tensors["model/linear/0/num_batches_tracked"] == CHECKPOINT_STEP
    assert setup is not DROPOUT or tensors["optimizer/step"] == tensors["model/linear/20/random/counter"] == CHECKPOINT_STEP


@pytest.mark.parametrize("setup", SETUPS)
def test_checkpoint_is_taken_over_bit_by_bit(
    writer: str,
    reader: str,
    setup: Setup,
    run_of: Callable[[Setup, str], Run],
    trainer_of: Callable[[Setup, str], tuple[SupervisedTrainer, Recorder]],
    tmp_path: Path,
):
    written = run_of(setup, writer).checkpoint
    with use_backend(reader):
        trainer, _ = trainer_of(setup, reader)
        trainer.load(run_of(setup, writer).path)
        trainer.save(tmp_path / "again.safetensors")
    again = read_checkpoint(tmp_path / "again.safetensors")
    assert again.tensors.keys() == written.tensors.keys()
    assert all(again.tensors[name].dtype == written.tensors[name].dtype for name in written.tensors)
    assert all(again.tensors[name].tobytes() == written.tensors[name].tobytes() for name in written.tensors)
    assert (written.metadata["backend"], again.metadata["backend"]) == (writer, reader)
    assert again.metadata["progress"] == written.metadata["progress"]
    assert again.metadata["metrics"] == written.metadata["metrics"]
    assert again.metadata["seed"] == written.metadata["seed"]


@pytest.mark.parametrize("setup", SETUPS)
def test_training_goes_on_as_if_nothing_had_happened(
    writer: str,
    reader: str,
    setup: Setup,
    data: Dataset,
    run_of: Callable[[Setup, str], Run],
    trainer_of: Callable[[Setup, str], tuple[SupervisedTrainer, Recorder]],
):
    stayed = run_of(setup, writer)
    with use_backend(reader):
        trainer, recorder = trainer_of(setup, reader)
        recorder.losses.clear()
        trainer.fit(data.to_dataloader(seed=setup.seed), resume=stayed.path)
    assert (trainer.epoch, trainer.step, trainer.progress.position) == (0, CHECKPOINT_STEP + NUM_MORE, CHECKPOINT_STEP + NUM_MORE)
    expected = stayed.losses[CHECKPOINT_STEP : CHECKPOINT_STEP + NUM_MORE]
    assert largest_difference(np.array(recorder.losses), expected) <= (0.0 if writer == reader else TOLERANCE)
