"""A GAN's step, written once: two optimizers, batch norm, dropout, stop_gradient. The judge is a loop by hand in PyTorch in float64."""

from typing import Any

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.errors import GradientError
from babel_dl.training.callbacks import Callback
from tests.training.custom_steps import GAN, Twin, pictures, values_of

TOLERANCE = 1e-5
"""Relative, for each loss of 42 steps; measured are 5e-7 on each backend."""


def numbers(trainer: GAN, batch: Any) -> dict[str, float]:
    """What one compiled step gives."""
    found = {name: float(trainer.backend.to_numpy(value)) for name, value in trainer.compiled_train_step(batch).items()}
    trainer.progress.step += 1
    return found


def prepared(**options: Any) -> tuple[GAN, list[Any]]:
    """A trainer that made no step yet, and the batches of seven epochs."""
    trainer, loader = GAN(**options), pictures().to_dataloader(8)
    batches = [batch for epoch in range(7) for batch in loader.batches(epoch)]
    trainer.prepare(batches[0])
    return trainer, batches


@pytest.mark.parametrize("mode", ["auto", "off"])
def test_losses_weights_and_statistics_are_those_of_a_hand_written_loop(backend: Backend, mode: str) -> None:
    trainer, batches = prepared(compile=mode)
    batches = batches if mode == "auto" else batches[:6]
    twin = Twin(trainer)
    for batch, expected in zip(batches, twin.steps(batches), strict=True):
        found = numbers(trainer, batch)
        assert found == pytest.approx(expected, rel=TOLERANCE)
    ours = values_of(trainer)
    for path, value in twin.canonical().items():
        np.testing.assert_allclose(ours[path], value, rtol=1e-4, atol=1e-5, err_msg=path)
    assert ours["/generator/layers/2/num_batches_tracked"] == len(batches)
    assert ours["/discriminator/layers/1/num_batches_tracked"] == 3 * len(batches)
    assert ours["/discriminator/layers/2/random/counter"] == 3 * len(batches)
    assert ours["/random/counter"] == len(batches)


def test_fit_gives_the_same_numbers(backend: Backend) -> None:
    class Losses(Callback):
        def __init__(self) -> None:
            self.rows: list[dict[str, float]] = []

        def on_train_end(self, trainer: Any, metrics: dict[str, float]) -> None:
            self.rows.append(metrics)

    judge, _ = prepared()
    twin, loader, listener = Twin(judge), pictures().to_dataloader(8), Losses()
    expected = [list(twin.steps(loader.batches(epoch))) for epoch in range(3)]
    trainer = GAN([listener])
    trainer.fit(loader, pictures(16), epochs=3)
    for row, steps in zip(listener.rows, expected, strict=True):
        assert row == pytest.approx({name: np.mean([step[name] for step in steps]) for name in steps[0]}, rel=TOLERANCE)


def moved(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> set[str]:
    return {path for path, value in before.items() if value.tobytes() != after[path].tobytes()}


class Turn(GAN):
    """Only the generator's turn."""

    def train_step(self, batch: Any) -> Any:
        """The discriminator only answers."""
        return self.minimize(lambda: self.generated(self.random.normal((len(batch[0].image), 6)))[0], over="generator")


def test_only_what_is_in_the_scope_learns_and_the_state_of_all_that_ran_moves(backend: Backend) -> None:
    trainer = Turn()
    batch = next(iter(pictures().to_dataloader(8).batches(0)))
    trainer.prepare(batch)
    before = values_of(trainer)
    for _ in range(3):
        trainer.compiled_train_step(batch)
    state = {
        f"/generator/layers/2/{name}" for name in ("running_mean", "running_var", "num_batches_tracked")
    } | {f"/discriminator/layers/1/{name}" for name in ("running_mean", "running_var", "num_batches_tracked")}
    counters = {"/generator/layers/4/random/counter", "/discriminator/layers/2/random/counter", "/random/counter"}
    weights = {path for path in before if path.startswith("/generator") and path.endswith(("weight", "bias"))}
    assert moved(before, values_of(trainer)) == state | counters | weights
    assert [name for name in trainer.optimizers["optimizers/discriminator"].named_variables if "moment" in name] == []


@pytest.mark.parametrize("mode", ["auto", "off"])
def test_frozen_parts_get_no_update_and_the_others_learn_as_if_nothing_was_frozen(backend: Backend, mode: str) -> None:
    frozen, free = (Turn(compile=mode) for _ in range(2))
    batch = next(iter(pictures().to_dataloader(8).batches(0)))
    for trainer in (frozen, free):
        trainer.prepare(batch)
    frozen.generator.freeze("/layers/0/*")
    frozen.compile_steps()
    before = values_of(frozen)
    for trainer in (frozen, free):
        trainer.compiled_train_step(batch)
    changed = moved(before, values_of(frozen))
    assert not {"/generator/layers/0/weight", "/generator/layers/0/bias"} & changed
    assert {"/generator/layers/5/weight", "/generator/layers/5/bias", "/generator/layers/2/weight"} <= changed
    first, second = values_of(frozen), values_of(free)
    for path in ("/generator/layers/5/weight", "/generator/layers/2/bias", "/generator/layers/2/running_mean"):
        np.testing.assert_allclose(first[path], second[path], rtol=1e-5, atol=1e-7)
    frozen.generator.freeze("/layers/0/*", frozen=False)
    frozen.compile_steps()
    frozen.compiled_train_step(batch)
    assert {"/generator/layers/0/weight", "/generator/layers/0/bias"} <= moved(before, values_of(frozen))


def test_a_stopped_gradient_leaves_nothing_to_learn_from(backend: Backend) -> None:
    class Stopped(GAN):
        def train_step(self, batch: Any) -> Any:
            fake = self.generator(self.random.normal((len(batch[0].image), 6)))
            return self.minimize(lambda: self.score(ops.stop_gradient(fake), 1.0), over="generator")

    trainer = Stopped()
    with pytest.raises(GradientError, match="does not depend on /generator/layers/0/weight, /generator/layers/0/bias,"):
        trainer.fit(pictures(8), epochs=1)


def test_the_discriminators_gradient_does_not_depend_on_a_stop_outside_of_its_scope(backend: Backend) -> None:
    """Pictures that come from outside of the function are constants for it already: stop_gradient says what is so anyway."""

    class Unstopped(GAN):
        def train_step(self, batch: Any) -> Any:
            real = batch[0].image
            g, fake = self.minimize(lambda: self.generated(self.random.normal((len(real), 6))), over="generator", has_aux=True)
            d, on_real = self.minimize(lambda: self.told_apart(real, fake), over="discriminator", has_aux=True)
            return {"g": g, "d": d, "d_real": on_real}

    batches = list(pictures().to_dataloader(8).batches(0))
    one, other = GAN(), Unstopped()
    for trainer in (one, other):
        trainer.prepare(batches[0])
    for batch in batches:
        assert numbers(one, batch) == numbers(other, batch)
