"""On one backend: the same run twice, and a run that Ctrl-C cut in two, give the same bits."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from babel_dl import use_backend
from babel_dl.training.callbacks import Callback, CheckpointCallback
from babel_dl.training.checkpoint import Checkpoint, read_checkpoint
from babel_dl.training.optimizers import SGD
from tests.parity.runs import Setup
from tests.parity.template import DropoutModel, make_data

SETUP = Setup(DropoutModel, SGD, seed=5)
NUM_EPOCHS = 3
INTERRUPTED_AT = 17
"""In the middle of the second epoch of 10 steps; the last batch of each is not full."""


class CtrlC(Callback):
    """The user loses patience during a step."""

    def on_step_start(self, trainer: Any) -> None:
        """Sends the signal that the terminal sends."""
        if trainer.step == INTERRUPTED_AT - 1:
            signal.raise_signal(signal.SIGINT)


class Outcome(NamedTuple):
    """What a run leaves behind."""

    at_interrupt: Checkpoint
    end: Checkpoint
    metrics: dict[str, float]


def fit(folder: Path, *callbacks: Callback, resume: bool = False) -> tuple[Any, dict[str, float]]:
    """Trains on 316 images in shuffled batches of 32; `latest` is saved after each part, and at the step of the interrupt."""
    train, dev = make_data(316), make_data(64, "dev")
    trainer = SETUP.make_trainer(train, [*callbacks, CheckpointCallback(folder, every_steps=INTERRUPTED_AT)])
    loaders = train.to_dataloader(seed=SETUP.seed), dev.to_dataloader(shuffle=False)
    return trainer, trainer.fit(*loaders, NUM_EPOCHS, resume=resume)


class KeepAtInterrupt(Callback):
    """Saves a copy at the step of the interrupt."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_step_end(self, trainer: Any) -> None:
        """After that step."""
        if trainer.step == INTERRUPTED_AT:
            trainer.save(self.path)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Outcome]:
    """The run that nobody interrupts."""
    outcomes: dict[str, Outcome] = {}

    def find(backend_name: str) -> Outcome:
        if backend_name not in outcomes:
            folder = tmp_path_factory.mktemp(backend_name)
            with use_backend(backend_name):
                trainer, metrics = fit(folder, KeepAtInterrupt(folder / "middle.safetensors"))
                trainer.save(folder / "end.safetensors")
            middle, end = read_checkpoint(folder / "middle.safetensors"), read_checkpoint(folder / "end.safetensors")
            outcomes[backend_name] = Outcome(middle, end, metrics)
        return outcomes[backend_name]

    return find


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Outcome]:
    """The run that Ctrl-C ends, and a new trainer that goes on from its checkpoint."""
    outcomes: dict[str, Outcome] = {}

    def find(backend_name: str) -> Outcome:
        if backend_name not in outcomes:
            folder = tmp_path_factory.mktemp(backend_name)
            with use_backend(backend_name):
                with pytest.raises(KeyboardInterrupt, match="^$"):
                    fit(folder, CtrlC())
                middle = read_checkpoint(folder / "latest.safetensors")
                trainer, metrics = fit(folder, resume=True)
                trainer.save(folder / "end.safetensors")
            outcomes[backend_name] = Outcome(middle, read_checkpoint(folder / "end.safetensors"), metrics)
        return outcomes[backend_name]

    return find


@pytest.fixture(autouse=True)
def python_serves_ctrl_c() -> Any:
    """Python's own handler, also where the tests run in the background of a shell, which ignores the signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def assert_same_bits(found: Checkpoint, expected: Checkpoint) -> None:
    """All tensors, the place in the data, the sums of the metrics and the state of the callbacks."""
    assert found.tensors.keys() == expected.tensors.keys()
    assert [name for name in expected.tensors if found.tensors[name].tobytes() != expected.tensors[name].tobytes()] == []
    assert found.metadata["progress"] == expected.metadata["progress"]
    assert found.metadata["metrics"] == expected.metadata["metrics"]


def test_two_runs_are_bit_identical(
    backend_name: str, undisturbed: Callable[[str], Outcome], interrupted: Callable[[str], Outcome]
):
    assert_same_bits(interrupted(backend_name).at_interrupt, undisturbed(backend_name).at_interrupt)


def test_interrupt_is_in_the_middle_of_an_epoch(backend_name: str, interrupted: Callable[[str], Outcome]):
    progress = interrupted(backend_name).at_interrupt.metadata["progress"]
    assert (progress["epoch"], progress["position"], progress["step"], progress["steps_per_epoch"]) == (1, 7, 17, 10)


def test_resumed_run_ends_as_the_undisturbed_one(
    backend_name: str, undisturbed: Callable[[str], Outcome], interrupted: Callable[[str], Outcome]
):
    found, expected = interrupted(backend_name), undisturbed(backend_name)
    assert_same_bits(found.end, expected.end)
    assert found.metrics == expected.metrics
    weights = "model/linear/1/weight"
    assert not np.array_equal(found.end.tensors[weights], found.at_interrupt.tensors[weights])
