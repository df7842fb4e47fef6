"""Optimizers, schedules and callbacks by name, and trainers with steps of their own, in a training in one call."""

import dataclasses
from typing import Any

import numpy as np
import pytest

import babel_dl
from babel_dl.core.registry import OPTIMIZERS, SCHEDULES
from babel_dl.errors import ArgumentError, CallbackError
from babel_dl.training.callbacks import Callback, CheckpointCallback, EarlyStopping, LogCallback, ReduceLROnPlateau
from babel_dl.training.optimizers import SGD, Adam, AdamW
from babel_dl.training.optimizers.learning_rates import Const, Cosine, Exponential, LearningRateSchedule, LinearWarmUp, OneCycle, StepDecay
from babel_dl.training.short_form.optimization import Extent, choose_optimizer
from tests.training.examples import At
from tests.training.short_parts import Rivals, Scores, columns

pytestmark = pytest.mark.usefixtures("elsewhere")
EXTENT = Extent(steps=120, steps_per_epoch=40)


def schedule_of(spec: Any, lr: float = 0.1, extent: Extent = EXTENT) -> LearningRateSchedule | None:
    return choose_optimizer({"optimizer": "adam", "lr": lr}, spec, extent).optimizer.schedule


# ---------------------------------------------------------------- optimizers


@pytest.mark.parametrize(
    ("spec", "kind", "numbers"),
    [
        (None, Adam, {"initial_lr": 1e-3, "beta1": 0.9}),
        ("adamw", AdamW, {"initial_lr": 1e-3, "weight_decay": 0.01}),
        ("SGD", SGD, {"initial_lr": 0.01, "momentum": 0.95}),
        (SGD, SGD, {"initial_lr": 0.01}),
        ({"optimizer": "adam", "lr": 2e-4, "beta1": 0.5}, Adam, {"initial_lr": 2e-4, "beta1": 0.5}),
        ({"name": "adam", "learning_rate": 2e-4}, Adam, {"initial_lr": 2e-4}),
        ({"optimizer": SGD, "initial_lr": 0.3, "clip_norm": 1.0}, SGD, {"initial_lr": 0.3, "clip_norm": 1.0}),
        (SGD(0.2), SGD, {"initial_lr": 0.2, "momentum": 0.95}),
    ],
)
def test_an_optimizer_is_a_name_a_class_a_dict_or_an_object(spec, kind, numbers):
    chosen = choose_optimizer(spec, None, EXTENT)
    assert type(chosen.optimizer) is kind
    assert {name: getattr(chosen.optimizer, name) for name in numbers} == numbers
    assert {name: chosen.settings[name] for name in numbers} == numbers
    assert chosen.optimizer.schedule is None
    assert chosen.settings["schedule"] is None


@pytest.mark.parametrize(
    ("spec", "schedule", "text"),
    [
        ("adm", None, "There is no optimizer 'adm'. Did you mean 'adam'?"),
        ({"optimizer": "adam", "betas": (0.5, 0.9)}, None, "Adam has no argument 'betas'. It is called beta1=..., beta2 here."),
        ({"optimizer": "adam", "lr": 1.0, "learning_rate": 1.0}, None, "got its learning rate twice: as lr and learning_rate"),
        ({"lr": 1.0}, None, "An optimizer as a dict says which one: {'optimizer': 'a name', 'argument': value}. This one has the keys '"),
        ({"optimizer": SGD(0.1), "momentum": 0.5}, None, "The optimizer 'SGD' is made already, and cannot take more"),
        (SGD(0.1), "cosine", r"The optimizer 'SGD' is made already, and cannot take more. .* \{'optimizer': SGD, 'lr': ..., 'schedule'"),
        (SGD(Const(0.1)), "cosine", "The optimizer 'SGD' got 2 schedules: 'cosine', Const"),
        ({"optimizer": "adam", "schedule": "cosine"}, "warmup", "The optimizer 'adam' got 2 schedules: 'warmup', 'cosine'. Leave all but"),
        (3, None, "The optimizer 'int' is 3, and must be an Optimizer of babel_dl. Names: adam"),
        (dict, None, "The optimizer 'dict' is .*, and must be an Optimizer"),
        ({"optimizer": "adam", "lr": -1.0}, None, "Adam needs initial_lr of at least 0, and got -1.0"),
    ],
)
def test_an_optimizer_that_cannot_be_made_is_refused(spec, schedule, text):
    with pytest.raises(ArgumentError, match=text):
        choose_optimizer(spec, schedule, EXTENT)


def test_an_optimizer_of_a_package_may_call_its_rate_otherwise(monkeypatch):
    class Theirs(SGD):
        def __init__(self, lr: float, speed: float = 2.0) -> None:
            super().__init__(lr * speed, momentum=0.0)

    monkeypatch.setitem(OPTIMIZERS._things, "theirs", Theirs)
    assert choose_optimizer({"optimizer": "theirs", "lr": 0.25}, None, EXTENT).optimizer.initial_lr == 0.5
    assert choose_optimizer("theirs", None, EXTENT).settings["lr"] == 0.01


# ---------------------------------------------------------------- schedules


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("const", Const(0.1)),
        ("cosine", Cosine(0.1, num_steps=120)),
        (Cosine, Cosine(0.1, num_steps=120)),
        ({"schedule": "cosine", "final_lr": 0.01}, Cosine(0.1, num_steps=120, final_lr=0.01)),
        ({"schedule": "cosine", "num_steps": 7}, Cosine(0.1, num_steps=7)),
        ("one_cycle", OneCycle(0.1, num_steps=120)),
        ("OneCycle", OneCycle(0.1, num_steps=120)),
        ("exponential", Exponential(0.1, k=0.1 / 40)),
        ("step_decay", StepDecay(0.1, drop=0.1, steps_per_drop=40)),
        ("warmup", LinearWarmUp(Const(0.1), num_steps=12)),
        ({"schedule": "warmup", "num_steps": 30}, LinearWarmUp(Const(0.1), num_steps=30)),
        ({"name": "warmup", "schedule": "cosine"}, LinearWarmUp(Cosine(0.1, num_steps=108), num_steps=12)),
        ({"name": "warmup", "num_steps": 20, "schedule": {"schedule": "cosine", "final_lr": 0.01}},
         LinearWarmUp(Cosine(0.1, num_steps=100, final_lr=0.01), num_steps=20)),
        (Cosine(0.5, num_steps=3), Cosine(0.5, num_steps=3)),
    ],
)  # fmt: skip
def test_a_schedule_gets_the_rate_and_the_length_of_the_run(spec, expected):
    assert schedule_of(spec) == expected


def test_a_schedule_may_stand_in_the_optimizer():
    chosen = choose_optimizer({"optimizer": "sgd", "lr": 0.2, "schedule": "cosine"}, None, EXTENT)
    assert chosen.optimizer.schedule == Cosine(0.2, num_steps=120)
    assert (chosen.settings["initial_lr"], chosen.settings["schedule"]["num_steps"]) == (0.2, 120)
    inside = choose_optimizer({"optimizer": "sgd", "lr": Cosine(0.4, num_steps=9)}, None, EXTENT)
    assert inside.optimizer.schedule == Cosine(0.4, num_steps=9)
    assert choose_optimizer(SGD(Cosine(0.4, num_steps=9)), None, EXTENT).optimizer.schedule == Cosine(0.4, num_steps=9)


def test_a_schedule_of_the_user_is_filled_in_by_the_names_of_its_fields(monkeypatch):
    @babel_dl.register_schedule("of_the_test_halving")
    @dataclasses.dataclass(frozen=True)
    class Halving(LearningRateSchedule):
        initial_lr: float
        num_steps: int
        times: int = 3

        def __call__(self, step: int) -> float:
            return self.initial_lr * 0.5 ** (step * self.times // self.num_steps)

    assert SCHEDULES.find("of_the_test_halving") is Halving
    assert schedule_of("of_the_test_halving") == Halving(0.1, 120)
    assert schedule_of({"schedule": "of_the_test_halving", "times": 5}) == Halving(0.1, 120, 5)


@pytest.mark.parametrize(
    ("spec", "extent", "text"),
    [
        ("cosin", EXTENT, "There is no schedule 'cosin'. Did you mean 'cosine'?"),
        ("cosine", Extent(None, 40), "The schedule 'cosine' needs num_steps.\n(.*\n)*  It follows from epochs or steps, and fit got n"),
        ("warmup", Extent(None, 40), "The schedule 'warmup' needs num_steps."),
        ({"schedule": "cosine", "steps": 3}, EXTENT, "The schedule 'cosine' has no argument 'steps'. Did you mean 'num_steps'?"),
        (0.1, EXTENT, "The schedule 'float' is 0.1, and must be a LearningRateSchedule. For a rate that stays: Const"),
        ({"name": "warmup", "schedule": "cosin"}, EXTENT, "There is no schedule 'cosin'. Did you mean 'cosine'?"),
    ],
)
def test_a_schedule_that_cannot_be_made_is_refused(spec, extent, text):
    with pytest.raises(ArgumentError, match=text):
        schedule_of(spec, extent=extent)


def test_the_rate_follows_the_schedule(backend):
    rates: list[float] = []
    watch = At("on_step_start", lambda trainer: rates.append(trainer.optimizer.learning_rate))
    options = {"optimizer": {"optimizer": "sgd", "lr": 0.1}, "schedule": "cosine", "callbacks": watch, "run_folder": False}
    babel_dl.fit(columns(), Scores, {"num_classes": 3}, epochs=2, batch_size=6, **options)
    assert rates == pytest.approx([Cosine(0.1, num_steps=8)(step) for step in range(8)], rel=1e-6)


# ---------------------------------------------------------------- callbacks


def callbacks_of(backend, given, **options) -> list[Callback]:
    result = babel_dl.fit(columns(), Scores, {"num_classes": 3}, callbacks=given, steps=1, **options)
    return result.trainer.callbacks.callbacks


def test_callbacks_join_those_that_a_trainer_has(backend):
    kinds = [type(one).__name__ for one in callbacks_of(backend, ["early_stopping", {"callback": "plateau", "patience": 2}])]
    assert kinds == ["ProgressBar", "LogCallback", "EarlyStopping", "ReduceLROnPlateau", "CheckpointCallback", "HistoryCallback"]


def test_a_callback_takes_the_place_of_one_of_its_class(backend):
    found = callbacks_of(backend, {"callback": "checkpoint", "monitor": "loss/total", "every_steps": 1})
    assert [type(one).__name__ for one in found] == ["ProgressBar", "LogCallback", "CheckpointCallback", "HistoryCallback"]
    assert next(one for one in found if isinstance(one, CheckpointCallback)).every_steps == 1


def test_a_callback_is_a_name_a_class_or_an_object(backend):
    mine = EarlyStopping(patience=7)
    assert mine in callbacks_of(backend, mine, run_folder=False)
    assert [type(one) for one in callbacks_of(backend, [LogCallback], run_folder=False)].count(LogCallback) == 1
    with pytest.raises(ArgumentError, match="There is no callback 'early_stoping'. Did you mean 'early_stopping'?"):
        callbacks_of(backend, "early_stoping", run_folder=False)
    with pytest.raises(CallbackError, match="A trainer takes callbacks, and got 3."):
        callbacks_of(backend, 3, run_folder=False)


def test_a_plateau_is_a_schedule_too(backend):
    options = {"schedule": {"schedule": "plateau", "patience": 1, "min_delta": 1e6}, "optimizer": {"optimizer": "sgd", "lr": 0.5}}
    result = babel_dl.fit(columns(), Scores, {"num_classes": 3}, epochs=3, run_folder=False, **options)
    assert result.trainer.optimizer.learning_rate == pytest.approx(0.005)  # the first epoch is the best, then twice a tenth
    assert any(isinstance(one, ReduceLROnPlateau) for one in result.trainer.callbacks.callbacks)
    described = result.settings.train_optimizers["optimizer"]["schedule"]
    assert (described["name"], described["patience"], described["factor"]) == ("plateau", 1, 0.1)


# ---------------------------------------------------------------- trainers with steps of their own

PAIR = {"generator": {"optimizer": "adam", "lr": 1e-2, "schedule": "warmup"}, "discriminator": "sgd"}


@pytest.mark.parametrize("model", ["short_rivals", Rivals])
def test_a_trainer_with_steps_of_its_own_gets_its_optimizers_by_scope(backend, model):
    result = babel_dl.fit(columns(), model, {"width": 2}, optimizers=PAIR, epochs=2, batch_size=8, debug=True)
    assert result.trainer is result.model
    assert result.trainer.step == 6
    assert set(result.metrics) == {"loss/g", "loss/d"}
    assert isinstance(result.trainer.named_optimizer("generator").schedule, LinearWarmUp)
    assert isinstance(result.trainer.named_optimizer("discriminator"), SGD)
    assert result.settings.train_loss == {}
    assert result.settings.train_optimizers["generator"]["schedule"]["num_steps"] == 1
    assert result.settings.model_config == {"width": 2}
    assert result.run_folder is not None
    assert (result.run_folder / "settings.json").exists()


def test_the_short_form_of_a_trainer_trains_what_the_trainer_trains_by_hand(backend):
    short = babel_dl.fit(columns(), Rivals, {"width": 2}, optimizers={"generator": "adam", "discriminator": "sgd"}, run_folder=False)
    by_hand = Rivals(2)
    by_hand.optimizers = {"generator": Adam(1e-3), "discriminator": SGD(0.01)}
    by_hand.callbacks = type(by_hand.callbacks)([])
    assert by_hand.fit(short.trainer._train_loader) == short.metrics


def test_a_trainer_that_is_made_already_keeps_what_it_has(backend):
    mine = Rivals(3)
    mine.optimizers = {"generator": Adam(0.5), "discriminator": Adam(0.25)}
    mine.log_every, mine.compile_mode = 3, "off"
    result = babel_dl.fit(columns(), mine, optimizers={"discriminator": "sgd"}, steps=1, run_folder=False)
    assert result.trainer is mine
    assert (mine.log_every, mine.compile_mode) == (3, "off")
    assert mine.named_optimizer("generator").initial_lr == 0.5
    assert isinstance(mine.named_optimizer("discriminator"), SGD)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"loss": "mse"}, "fit takes no loss with Rivals: it is a Trainer"),
        ({"metrics": "acc"}, "fit takes no metrics with Rivals: it is a Trainer"),
        ({"optimizers": PAIR, "schedule": "cosine"}, "fit got optimizers by name, and optimizer or schedule beside them"),
        ({"optimizers": {"generator": "adm"}}, "There is no optimizer 'adm'. Did you mean 'adam'?"),
        ({"optimizers": {"genrator": "adam"}}, "The trainer has no optimizer 'generator'. Did you mean 'genrator'?"),
    ],
)
def test_what_a_trainer_cannot_take_is_refused(backend, options, text):
    with pytest.raises(ArgumentError, match=text):
        babel_dl.fit(columns(), "short_rivals", {"width": 2}, run_folder=False, **options)


def test_a_trainer_of_one_optimizer_gets_it_by_the_short_name(backend):
    class Alone(Rivals):
        def train_step(self, batch):
            return self.minimize(lambda: self._distance(batch[0].x))

    result = babel_dl.fit(columns(), Alone, {"width": 2}, optimizer="sgd", schedule="cosine", steps=2, run_folder=False)
    assert isinstance(result.trainer.named_optimizer("optimizer").schedule, Cosine)
    assert np.isfinite(result.metrics["loss/total"])


def test_an_object_in_the_configuration_is_written_down_by_its_class(backend):
    class Judged(Rivals):
        def __init__(self, width: int, judge: Any, rule: Any = None) -> None:
            super().__init__(width)

    config = {"width": 2, "judge": Scores(3), "rule": np.float32(0.5)}
    result = babel_dl.fit(columns(), Judged, config, optimizers=PAIR, steps=1, run_folder=False)
    assert result.settings.model_config == {"width": 2, "judge": "Scores", "rule": 0.5}
