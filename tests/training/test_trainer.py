"""What a trainer computes: means, predictions, epochs; what learns and what does not. The judge of numbers is numpy."""

from collections import namedtuple
from typing import Any

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.core import RandomStream
from babel_dl.data import ArrayDataset
from babel_dl.errors import ArgumentError, DataError, GradientError
from babel_dl.model.layers import FullyConnected
from babel_dl.training import Trainer
from babel_dl.training.callbacks import EarlyStopping, LearningRateUpdateCallback
from babel_dl.training.optimizers import SGD
from babel_dl.training.optimizers.learning_rates import Exponential, OneCycle
from tests.training.examples import At, CrossEntropy, Linear, Noisy, Outputs, Recorder, cross_entropy, make_trainer, points, weights_of


def logits_of(trainer: Any, x: np.ndarray) -> np.ndarray:
    """The answer of `Linear`, by numpy."""
    values = trainer.model.state_dict()
    return x @ values["/dense/weight"] + values["/dense/bias"]


def columns(data: ArrayDataset) -> tuple[np.ndarray, np.ndarray]:
    return np.stack([inputs.x for inputs, _ in data]), np.array([int(outputs.label) for _, outputs in data])


def test_evaluate_gives_the_means_over_all_samples_with_a_smaller_last_batch(backend):
    data, trainer = points(21), make_trainer()
    trainer.fit(points().to_dataloader(8))
    found = trainer.evaluate(data.to_dataloader(8, shuffle=False))
    x, labels = columns(data)
    logits = logits_of(trainer, x)
    assert found["loss/total"] == pytest.approx(cross_entropy(logits, labels).mean(), rel=1e-5)
    assert found["metrics/ca"] == pytest.approx((logits.argmax(axis=1) == labels).mean(), rel=1e-6)


def test_the_means_of_training_cover_all_steps_of_the_epoch(backend):
    recorder, losses = Recorder(), []

    def note(trainer: Any) -> None:
        batch_inputs, batch_outputs = batches[trainer.step % len(batches)]
        losses.append(cross_entropy(logits_of(trainer, batch_inputs.x), batch_outputs.label))

    loader = points(21).to_dataloader(4)
    batches = list(loader.batches(0, 0))
    make_trainer(callbacks=[At("on_step_start", note), recorder], log_every=2).fit(loader)
    told = {name: arguments[0] for name, *arguments in recorder.arguments if name == "on_train_end"}
    assert len(losses) == 6
    assert told["on_train_end"]["loss/total"] == pytest.approx(np.concatenate(losses).mean(), rel=1e-5)


def test_predict_answers_in_the_order_of_the_dataset(backend):
    data, trainer = points(11), make_trainer()
    trainer.prepare(next(iter(data.to_dataloader(4))))
    answers = trainer.predict(data.to_dataloader(4, shuffle=True))
    assert [type(answer) for answer in answers] == [Outputs] * 11
    np.testing.assert_allclose(np.stack([answer.label for answer in answers]), logits_of(trainer, columns(data)[0]), rtol=1e-5, atol=1e-6)


def test_predict_is_in_evaluation_mode_and_leaves_the_mode_alone(backend):
    trainer = make_trainer(Noisy())
    trainer.fit(points().to_dataloader(8))
    first, second = trainer.predict(points(5)), trainer.predict(points(5))
    np.testing.assert_array_equal(np.stack([a.label for a in first]), np.stack([a.label for a in second]))
    assert trainer.model.training


def test_a_dataset_serves_in_the_place_of_a_loader(backend):
    by_dataset, by_loader = make_trainer(), make_trainer()
    assert by_dataset.fit(points(40)) == by_loader.fit(points(40).to_dataloader())
    assert by_dataset.evaluate(points(7)) == by_loader.evaluate(points(7).to_dataloader())


def test_epochs_are_counted_from_the_first_of_the_trainer(backend):
    twice, once = make_trainer(), make_trainer()
    twice.fit(points().to_dataloader(8), epochs=1)
    assert (twice.epoch, twice.step) == (1, 3)
    twice.fit(points().to_dataloader(8), epochs=2)
    once.fit(points().to_dataloader(8), epochs=2)
    assert (twice.epoch, twice.step) == (once.epoch, once.step) == (2, 6)
    first, second = weights_of(twice), weights_of(once)
    assert all((first[name] == second[name]).all() for name in first)


def test_fit_with_no_epoch_left_evaluates_and_says_so(backend, lines):
    trainer, data = make_trainer(), points(10, seed=1)
    trained = trainer.fit(points().to_dataloader(8), data, epochs=1)
    before = weights_of(trainer)
    assert trainer.fit(points().to_dataloader(8), data, epochs=1) == trained
    assert all((before[name] == value).all() for name, value in weights_of(trainer).items())
    assert lines[-1].endswith("INFO Nothing to train: 1 epochs (3 steps) are done, and 1 epochs were asked for in all.")


def test_fit_returns_the_means_of_the_dev_data(backend):
    trainer, data = make_trainer(), points(10, seed=1)
    assert trainer.fit(points().to_dataloader(8), data, epochs=2) == trainer.evaluate(data)


def test_training_makes_the_loss_small(backend):
    trainer = make_trainer(optimizer=SGD(0.3))
    metrics = trainer.fit(points(200).to_dataloader(20), points(100, seed=1), epochs=3)
    assert metrics["metrics/ca"] > 0.9


# ---------------------------------------------------------------- what learns


def test_a_frozen_parameter_does_not_change(backend):
    trainer = make_trainer()
    trainer.prepare(next(iter(points().to_dataloader(8))))
    trainer.model.freeze("/dense/bias")
    before = trainer.model.state_dict()
    trainer.fit(points().to_dataloader(8))
    after = trainer.model.state_dict()
    np.testing.assert_array_equal(after["/dense/bias"], before["/dense/bias"])
    assert (after["/dense/weight"] != before["/dense/weight"]).any()


def test_freezing_between_two_fits_takes_effect(backend):
    trainer = make_trainer()
    trainer.fit(points().to_dataloader(8), epochs=1)
    trainer.model.freeze("/dense/weight")
    before = trainer.model.state_dict()
    trainer.fit(points().to_dataloader(8), epochs=2)
    frozen = trainer.model.state_dict()
    trainer.model.freeze("/dense/weight", frozen=False)
    trainer.fit(points().to_dataloader(8), epochs=3)
    np.testing.assert_array_equal(frozen["/dense/weight"], before["/dense/weight"])
    assert (frozen["/dense/bias"] != before["/dense/bias"]).any()
    assert (trainer.model.state_dict()["/dense/weight"] != frozen["/dense/weight"]).any()


def test_a_callback_thaws_a_layer_before_an_epoch(backend):
    trainer = make_trainer(callbacks=[At("on_epoch_start", lambda trainer: trainer.model.freeze("/dense/weight", trainer.epoch < 1))])
    trainer.prepare(next(iter(points().to_dataloader(8))))
    weights = []
    for epochs in (1, 2):
        trainer.fit(points().to_dataloader(8), epochs=epochs)
        weights.append(trainer.model.state_dict()["/dense/weight"])
    fresh = make_trainer()
    fresh.prepare(next(iter(points().to_dataloader(8))))
    np.testing.assert_array_equal(weights[0], fresh.model.state_dict()["/dense/weight"])
    assert (weights[1] != weights[0]).any()


def test_a_model_that_is_frozen_as_a_whole_can_be_evaluated_and_not_trained(backend):
    trainer = make_trainer()
    trainer.prepare(next(iter(points().to_dataloader(8))))
    trainer.model.freeze()
    assert trainer.evaluate(points(5))["loss/total"] > 0
    with pytest.raises(GradientError, match="There is no trainable variable to take a gradient for"):
        trainer.fit(points().to_dataloader(8))


def test_a_parameter_that_the_loss_does_not_use_is_named(backend):
    class Wasteful(Linear):
        def build(self, x: Any) -> None:
            self.unused = self.variable("unused", (2,))

    with pytest.raises(GradientError, match=r"does not depend on /unused.*\n.*freeze\('/unused'\)"):
        make_trainer(Wasteful()).fit(points().to_dataloader(8))


def test_a_loss_with_parameters_of_its_own_learns_too(backend):
    class Scaled(CrossEntropy):
        def build(self, *args: Any) -> None:
            self.scale = self.variable("scale", (), "ones")

        def call(self, y_pred: Any, y_true: Any) -> Any:
            return super().call(Outputs(y_pred.label * self.scale), y_true)

    trainer = make_trainer(loss=Scaled())
    trainer.fit(points().to_dataloader(8))
    assert trainer.loss.scale.numpy() != 1.0


# ---------------------------------------------------------------- custom steps

Noise = namedtuple("Noise", ["image"])
Nothing = namedtuple("Nothing", ["nothing"])


class Adversaries(Trainer):
    """A small GAN on points: two modules, two optimizers, one step; noise is drawn inside of it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.generator, self.critic = FullyConnected(4), FullyConnected(1)
        self.generator_optimizer, self.critic_optimizer = SGD(0.1, momentum=0.5), SGD(0.2, momentum=0.0)
        self.random = RandomStream()

    def losses(self, real: Any) -> tuple[Any, Any]:
        fake = self.generator(self.random.normal((real.shape[0], 2)))
        return -self.critic(fake).mean(), self.critic(ops.stop_gradient(fake)).mean() - self.critic(real).mean()

    def train_step(self, batch: Any) -> dict[str, Any]:
        real = batch[0].image
        g = self.minimize(lambda: self.losses(real)[0], over=[self.generator], using=self.generator_optimizer)
        d = self.minimize(lambda: self.losses(real)[1], over=[self.critic], using=self.critic_optimizer)
        return {"g": g, "d": d}

    def evaluate_step(self, batch: Any) -> dict[str, Any]:
        g, d = self.losses(batch[0].image)
        return {"g": g, "d": d}


def real_points(num_samples: int = 12) -> ArrayDataset:
    image = np.random.default_rng(3).normal(2.0, 1.0, (num_samples, 4)).astype(np.float32)
    return ArrayDataset(Noise(image), Nothing(np.zeros(num_samples, np.float32)), version="real")


def test_a_step_with_two_optimizers_counts_once(backend):
    trainer = Adversaries(callbacks=[])
    metrics = trainer.fit(real_points().to_dataloader(4), epochs=2)
    assert (trainer.step, trainer.epoch) == (6, 2)
    assert list(metrics) == ["g", "d"]


def test_only_the_variables_of_over_change(backend):
    class OnlyCritic(Adversaries):
        def train_step(self, batch: Any) -> Any:
            return self.minimize(lambda: self.losses(batch[0].image)[1], over=self.critic, using=self.critic_optimizer)

    trainer = OnlyCritic(callbacks=[])
    trainer.prepare(next(iter(real_points().to_dataloader(4))))
    before = weights_of(trainer)
    trainer.fit(real_points().to_dataloader(4))
    changed = {name for name, value in weights_of(trainer).items() if name not in before or (before[name] != value).any()}
    # the mean of critic(fake) - critic(real) does not depend on the critic's offset: its gradient is 0, and so is its step
    assert changed == {"critic/weight", "random/counter"}


def test_both_parts_of_an_adversarial_step_learn_by_their_own_rule(backend):
    trainer = Adversaries(callbacks=[])
    trainer.prepare(next(iter(real_points().to_dataloader(4))))
    before = weights_of(trainer)
    trainer.fit(real_points(4).to_dataloader(4))
    after = weights_of(trainer)
    # d(-critic(generator(z)).mean()) / d offset of the generator = -weight of the critic, before its own step
    np.testing.assert_allclose(
        after["generator/bias"] - before["generator/bias"], 0.1 * 1.5 * before["critic/weight"][:, 0], rtol=1e-4, atol=1e-6
    )
    assert (after["critic/weight"] != before["critic/weight"]).any()
    assert after["random/counter"] == before["random/counter"] + 2


def test_the_same_adversarial_step_gives_the_same_numbers_on_all_backends(backend_names):
    from babel_dl import use_backend

    found = {}
    for name in backend_names:
        with use_backend(name):
            found[name] = Adversaries(callbacks=[]).fit(real_points().to_dataloader(4), epochs=3)
    for metrics in found.values():
        assert metrics == pytest.approx(found[backend_names[0]], rel=1e-4, abs=1e-5)


def test_evaluation_that_draws_numbers_does_not_change_those_of_training(backend):
    found = []
    for dev in (real_points(5), None):
        trainer = Adversaries(callbacks=[])
        trainer.fit(real_points().to_dataloader(4), dev, epochs=2)
        found.append(weights_of(trainer))
    assert found[0]["random/counter"] == 12
    assert all((found[0][name] == found[1][name]).all() for name in found[0])


def test_one_optimizer_can_serve_two_scopes(backend):
    class Shared(Adversaries):
        def __init__(self) -> None:
            super().__init__(callbacks=[])
            self.generator_optimizer = self.critic_optimizer = SGD(0.1, momentum=0.5)

    trainer = Shared()
    trainer.fit(real_points().to_dataloader(4))
    names = set(trainer.critic_optimizer.named_variables)
    assert names == {"learning_rate", "momentum/weight", "momentum/bias", "momentum/1/weight", "momentum/1/bias"}


# ---------------------------------------------------------------- schedules


def test_a_schedule_advances_on_training_steps_only(backend):
    schedule, recorded = Exponential(0.1, k=0.5), []
    note = At("on_step_end", lambda trainer: recorded.append(trainer.optimizer.learning_rate))
    make_trainer(callbacks=[LearningRateUpdateCallback(schedule), note]).fit(points().to_dataloader(8), points(40, seed=1), epochs=2)
    assert recorded == [schedule(step) for step in range(6)]


def test_a_schedule_finds_its_place_after_a_resume(backend, tmp_path):
    schedule, recorded = Exponential(0.1, k=0.5), []
    note = At("on_step_end", lambda trainer: recorded.append(trainer.optimizer.learning_rate))
    save = At("on_step_end", lambda trainer: trainer.save(tmp_path / "here"), 2)
    make_trainer(callbacks=[LearningRateUpdateCallback(schedule), save]).fit(points().to_dataloader(8))
    make_trainer(callbacks=[LearningRateUpdateCallback(schedule), note]).fit(points().to_dataloader(8), epochs=2, resume=tmp_path / "here")
    assert recorded == [schedule(step) for step in range(2, 6)]


def test_one_cycle_moves_rate_and_momentum_of_compiled_steps(backend):
    schedule = OneCycle(max_lr=0.3, num_steps=6)
    trainer = make_trainer(callbacks=[LearningRateUpdateCallback(schedule)], optimizer=SGD(0.1, momentum=0.9, nesterov=False))
    data = points(20)
    trainer.prepare(next(iter(data.to_dataloader(20))))
    value = trainer.model.state_dict()["/dense/bias"].astype(np.float64)
    x, labels = columns(data)
    weight, kept_weight, kept = trainer.model.state_dict()["/dense/weight"].astype(np.float64), 0.0, 0.0
    for step in range(6):  # the rule by numpy
        probabilities = np.exp(x @ weight + value)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        error = (probabilities - np.eye(3)[labels]) / len(x)
        kept, kept_weight = (schedule.momentum(step) * k + g for k, g in ((kept, error.sum(axis=0)), (kept_weight, x.T @ error)))
        value, weight = value - schedule(step) * kept, weight - schedule(step) * kept_weight
    trainer.fit(data.to_dataloader(20), epochs=6)
    np.testing.assert_allclose(trainer.model.state_dict()["/dense/bias"], value, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(trainer.model.state_dict()["/dense/weight"], weight, rtol=1e-4, atol=1e-6)


def test_a_momentum_that_is_set_free_between_two_fits_moves_in_compiled_steps(backend):
    trainer = make_trainer(optimizer=SGD(0.1, momentum=0.9, nesterov=False))
    trainer.fit(points(8).to_dataloader(8), epochs=1)
    trainer.optimizer.let_move("momentum")
    trainer.optimizer.set("momentum", 0.0)
    x, labels = columns(points(8))
    before = trainer.model.state_dict()
    probabilities = np.exp(logits_of(trainer, x).astype(np.float64))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    trainer.fit(points(8).to_dataloader(8), epochs=2)
    step = -0.1 * (probabilities - np.eye(3)[labels]).mean(axis=0)
    np.testing.assert_allclose(trainer.model.state_dict()["/dense/bias"] - before["/dense/bias"], step, rtol=1e-4, atol=1e-6)


# ---------------------------------------------------------------- stopping, and what is refused


def test_early_stopping_ends_training_when_patience_is_over(backend, lines):
    trainer = make_trainer(callbacks=[EarlyStopping(patience=2, min_delta=100.0)])
    trainer.fit(points().to_dataloader(8), points(10, seed=1), epochs=10)
    assert trainer.epoch == 3  # the first is better than nothing, two are not better than the first
    assert "loss/total has not become better than" in trainer.progress.stop_reason


@pytest.mark.parametrize("epochs", [0, -1, 1.5, "3"])
def test_epochs_below_one_are_refused(epochs):
    with pytest.raises(ArgumentError, match="fit needs epochs of at least 1, and got"):
        make_trainer().fit(points(), epochs=epochs)


@pytest.mark.parametrize("log_every", [0, -5, 2.5])
def test_log_every_below_one_is_refused(log_every):
    with pytest.raises(ArgumentError, match=r"SupervisedTrainer needs log_every of at least 1, and got"):
        make_trainer(log_every=log_every)


@pytest.mark.parametrize("data", [[1, 2, 3], None, 7])
def test_what_is_no_data_is_refused(data):
    with pytest.raises(DataError, match=r"A trainer needs a Dataset or its loader, and got .*dataset.to_dataloader\(\)"):
        make_trainer().fit(data)


def test_a_step_before_preparing_is_refused():
    with pytest.raises(ArgumentError, match="SupervisedTrainer is not prepared. Call fit, evaluate, or prepare"):
        make_trainer().compiled_train_step(None)
