"""A GAN's step, written once: two optimizers, batch norm, dropout, stop_gradient. The judge is a loop by hand in PyTorch in float64."""

from typing import Any

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.core import Module
from babel_dl.errors import GradientError
from babel_dl.model.layers import Activation, BatchNormalization, Dropout, FullyConnected, Sequential
from babel_dl.training import Trainer
from babel_dl.training.callbacks import Callback
from babel_dl.training.optimizers import SGD
from tests.training.custom_steps import GAN, Twin, pictures, values_of
from tests.training.duel import rows

NUM_EPOCHS = 7
TOLERANCE = 1e-5
"""Relative, for each loss of 42 steps; measured are 5e-7 on each backend."""


class Means(Callback):
    """Keeps the means over the epoch so far, as they are after each step."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def on_metrics(self, trainer: Any, metrics: dict[str, float]) -> None:
        """Copies them."""
        self.rows.append(dict(metrics))


def assert_state(trainer: GAN, twin: Twin, num_steps: int) -> None:
    """Weights, statistics and counters after so many steps."""
    ours = values_of(trainer)
    for path, value in twin.canonical().items():
        np.testing.assert_allclose(ours[path], value, rtol=1e-4, atol=1e-5, err_msg=path)
    assert ours["/generator/layers/2/num_batches_tracked"] == num_steps
    assert ours["/discriminator/layers/1/num_batches_tracked"] == 3 * num_steps
    assert ours["/discriminator/layers/2/random/counter"] == 3 * num_steps
    assert ours["/random/counter"] == num_steps


def test_losses_weights_and_statistics_are_those_of_a_hand_written_loop(backend: Backend) -> None:
    """The losses of each step, by the means so far of each epoch."""
    loader, means = pictures().to_dataloader(8), Means()
    trainer = GAN([means], log_every=1)
    trainer.prepare(next(iter(loader.batches(0))))
    twin = Twin(trainer)
    trainer.fit(loader, pictures(16), epochs=NUM_EPOCHS)
    rows = iter(means.rows)
    for epoch in range(NUM_EPOCHS):
        steps = list(twin.steps(loader.batches(epoch)))
        for count in range(1, len(steps) + 1):
            expected = {name: np.mean([step[name] for step in steps[:count]]) for name in steps[0]}
            assert next(rows) == pytest.approx(expected, rel=TOLERANCE)
    assert_state(trainer, twin, len(means.rows))


def test_uncompiled_steps_give_the_same(backend: Backend) -> None:
    trainer, batches = GAN(compile="off"), list(pictures(16).to_dataloader(8).batches(0))
    trainer.prepare(batches[0])
    twin = Twin(trainer)
    for batch, expected in zip(batches, twin.steps(batches), strict=True):
        found = {name: float(trainer.backend.to_numpy(value)) for name, value in trainer.compiled_train_step(batch).items()}
        assert found == pytest.approx(expected, rel=TOLERANCE)
    assert_state(trainer, twin, len(batches))


# -------------------------------------------------------------------- who learns


def small_net(size: int) -> Module:
    """Two layers with batch norm and dropout between them."""
    return Sequential(FullyConnected(6), BatchNormalization(), Dropout(0.25), Activation("tanh"), FullyConnected(size))


class Turn(Trainer):
    """The generator's turn alone; the discriminator only answers."""

    def __init__(self, mode: str = "auto") -> None:
        super().__init__(callbacks=[], compile=mode, optimizers={name: SGD(0.125, momentum=0.5) for name in ("generator", "discriminator")})
        self.generator, self.discriminator = small_net(4), small_net(1)

    def please(self, z: Any) -> tuple[Any, Any]:
        """The generator's loss, and what it made."""
        fake = self.generator(z)
        return ops.mean(ops.softplus(-self.discriminator(fake))), fake

    def train_step(self, batch: Any) -> Any:
        """The turn."""
        return self.minimize(lambda: self.please(self.random.normal((len(batch[0].x), 3)))[0], over="generator")

    def evaluate_step(self, batch: Any) -> Any:
        """Nothing."""
        return ops.zeros(())


BATCH = next(iter(rows().to_dataloader(8).batches(0)))


def moved(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> set[str]:
    return {path for path, value in before.items() if value.tobytes() != after[path].tobytes()}


def prepared(trainer: Turn) -> Turn:
    trainer.prepare(BATCH)
    return trainer


def test_only_what_is_in_the_scope_learns_and_the_state_of_all_that_ran_moves(backend: Backend) -> None:
    trainer = prepared(Turn())
    before = values_of(trainer)
    for _ in range(3):
        trainer.compiled_train_step(BATCH)
    state = {f"/{net}/layers/{name}" for net in ("generator", "discriminator") for name in (
        "1/running_mean", "1/running_var", "1/num_batches_tracked", "2/random/counter")}
    weights = {path for path in before if path.startswith("/generator") and path.endswith(("weight", "bias"))}
    # A bias in front of a batch norm has no effect, and so no gradient but for rounding.
    still = {"/generator/layers/0/bias"}
    assert moved(before, values_of(trainer)) | still == state | weights | {"/random/counter"}
    assert [name for name in trainer.optimizers["optimizers/discriminator"].named_variables if "momentum" in name] == []


@pytest.mark.parametrize("mode", ["auto", "off"])
def test_frozen_parts_get_no_update_and_the_others_learn_as_if_nothing_was_frozen(backend: Backend, mode: str) -> None:
    frozen, free = prepared(Turn(mode)), prepared(Turn(mode))
    frozen.generator.freeze("/layers/0/*")
    frozen.compile_steps()
    before = values_of(frozen)
    for trainer in (frozen, free):
        trainer.compiled_train_step(BATCH)
    assert "/generator/layers/0/weight" not in moved(before, values_of(frozen))
    first, second = values_of(frozen), values_of(free)
    for name in ("4/weight", "4/bias", "1/weight", "1/bias", "1/running_mean"):
        assert f"/generator/layers/{name}" in moved(before, first)
        np.testing.assert_allclose(first[f"/generator/layers/{name}"], second[f"/generator/layers/{name}"], rtol=1e-5, atol=1e-7)
    frozen.generator.freeze("/layers/0/*", frozen=False)
    frozen.compile_steps()
    frozen.compiled_train_step(BATCH)
    assert "/generator/layers/0/weight" in moved(before, values_of(frozen))


def test_a_stopped_gradient_leaves_nothing_to_learn_from(backend: Backend) -> None:
    class Stopped(Turn):
        def train_step(self, batch: Any) -> Any:
            fake = self.generator(self.random.normal((len(batch[0].x), 3)))
            return self.minimize(lambda: ops.mean(self.discriminator(ops.stop_gradient(fake))), over="generator")

    with pytest.raises(GradientError, match="does not depend on /generator/layers/0/weight, /generator/layers/0/bias,"):
        Stopped().fit(rows(8), epochs=1)


def test_what_comes_from_outside_of_the_function_is_a_constant_with_and_without_a_stop(backend: Backend) -> None:
    """The discriminator learns the same from the generator's images, whether or not their gradient is stopped by name."""

    class Both(Turn):
        stop: Any = staticmethod(lambda x: x)

        def train_step(self, batch: Any) -> Any:
            g, fake = self.minimize(lambda: self.please(self.random.normal((len(batch[0].x), 3))), over="generator", has_aux=True)
            return {"g": g, "d": self.minimize(lambda: ops.mean(ops.softplus(self.discriminator(self.stop(fake)))), over="discriminator")}

    class Stopping(Both):
        stop = staticmethod(ops.stop_gradient)

    one, other = prepared(Both()), prepared(Stopping())
    for _ in range(3):
        for trainer in (one, other):
            trainer.compiled_train_step(BATCH)
    assert moved(values_of(one), values_of(other)) == set()
