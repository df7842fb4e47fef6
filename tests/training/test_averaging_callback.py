"""`WeightAveragingCallback`: what it averages, what it evaluates with, and what checkpoints hold of it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from babel_dl.backend import Backend, use_backend
from babel_dl.core.variable import is_dry_run
from babel_dl.errors import ArgumentError, CallbackError, NonFiniteError
from babel_dl.model.layers import FullyConnected
from babel_dl.training import SupervisedTrainer, Trainer, WeightAverage
from babel_dl.training.callbacks import Callback, CheckpointCallback, LogCallback, WeightAveragingCallback, default_callbacks
from babel_dl.training.optimizers import SGD
from tests.training.examples import At, Linear, Noisy, make_trainer, points, weights_of

DECAY = 0.9


class Weights(Callback):
    """Keeps the weights after each step."""

    def __init__(self) -> None:
        self.history: list[dict[str, np.ndarray]] = []

    def on_step_end(self, trainer: Any) -> None:
        """Copies them."""
        self.history.append(parameters(trainer))


def parameters(trainer: Any) -> dict[str, np.ndarray]:
    """The weights of a trainer's model."""
    return {path: v.numpy() for path, v in trainer.model.named_variables.items() if v.is_parameter}


def averaged(history: list[dict[str, np.ndarray]], decay: float = DECAY) -> dict[str, np.ndarray]:
    """The averages after these steps, by the formula in float64."""
    averages = {path: value.astype(np.float64) for path, value in history[0].items()}
    for weights in history[1:]:
        averages = {path: decay * averages[path] + (1 - decay) * value for path, value in weights.items()}
    return averages


def averages_of(trainer: Any, name: str = "model") -> dict[str, np.ndarray]:
    return {f"/{path}": variable.numpy() for path, variable in trainer.weight_averages[name].averages.items()}


def assert_close(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for path, value in expected.items():
        np.testing.assert_allclose(found[path], value, rtol=1e-5, atol=1e-6)


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for path, value in expected.items():
        assert found[path].tobytes() == value.tobytes(), path


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("mode", ["auto", "off"])
def test_the_averages_follow_the_formula_after_each_step(backend: Backend, every: int, mode: str) -> None:
    weights = Weights()
    trainer = make_trainer(Linear(), [WeightAveragingCallback(DECAY, every=every), weights], compile=mode)
    trainer.fit(points(44).to_dataloader(4), points(8), epochs=2)
    assert_close(averages_of(trainer), averaged(weights.history[every - 1 :: every]))
    assert trainer.weight_averages["model"].num_updates.item() == 22 // every


def test_training_is_the_same_with_and_without_averages(backend: Backend) -> None:
    plain, with_averages = make_trainer(Noisy()), make_trainer(Noisy(), [WeightAveragingCallback(DECAY)])
    for trainer in (plain, with_averages):
        trainer.fit(points(24).to_dataloader(4), points(8), epochs=2)
    assert_same(parameters(with_averages), parameters(plain))


@pytest.mark.parametrize("evaluate", [True, False])
def test_dev_data_is_evaluated_with_the_averages_if_asked(backend: Backend, evaluate: bool) -> None:
    train, dev, seen = points(24).to_dataloader(4), points(12, seed=1), []
    listener = At("on_dev_step_end", lambda trainer: seen.append(parameters(trainer)))
    trainer = make_trainer(Noisy(), [WeightAveragingCallback(DECAY, evaluate=evaluate), listener])
    metrics = trainer.fit(train, dev, epochs=1)
    own, averages = parameters(trainer), averages_of(trainer)
    assert_same(seen[-1], averages if evaluate else own)
    judge = make_trainer(Noisy())
    judge.fit(train, epochs=1)
    if evaluate:
        for path, value in averages.items():
            judge.model.named_variables[path].assign(value)
    assert metrics == judge.evaluate(dev)
    assert metrics == trainer.evaluate(dev)
    assert_same(parameters(trainer), own)


def test_the_averages_are_put_in_force_for_predictions(backend: Backend) -> None:
    averaging = WeightAveragingCallback(DECAY)
    trainer, data = make_trainer(Noisy(), [averaging]), points(24)
    trainer.fit(data.to_dataloader(4), epochs=1)
    own, before = parameters(trainer), trainer.predict(data)
    with averaging.in_force():
        assert_same(parameters(trainer), averages_of(trainer))
        inside = trainer.predict(data)
    assert_same(parameters(trainer), own)
    assert np.abs(inside[0].label - before[0].label).max() > 1e-4
    np.testing.assert_array_equal(trainer.predict(data)[0].label, before[0].label)


# -------------------------------------------------------------------- errors and interrupts


class Failing(SupervisedTrainer):
    """Fails in its second evaluation step; uncompiled, for a compiled step is Python only once."""

    error: type[BaseException] = KeyError

    def __init__(self, callbacks: Any) -> None:
        parts = make_trainer(Noisy())
        super().__init__(parts.model, parts.loss, parts.optimizer, callbacks, compile="off")
        self.num_evaluated = 0

    def evaluate_step(self, batch: Any) -> Any:
        """Raises at its second run."""
        self.num_evaluated += not is_dry_run()
        if self.num_evaluated == 2:
            raise self.error("planned")
        return super().evaluate_step(batch)


class FailureListener(Callback):
    """Keeps the weights when a run ends by an error."""

    def __init__(self) -> None:
        self.seen: dict[str, np.ndarray] = {}

    def on_fit_failed(self, trainer: Any, error: BaseException) -> None:
        """Copies them."""
        self.seen = parameters(trainer)


def own_and_averages(trainer: Any) -> dict[str, np.ndarray]:
    """The weights, which must not be the averages."""
    own, averages = parameters(trainer), averages_of(trainer)
    assert max(np.abs(own[path] - averages[path]).max() for path in own) > 1e-4
    return own


def test_an_interrupted_evaluation_leaves_no_averages_in_the_checkpoint(backend: Backend, tmp_path: Any) -> None:
    """`CheckpointCallback` is told of the interrupt first, and saves."""
    straight = make_trainer(Noisy(), [WeightAveragingCallback(DECAY)], compile="off")
    straight.fit(points(24).to_dataloader(4), epochs=1)
    trainer = Failing([CheckpointCallback(tmp_path), WeightAveragingCallback(DECAY)])
    trainer.error = KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt, match="planned"):
        trainer.fit(points(24).to_dataloader(4), points(12).to_dataloader(4), epochs=1)
    assert_same(own_and_averages(trainer), parameters(straight))
    tensors = trainer.callbacks.callbacks[0].store.load("latest").tensors
    assert_same({path: tensors[f"model{path}"] for path in parameters(trainer)}, parameters(straight))


def test_a_failed_evaluation_leaves_the_weights(backend: Backend) -> None:
    listener = FailureListener()
    trainer = Failing([listener, WeightAveragingCallback(DECAY)])
    with pytest.raises(KeyError, match="planned"):
        trainer.fit(points(24).to_dataloader(4), points(12).to_dataloader(4), epochs=1)
    assert_same(listener.seen, own_and_averages(trainer))


def test_a_failed_evaluation_outside_of_fit_leaves_the_weights(backend: Backend) -> None:
    trainer = Failing([WeightAveragingCallback(DECAY)])
    trainer.fit(points(24).to_dataloader(4), epochs=1)
    own = own_and_averages(trainer)
    with pytest.raises(KeyError, match="planned"):
        trainer.evaluate(points(12).to_dataloader(4))
    assert_same(parameters(trainer), own)


def test_after_a_failed_evaluation_training_goes_on_from_the_weights(backend: Backend) -> None:
    train, dev = points(24).to_dataloader(4), points(12).to_dataloader(4)
    trainer, judge = Failing([WeightAveragingCallback(DECAY)]), make_trainer(Noisy(), [WeightAveragingCallback(DECAY)], compile="off")
    trainer.fit(train, epochs=1)
    with pytest.raises(KeyError, match="planned"):
        trainer.evaluate(dev)
    trainer.fit(train, epochs=2)
    judge.fit(train, epochs=2)
    assert_same(weights_of(trainer), weights_of(judge))


def test_a_number_that_is_not_finite_leaves_the_weights(backend: Backend) -> None:
    class Poisoned(Callback):
        def on_dev_start(self, trainer: Any) -> None:
            trainer.model.layers[1].running_var.fill(float("nan"))

    trainer = make_trainer(Noisy(), [WeightAveragingCallback(DECAY), Poisoned()])
    with pytest.raises(NonFiniteError, match="loss/total"):
        trainer.fit(points(24).to_dataloader(4), points(8), epochs=1)
    own_and_averages(trainer)


# -------------------------------------------------------------------- checkpoints


def run(folder: Any, checkpoints_first: bool, power_fails_after: int | None = None, resume: bool = False) -> SupervisedTrainer:
    """A run of eleven steps that saves after each, with the two callbacks in either order."""

    def fall(trainer: Any) -> None:
        if trainer.step == power_fails_after:
            raise KeyError("power is gone")

    saves, averages = CheckpointCallback(folder, every_steps=1), WeightAveragingCallback(DECAY, every=2)
    falls = At("on_step_end", fall)
    trainer = make_trainer(Linear(), [saves, falls, averages] if checkpoints_first else [averages, saves, falls])
    trainer.fit(points(24).to_dataloader(4), points(8), steps=11, resume=resume)
    return trainer


@pytest.mark.parametrize(("checkpoints_first", "stop"), [(True, 1), (True, 2), (True, 7), (False, 2), (False, 7)])
def test_a_resumed_run_goes_on_bit_by_bit_in_any_order_of_callbacks(
    backend: Backend, checkpoints_first: bool, stop: int, tmp_path: Any
) -> None:
    """A checkpoint that was written before the averages took its step in is set right when it is loaded."""
    with pytest.raises(CallbackError, match="power is gone"):
        run(tmp_path / "broken", checkpoints_first, stop)
    resumed = run(tmp_path / "broken", checkpoints_first, resume=True)
    whole = run(tmp_path / "whole", checkpoints_first)
    assert resumed.step == whole.step == 11
    assert_same(weights_of(resumed), weights_of(whole))


def test_the_best_checkpoint_holds_the_weights_and_the_averages_that_were_best(backend: Backend, tmp_path: Any) -> None:
    train, dev = points(24).to_dataloader(4), points(12, seed=1)

    def make() -> SupervisedTrainer:
        return make_trainer(Noisy(), [CheckpointCallback(tmp_path), WeightAveragingCallback(DECAY)], optimizer=SGD(0.5, momentum=0.9))

    trainer, losses, kept = make(), [], []
    for epoch in range(1, 6):
        losses.append(trainer.fit(train, dev, epochs=epoch)["loss/total"])
        kept.append(weights_of(trainer))
    other = make()
    other.prepare(next(iter(train.batches(0))))
    other.load(trainer.callbacks.callbacks[0].store.path("best"))
    assert_same(weights_of(other), kept[int(np.argmin(losses))])
    assert other.evaluate(dev)["loss/total"] == min(losses)


def test_averages_move_to_another_backend_with_a_checkpoint(backend: Backend, tmp_path: Any) -> None:
    trainer = make_trainer(Noisy(), [WeightAveragingCallback(DECAY)])
    trainer.fit(points(24).to_dataloader(4), epochs=1)
    trainer.save(tmp_path / "here.safetensors")
    with use_backend("torch" if backend.name != "torch" else "jax"):
        other = make_trainer(Noisy(), [WeightAveragingCallback(DECAY)])
        other.prepare(next(iter(points(4).to_dataloader(4).batches(0))))
        other.load(tmp_path / "here.safetensors")
        assert_same(weights_of(other), weights_of(trainer))


# -------------------------------------------------------------------- which modules


class Pair(Trainer):
    """Two models and two optimizers."""

    def __init__(self, callbacks: Any) -> None:
        super().__init__(callbacks=callbacks)
        self.generator, self.critics = Linear(), [Linear(), Linear()]
        self.fast, self.slow = SGD(0.1), SGD(0.01)

    def train_step(self, batch: Any) -> Any:
        """Makes logits small."""

        def size(model: Any) -> Any:
            return (model(batch[0].x).label ** 2).mean()

        first = self.minimize(lambda: size(self.generator), over=self.generator, using=self.fast)
        for critic in self.critics:
            self.minimize(lambda critic=critic: size(critic), over=critic, using=self.slow)
        return first

    def evaluate_step(self, batch: Any) -> Any:
        """The size."""
        return (self.generator(batch[0].x).label ** 2).mean()


@pytest.mark.parametrize(
    ("modules", "expected"),
    [(None, ["generator", "critics/0", "critics/1"]), (["generator"], ["generator"]), (("critics/1",), ["critics/1"])],
)
def test_all_modules_with_weights_or_the_named_ones_are_averaged(backend: Backend, modules: Any, expected: list[str]) -> None:
    trainer = Pair([WeightAveragingCallback(DECAY, modules)])
    trainer.fit(points(24).to_dataloader(4), points(8), epochs=1)
    assert list(trainer.weight_averages) == expected
    for average in trainer.weight_averages.values():
        assert average.num_updates.item() == 6


def test_modules_without_weights_are_left_out(backend: Backend) -> None:
    trainer = make_trainer(callbacks=[WeightAveragingCallback(DECAY)])
    trainer.fit(points(8), epochs=1)
    assert [name for name, average in trainer.weight_averages.items() if average.named_variables] == ["model"]


def test_two_callbacks_may_average_different_modules(backend: Backend) -> None:
    trainer = Pair([WeightAveragingCallback(0.9, ["generator"]), WeightAveragingCallback(0.5, ["critics/0"], every=2)])
    trainer.fit(points(24).to_dataloader(4), epochs=1)
    found = {name: (average.decay, average.num_updates.item()) for name, average in trainer.weight_averages.items()}
    assert found == {"generator": (0.9, 6), "critics/0": (0.5, 3)}


def test_a_trainer_knows_where_its_averages_live(backend: Backend) -> None:
    weights = Weights()
    trainer = make_trainer(Linear(), [WeightAveragingCallback(DECAY), weights])
    loader = points(24).to_dataloader(4)
    trainer.prepare(next(iter(loader.batches(0))))
    with use_backend("torch" if backend.name != "torch" else "jax"):
        trainer.fit(loader, points(8), epochs=1)
    assert trainer.weight_averages["model"].backend is backend
    assert_close(averages_of(trainer), averaged(weights.history))


def test_no_step_reads_from_the_device(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    read, counts = type(backend).to_numpy, []
    monkeypatch.setattr(type(backend), "to_numpy", lambda self, x: counts.append(1) or read(self, x))

    def reads_in_training(callbacks: list[Callback]) -> int:
        seen: list[int] = []
        edges = [At("on_train_start", lambda t: seen.append(len(counts))), At("on_train_end", lambda t: seen.append(len(counts)))]
        make_trainer(Linear(), [*callbacks, *edges]).fit(points(40).to_dataloader(4), epochs=1)
        return seen[1] - seen[0]

    assert reads_in_training([WeightAveragingCallback(DECAY)]) == reads_in_training([]) > 0


def test_averages_go_along_with_the_default_callbacks(backend: Backend, run_folder: str, lines: list[str]) -> None:
    trainer = make_trainer(Linear(), [*default_callbacks(), WeightAveragingCallback(DECAY)])
    trainer.fit(points(8), points(8), epochs=1)
    assert any("Saved Checkpoint" in line for line in lines)
    assert isinstance(trainer.callbacks.callbacks[1], LogCallback)
    assert isinstance(trainer.weight_averages["model"], WeightAverage)


# -------------------------------------------------------------------- bad input


def test_a_module_that_the_trainer_has_not_gets_a_hint(backend: Backend) -> None:
    trainer = Pair([WeightAveragingCallback(DECAY, ["genrator"])])
    with pytest.raises(CallbackError, match="is to average 'genrator', and the trainer has no such module. Did you mean 'generator'?"):
        trainer.fit(points(8), epochs=1)


def test_two_callbacks_on_one_module_are_refused(backend: Backend) -> None:
    trainer = make_trainer(callbacks=[WeightAveragingCallback(), WeightAveragingCallback(0.5, ["model"])])
    with pytest.raises(CallbackError, match="Two callbacks average the weights of model. Take one away"):
        trainer.fit(points(8), epochs=1)


def test_a_trainer_without_weights_is_refused(backend: Backend) -> None:
    trainer = make_trainer(callbacks=[WeightAveragingCallback(modules=["loss"])])
    with pytest.raises(CallbackError, match="WeightAveragingCallback finds no weights: no module of the trainer has any that can learn"):
        trainer.fit(points(8), epochs=1)


@pytest.mark.parametrize("modules", ["model", [FullyConnected], [1]])
def test_modules_are_named_in_a_list(modules: Any) -> None:
    with pytest.raises(ArgumentError, match="WeightAveragingCallback needs a list of a trainer's attributes, such as .'model'., and got"):
        WeightAveragingCallback(modules=modules)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: WeightAveragingCallback(1.0), "WeightAveragingCallback needs a decay from 0 to below 1, and got 1.0"),
    (lambda: WeightAveragingCallback(every=0), "WeightAveragingCallback needs every of at least 1, and got 0"),
])  # fmt: skip
def test_numbers_that_average_nothing_are_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()
