"""`compile="auto"` takes the backend's costly mode where a run is long enough to repay it, and the same one in the same run."""

import numpy as np
import pytest

from babel_dl.core.random import set_seed
from babel_dl.training.callbacks import CheckpointCallback
from tests.training.examples import At, Linear, Noisy, make_trainer, points, weights_of
from tests.training.test_steps_per_call import Small

LONG = 1_000_000
NUM_STEPS = 13  # of 100 samples in batches of 8, the last one of four


def trained(stop: int, folder=None, resume: bool = False, model=None, epochs: int = LONG, **options):
    set_seed(3)
    callbacks = [] if folder is None else [CheckpointCallback(folder)]
    trainer = make_trainer(model or Noisy(), [*callbacks, At("on_step_end", lambda trainer: trainer.stop("enough"), stop)], **options)
    trainer.fit(points(100).to_dataloader(8), epochs=epochs, resume=resume)
    return trainer


def test_a_long_run_of_short_operations_gets_one_graph_on_torch_and_says_so(backend, lines):
    trainer = trained(3)
    is_torch = "inductor" in backend.compile_modes
    assert trainer.train_mode == ("inductor" if is_torch else "auto")
    assert any("Compiles the training step with 'inductor'" in line for line in lines) == is_torch


@pytest.mark.parametrize(
    "options", [{"epochs": 2}, {"model": Small}, {"compile": "off"}], ids=["a short run", "a model with convolutions", "asked for"]
)
def test_others_stay_as_they_are(backend, lines, options):
    options = {name: value() if isinstance(value, type) else value for name, value in options.items()}
    trainer = trained(2, **options)
    assert trainer.train_mode == options.get("compile", "auto")
    assert not any("Compiles the training step" in line for line in lines)


def test_the_mode_that_was_chosen_computes_the_same(backend):
    found, wanted = trained(2 * NUM_STEPS), trained(2 * NUM_STEPS, compile="off")
    assert found.step == wanted.step == 2 * NUM_STEPS
    for name, value in weights_of(wanted).items():
        np.testing.assert_allclose(weights_of(found)[name], value, rtol=2e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("stop", [5, NUM_STEPS])
def test_a_run_that_is_resumed_in_that_mode_is_the_same_to_the_bit(backend, tmp_path, stop):
    wanted = weights_of(trained(20))
    trained(stop, tmp_path)
    found = weights_of(trained(20, tmp_path, resume=True))
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_the_first_step_counts_once(backend):
    """To write a graph down the step is run once more; what that run did is taken back."""
    found, wanted = trained(1, model=Linear()), trained(1, model=Linear(), compile="off")
    for name, value in weights_of(wanted).items():
        np.testing.assert_allclose(weights_of(found)[name], value, rtol=2e-5, atol=1e-6, err_msg=name)
