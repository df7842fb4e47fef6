"""Checkpoints while training: `latest` to go on from, `best` to use; what fits into what."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from babel_dl.errors import ArgumentError, CheckpointError, DataError
from babel_dl.training.callbacks import CheckpointCallback
from babel_dl.training.checkpoint import read_checkpoint, write_checkpoint
from babel_dl.training.optimizers import SGD, Adam
from tests.training.examples import At, Linear, Noisy, make_trainer, points, weights_of

one_backend = pytest.mark.parametrize("backend_name", ["torch"])


def progress_of(path: Path) -> dict[str, Any]:
    return read_checkpoint(path).metadata["progress"]


def scripted(trainer: Any, losses: list[float]) -> Any:
    """A trainer whose dev loss is what the script says, so that it is known which epoch is best."""
    told = trainer.callbacks.tell

    def tell(hook: str, owner: Any, *arguments: Any) -> None:
        if hook == "on_epoch_end":
            arguments = ({"loss/total": losses[trainer.epoch - 1]},)
        told(hook, owner, *arguments)

    trainer.callbacks.tell = tell
    return trainer


@one_backend
def test_latest_is_saved_after_each_training_part_and_best_after_the_best_epoch(backend, tmp_path, lines):
    trainer = scripted(make_trainer(callbacks=[CheckpointCallback(tmp_path)]), [3.0, 1.0, 2.0])
    trainer.fit(points().to_dataloader(8), epochs=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.safetensors", "latest.previous.safetensors", "latest.safetensors"]
    assert (progress_of(tmp_path / "best.safetensors")["step"], progress_of(tmp_path / "latest.safetensors")["step"]) == (6, 9)
    saved = [line.split("Saved Checkpoint: ")[1] for line in lines if "Saved Checkpoint" in line]
    name = tmp_path.name
    assert saved == [f"{name}/{file}.safetensors" for file in ("latest", "best", "latest", "best", "latest")]


@one_backend
def test_mode_max_keeps_the_highest(backend, tmp_path):
    trainer = scripted(make_trainer(callbacks=[CheckpointCallback(tmp_path, mode="max")]), [1.0, 3.0, 2.0])
    trainer.fit(points().to_dataloader(8), epochs=3)
    assert progress_of(tmp_path / "best.safetensors")["epoch"] == 2


@one_backend
def test_best_is_not_replaced_by_something_worse_after_a_resume(backend, tmp_path):
    scripted(make_trainer(callbacks=[CheckpointCallback(tmp_path)]), [3.0, 1.0]).fit(points().to_dataloader(8), epochs=2)
    resumed = scripted(make_trainer(callbacks=[CheckpointCallback(tmp_path)]), [9.0, 1.0, 2.0])
    resumed.fit(points().to_dataloader(8), epochs=3, resume=True)
    assert progress_of(tmp_path / "best.safetensors")["epoch"] == 2
    assert resumed.callbacks.callbacks[0].monitor.best == 1.0


@one_backend
def test_latest_is_saved_every_so_many_steps(backend, tmp_path):
    steps = []

    def note_saved(trainer: Any) -> None:
        if trainer.step > 1:
            steps.append(progress_of(tmp_path / "latest.safetensors")["step"])

    note = At("on_step_end", note_saved)
    make_trainer(callbacks=[CheckpointCallback(tmp_path, every_steps=2), note]).fit(points(40).to_dataloader(8))
    assert steps == [2, 2, 4, 4]


@one_backend
def test_the_files_lie_in_the_folder_of_the_run(backend, run_folder):
    make_trainer(callbacks=[CheckpointCallback()]).fit(points(8).to_dataloader(8))
    assert (Path(run_folder) / "checkpoints" / "latest.safetensors").is_file()


def test_a_resumed_run_ends_with_the_weights_of_an_unbroken_one(backend, tmp_path):
    whole = make_trainer(Noisy(), optimizer=Adam(0.01))
    whole.fit(points().to_dataloader(8), points(10, seed=1), epochs=3)
    broken = make_trainer(Noisy(), [CheckpointCallback(tmp_path, every_steps=1), At("on_step_end", lambda t: t.stop("now"), 5)],
                          optimizer=Adam(0.01))  # fmt: skip
    broken.fit(points().to_dataloader(8), points(10, seed=1), epochs=3)
    resumed = make_trainer(Noisy(), [CheckpointCallback(tmp_path)], optimizer=Adam(0.01))
    metrics = resumed.fit(points().to_dataloader(8), points(10, seed=1), epochs=3, resume=True)
    wanted, found = weights_of(whole), weights_of(resumed)
    assert all((wanted[name] == found[name]).all() for name in wanted)
    assert metrics == whole.evaluate(points(10, seed=1))


@one_backend
def test_resume_with_a_path_takes_that_file(backend, tmp_path):
    first = make_trainer()
    first.fit(points().to_dataloader(8))
    first.save(tmp_path / "mine")
    second = make_trainer()
    second.fit(points().to_dataloader(8), epochs=2, resume=str(tmp_path / "mine"))
    assert second.step == 6


@one_backend
def test_resume_without_a_checkpoint_callback_is_refused(backend):
    text = "fit(resume=True) looks for a CheckpointCallback among the callbacks, and there is none. Give a path instead."
    with pytest.raises(ArgumentError, match=re.escape(text)):
        make_trainer().fit(points(), resume=True)


@one_backend
def test_resume_before_anything_was_saved_is_refused(backend, tmp_path):
    with pytest.raises(CheckpointError, match=r"No checkpoint 'latest' in '.*'.\n  Check the folder, or train first."):
        make_trainer(callbacks=[CheckpointCallback(tmp_path)]).fit(points(), resume=True)
    with pytest.raises(CheckpointError, match=r"There is no checkpoint file '.*nowhere'"):
        make_trainer().fit(points(), resume=tmp_path / "nowhere")


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.unlink()
    path.write_bytes(content)


@one_backend
def test_a_damaged_latest_falls_back_to_the_one_before_and_says_so(backend, tmp_path, lines):
    make_trainer(callbacks=[CheckpointCallback(tmp_path)]).fit(points().to_dataloader(8), epochs=2)
    damage(tmp_path / "latest.safetensors")
    steps = []
    note = At("on_fit_start", lambda trainer: steps.append(trainer.step))
    make_trainer(callbacks=[CheckpointCallback(tmp_path), note]).fit(points().to_dataloader(8), epochs=2, resume=True)
    assert steps == [3]
    warnings = [line for line in lines if " WARN " in line]
    assert "is damaged" in warnings[0] and "Going on from the one before" in warnings[-1]


@one_backend
def test_a_damaged_file_that_was_named_is_refused_and_nothing_is_changed(backend, tmp_path):
    trainer = make_trainer()
    trainer.fit(points().to_dataloader(8))
    trainer.save(tmp_path / "here")
    damage(tmp_path / "here")
    before = weights_of(trainer)
    with pytest.raises(CheckpointError, match=r"The checkpoint '.*here' is damaged: .*\n.*nothing of it was loaded"):
        trainer.fit(points().to_dataloader(8), epochs=2, resume=tmp_path / "here")
    assert all((before[name] == value).all() for name, value in weights_of(trainer).items())


@one_backend
def test_a_checkpoint_of_another_model_is_refused_and_every_name_is_listed(backend, tmp_path):
    other = make_trainer(Linear())
    other.fit(points().to_dataloader(8))
    other.save(tmp_path / "other")
    trainer = make_trainer(Noisy())
    trainer.prepare(next(iter(points().to_dataloader(8))))
    before = weights_of(trainer)
    with pytest.raises(CheckpointError, match="The values do not fit into SupervisedTrainer:") as caught:
        trainer.load(tmp_path / "other")
    for name in ("model/layers/0/weight", "model/layers/1/running_mean", "optimizer/momentum/layers/0/weight"):
        assert f"missing: {name} (" in str(caught.value)
    for name in ("model/dense/weight", "model/dense/bias", "optimizer/momentum/dense/weight"):
        assert f"unexpected: {name} (" in str(caught.value)
    assert "Nothing was changed; make it with the same configuration." in str(caught.value)
    assert all((before[name] == value).all() for name, value in weights_of(trainer).items())


@one_backend
def test_a_checkpoint_of_another_optimizer_is_refused(backend, tmp_path):
    trainer = make_trainer(optimizer=SGD(0.1))
    trainer.fit(points().to_dataloader(8))
    trainer.save(tmp_path / "sgd")
    with pytest.raises(CheckpointError, match=r"missing: optimizer/first_moment/dense/bias \(3,\)"):
        make_trainer(optimizer=Adam()).fit(points(), resume=tmp_path / "sgd")


@one_backend
def test_a_checkpoint_of_something_else_is_refused(backend, tmp_path):
    write_checkpoint(tmp_path / "table", {"x": np.ones(3)}, {"kind": "recipe"})
    with pytest.raises(CheckpointError, match="This checkpoint holds 'recipe', not the state of a trainer."):
        make_trainer().fit(points(), resume=tmp_path / "table")


@one_backend
def test_a_place_in_mid_epoch_means_nothing_to_a_loader_with_other_batches(backend, tmp_path):
    first = make_trainer(callbacks=[At("on_step_end", lambda trainer: trainer.save(tmp_path / f"step{trainer.step}"))])
    first.fit(points().to_dataloader(8))
    text = "Training stands behind batch 2 of an epoch of 3 batches, and this loader has 5 in an epoch.\n  Go on with the batch size"
    with pytest.raises(DataError, match=re.escape(text)):
        make_trainer().fit(points().to_dataloader(4), resume=tmp_path / "step2")
    at_the_end = make_trainer()
    at_the_end.fit(points().to_dataloader(4), epochs=2, resume=tmp_path / "step3")
    assert at_the_end.step == 3 + 5


@one_backend
def test_a_checkpoint_holds_configuration_seed_and_versions_for_the_record(backend, tmp_path):
    from babel_dl import Module, use_seed

    with use_seed(7):
        trainer = make_trainer(optimizer=SGD(0.1, weight_decay=0.5))
    assert isinstance(trainer.model, Module)
    trainer.fit(points().to_dataloader(8))
    trainer.save(tmp_path / "here")
    metadata = read_checkpoint(tmp_path / "here").metadata
    assert (metadata["seed"], metadata["backend"], metadata["trainer"]) == (7, "torch", "SupervisedTrainer")
    assert metadata["optimizers"]["optimizer"]["weight_decay"] == 0.5
    assert metadata["progress"] == {"step": 3, "epoch": 1, "position": 0, "num_epochs": 1, "steps_per_epoch": 3}
