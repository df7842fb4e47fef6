"""A training in one call: what it trains, what it leaves behind, what it prints."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import babel_dl
from babel_dl import ops
from babel_dl.core import logging
from babel_dl.errors import ArgumentError
from babel_dl.model.layers import FullyConnected
from babel_dl.training import FitSettings, SupervisedTrainer
from babel_dl.training.callbacks import CheckpointCallback, HistoryCallback
from babel_dl.training.checkpoint import read_checkpoint
from babel_dl.training.losses import Loss, SparseCrossEntropyLossFromLogits
from babel_dl.training.metrics import SparseCategoricalAccuracy
from babel_dl.training.optimizers import SGD, Adam
from babel_dl.training.short_form.feeding import feed
from tests.training.examples import cross_entropy
from tests.training.short_parts import NUM_CLASSES, Line, Scores, columns

pytestmark = pytest.mark.usefixtures("elsewhere")


class ByHand(Loss):
    """What `loss="cross_entropy", metrics="acc"` stands for."""

    def __init__(self) -> None:
        super().__init__()
        self.ce, self.ca = SparseCrossEntropyLossFromLogits(), SparseCategoricalAccuracy()

    def call(self, y_pred, y_true):
        self.log("metrics/acc", self.ca(y_pred, y_true.y).mean())
        return self.ce(y_pred, y_true.y).mean()


def test_names_train_the_model_that_a_trainer_made_by_hand_trains(backend):
    data = columns()
    short = babel_dl.fit(
        data, "short_scores", {"num_classes": NUM_CLASSES}, loss="cross_entropy", metrics="acc", optimizer="adam", epochs=3, batch_size=8
    )
    model = Scores(NUM_CLASSES)
    trainer = SupervisedTrainer(model, ByHand(), Adam(1e-3), callbacks=[])
    numbers = trainer.fit(short.trainer._train_loader.dataset.to_dataloader(8), epochs=3)
    assert short.metrics == numbers
    assert all(np.array_equal(value, model.state_dict()[path]) for path, value in short.model.state_dict().items())


def test_the_numbers_are_those_of_the_data_to_evaluate_on(backend):
    train, dev = columns(24), columns(11, seed=1)
    result = babel_dl.fit((train, dev), "short_scores", {"num_classes": NUM_CLASSES}, metrics=["acc", "short_largest"], batch_size=4)
    values = result.model.state_dict()
    hidden = np.maximum(dev[0] @ values["/layers/0/weight"] + values["/layers/0/bias"], 0.0)
    logits = hidden @ values["/layers/1/weight"] + values["/layers/1/bias"]
    assert result.metrics == pytest.approx(
        {
            "loss/total": cross_entropy(logits, dev[1]).mean(),
            "metrics/acc": (logits.argmax(axis=1) == dev[1]).mean(),
            "metrics/short_largest": logits.max(axis=1).mean(),
        },
        rel=1e-5,
    )
    assert [answer.shape for answer in result.trainer.predict(result.trainer._train_loader)[:2]] == [(3,), (3,)]


@pytest.mark.parametrize("model", ["short_scores", Scores, Scores(NUM_CLASSES), lambda num_classes: Scores(num_classes)])
def test_a_model_is_a_name_a_class_an_object_or_a_function_that_makes_one(backend, model):
    made = Scores(NUM_CLASSES) if isinstance(model, Scores) else model  # an object stays on the backend that it was built on
    config = None if isinstance(model, Scores) else {"num_classes": NUM_CLASSES}
    result = babel_dl.fit(columns(), made, config, loss="cross_entropy", steps=2, run_folder=False)
    assert isinstance(result.model, Scores)
    assert result.model is result.trainer.model
    assert result.settings.model_class == "Scores"


def test_every_choice_is_printed_saved_and_kept_in_checkpoints(backend, lines):
    result = babel_dl.fit(
        columns(), "short_scores", {"num_classes": NUM_CLASSES}, metrics={"metric": "top_k", "k": 2}, schedule="warmup", epochs=5,
        batch_size=6, seed=12,
    )  # fmt: skip
    assert result.run_folder is not None
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d\.\d\d\.\d\d_short_scores", result.run_folder.name)
    settings = result.settings
    assert settings.model_config == {"num_classes": NUM_CLASSES, "width": 5}
    assert (settings.data_train_samples, settings.data_batch_size, settings.data_steps_per_epoch) == (24, 6, 4)
    assert (settings.train_epochs, settings.train_total_steps, settings.run_seed) == (5, 20, 12)
    assert (settings.run_backend, settings.run_device) == (backend.name, babel_dl.get_device())
    optimizer = settings.train_optimizers["optimizer"]
    assert (optimizer["name"], optimizer["initial_lr"], optimizer["beta1"]) == ("adam", 1e-3, 0.9)
    assert optimizer["schedule"]["num_steps"] == 2
    assert settings.train_loss == {"cross_entropy": {"name": "cross_entropy", "label_smoothing": 0.0}}
    assert settings.train_metrics == {"top_k": {"name": "top_k", "k": 2}}
    assert FitSettings.load(result.run_folder / "settings.json") == settings
    assert read_checkpoint(result.run_folder / "checkpoints" / "latest.safetensors").metadata["config"] == settings.to_dict()
    printed = "\n".join(lines)
    for line in ("model_config = num_classes=3, width=5", "run_seed = 12", "train_metrics = top_k=top_k(k=2)"):
        assert line in re.sub(" +", " ", printed)
    assert "adam(initial_lr=0.001, beta1=0.9" in printed
    assert "warmup(schedule=Const(initial_lr=0.001), num_steps=2, start_factor=0.0)" in printed


def test_a_run_leaves_its_log_history_and_checkpoints(backend):
    result = babel_dl.fit(columns(), Scores, {"num_classes": NUM_CLASSES}, epochs=1, run_folder="here")
    assert result.run_folder == Path.cwd() / "here"
    names = {path.relative_to(result.run_folder).as_posix() for path in result.run_folder.rglob("*") if path.is_file()}
    checkpoints = {"checkpoints/latest.safetensors", "checkpoints/best.safetensors"}
    assert names == {"log.txt", "settings.json", "history.csv", "history.jsonl", *checkpoints}
    assert logging.get_log_path() == str(result.run_folder)


def test_no_files_are_written_if_none_are_wanted(backend):
    result = babel_dl.fit(columns(), Scores, {"num_classes": NUM_CLASSES}, run_folder=False)
    assert result.run_folder is None
    assert list(Path.cwd().iterdir()) == []
    assert not [one for one in result.trainer.callbacks.callbacks if isinstance(one, (CheckpointCallback, HistoryCallback))]


def test_each_run_gets_a_folder_of_its_own(backend):
    data = columns()[0], columns()[0][:, :1]
    folders = [babel_dl.fit(data, Line, loss="mse", steps=1).run_folder for _ in range(3)]
    assert len({str(folder) for folder in folders}) == 3
    assert {folder.parent for folder in folders} == {Path.cwd() / ".logs"}


def test_the_folder_of_a_log_that_the_user_began_is_used_once(backend):
    logging.set_logger("mine/log.txt")
    data = columns()[0], columns()[0][:, :1]
    assert babel_dl.fit(data, Line, loss="mse", steps=1).run_folder == Path.cwd() / "mine"
    second = babel_dl.fit(data, Line, loss="mse", steps=1).run_folder
    assert second.parent == Path.cwd() / ".logs"
    assert second.name.endswith("_Line")


def test_a_folder_that_holds_a_run_is_not_written_over(backend):
    data = columns()[0], columns()[0][:, :1]
    babel_dl.fit(data, Line, loss="mse", steps=1, run_folder="here")
    with pytest.raises(ArgumentError, match="The folder here holds a run already. Go on with it by resume=True, or choose another"):
        babel_dl.fit(data, Line, loss="mse", steps=1, run_folder="here")


def test_a_run_goes_on_where_it_stopped(backend):
    def run(epochs, **more):
        options = {"loss": "cross_entropy", "optimizer": {"optimizer": "sgd", "lr": 0.1}, "batch_size": 8, "schedule": "exponential"}
        return babel_dl.fit(columns(), Scores, {"num_classes": NUM_CLASSES}, epochs=epochs, **options, **more)

    whole = run(4, run_folder="whole")
    run(2, run_folder="parts")
    parts = run(4, run_folder="parts", resume=True)
    assert parts.metrics == whole.metrics
    assert all(np.array_equal(value, whole.model.state_dict()[path]) for path, value in parts.model.state_dict().items())
    rows = (parts.run_folder / "history.jsonl").read_text().splitlines()
    assert [json.loads(row)["epoch"] for row in rows] == [1, 2, 3, 4]


def test_going_on_needs_a_run(backend):
    with pytest.raises(babel_dl.BabelError, match="checkpoint"):
        babel_dl.fit(columns(), Scores, {"num_classes": NUM_CLASSES}, resume=True, run_folder="nothing")


@pytest.mark.parametrize(("limits", "steps"), [({}, 3), ({"epochs": 2}, 6), ({"steps": 4}, 4), ({"epochs": 2, "steps": 5}, 5)])
def test_epochs_and_steps_end_a_run(backend, limits, steps):
    result = babel_dl.fit(columns(), Scores, {"num_classes": NUM_CLASSES}, batch_size=8, run_folder=False, **limits)
    assert result.trainer.step == steps
    assert result.settings.train_total_steps == steps


def test_time_ends_a_run(backend):
    result = babel_dl.fit(columns(), Scores, {"num_classes": NUM_CLASSES}, batch_size=8, max_time=0.3, run_folder=False)
    assert result.trainer.step >= 1
    assert result.settings.train_total_steps is None
    assert result.settings.train_max_time == 0.3


def test_debug_tries_every_phase_and_changes_no_number(backend, lines):
    plain = babel_dl.fit(columns(), Scores, {"num_classes": NUM_CLASSES}, steps=3, run_folder=False)
    tried = babel_dl.fit(columns(), Scores, {"num_classes": NUM_CLASSES}, steps=3, run_folder=False, debug=True)
    assert any("Debug:" in line for line in lines)
    assert tried.metrics == plain.metrics


def test_a_seed_decides_on_everything_and_stays_in_the_call(backend):
    before = babel_dl.core.current_seed()
    runs = [babel_dl.fit(columns(), Scores, {"num_classes": NUM_CLASSES}, seed=seed, run_folder=False, batch_size=8) for seed in (5, 5, 6)]
    values = [run.model.state_dict()["/layers/0/weight"] for run in runs]
    assert np.array_equal(values[0], values[1])
    assert not np.array_equal(values[0], values[2])
    assert [run.trainer._train_loader.seed for run in runs] == [5, 5, 6]
    assert babel_dl.core.current_seed() == before


def test_numbers_of_the_trainer_are_handed_on(backend):
    options = {"compile": "off", "accumulate": 2, "log_every": 7, "run_folder": False}
    trainer = babel_dl.fit(columns(), Scores, {"num_classes": NUM_CLASSES}, steps=2, **options).trainer
    assert (trainer.compile_mode, trainer.accumulate, trainer.log_every) == ("off", 2, 7)
    for name in ("accumulate", "log_every"):
        with pytest.raises(ArgumentError, match=f"fit needs {name} of at least 1, and got 0"):
            babel_dl.fit(columns(), Scores, {"num_classes": NUM_CLASSES}, run_folder=False, **{name: 0})


def test_a_precision_is_handed_on(backend):
    options = {"steps": 1, "batch_size": 24, "optimizer": {"optimizer": "sgd", "lr": 0.0}, "run_folder": False}
    whole = babel_dl.fit(columns(), Scores, {"num_classes": NUM_CLASSES}, **options)
    narrow = babel_dl.fit(columns(), Scores, {"num_classes": NUM_CLASSES}, precision="bf16", **options)
    assert (whole.settings.run_precision, narrow.settings.run_precision) == ("float32", "bfloat16")
    assert narrow.model.precision == "bfloat16"
    losses = [run.metrics["loss/total"] for run in (whole, narrow)]
    assert losses[0] != losses[1] == pytest.approx(losses[0], rel=2e-2)
    with pytest.raises(ArgumentError, match="There is no precision 'bf17'. Did you mean 'bf16'?"):
        babel_dl.fit(columns(), Scores, {"num_classes": NUM_CLASSES}, precision="bf17", run_folder=False)


# ---------------------------------------------------------------- slips


@pytest.mark.parametrize(
    ("model", "config", "text"),
    [
        ("short_score", None, "There is no model 'short_score'. Did you mean 'short_scores'?"),
        ("short_scores", {"num_class": 3}, r"The model 'short_scores' has no argument 'num_class'. Did you mean 'num_classes'\?\n"),
        ("short_scores", {"num_class": 3}, r"It takes: num_classes: int, width: int = 5."),
        ("short_scores", None, r"The model 'short_scores' needs num_classes.\n  It takes: num_classes: int, width: int = 5."),
        (Scores(3), {"width": 4}, "The model 'Scores' is made already, and cannot take width. Give its class or its name."),
        (3.0, None, "The model 'float' is 3.0. It must be a registered name, a class, a Module, a Trainer"),
        (dict, None, "The model 'dict' makes {}. It must make a Module, a Trainer"),
    ],
)
def test_a_model_that_cannot_be_made_is_refused(model, config, text):
    with pytest.raises(ArgumentError, match=text):
        babel_dl.fit(columns(), model, config, loss="mse", run_folder=False)


def test_optimizers_by_name_are_for_trainers(backend):
    with pytest.raises(ArgumentError, match="fit trains a model by one optimizer=...; optimizers=... are for a Trainer"):
        babel_dl.fit(columns(), Scores, {"num_classes": 3}, optimizers={"a": "adam"}, run_folder=False)


def test_an_optimizer_of_the_user_is_taken_as_it_is(backend):
    optimizer = SGD(0.5, momentum=0.0)
    result = babel_dl.fit(columns(), Scores, {"num_classes": 3}, optimizer=optimizer, steps=1, run_folder=False)
    assert list(result.trainer.optimizers.values()) == [optimizer]
    assert result.settings.train_optimizers["optimizer"]["initial_lr"] == 0.5


def test_a_named_source_to_evaluate_on_is_its_dev_split(backend):
    source = {"name": "fashion_mnist", "data": "mini"}
    found = feed(source, source, None, None, None).settings
    assert (found["train_samples"], found["dev_samples"]) == (6000, 1000)


def test_parts_of_one_of_several_losses_are_logged_below_its_name(backend):
    def parted(y_pred, y_true):
        off = y_pred - y_true
        return {"near": ops.abs(off).mean(), "far": ops.square(off).mean()}

    x, _ = columns()
    fitted = babel_dl.fit((x, x[:, :1]), FullyConnected(1), loss=[parted, "mse"], run_folder=False, callbacks=[])
    found = fitted.metrics
    assert found["loss/parted"] == pytest.approx(found["loss/parted/near"] + found["loss/parted/far"], rel=1e-5)
    assert found["loss/total"] == pytest.approx(found["loss/parted"] + found["loss/mse"], rel=1e-5)
