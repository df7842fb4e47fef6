"""What a run leaves behind for other programs: history as JSON lines and as a table, events for TensorBoard."""

import csv
import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tensorboardX.proto.event_pb2 import Event

from babel_dl.training.callbacks import HistoryCallback, TensorboardCallback
from tests.training.examples import ROOT, At, make_trainer, points

one_backend = pytest.mark.parametrize("backend_name", ["torch"])


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def places(rows: list[dict[str, Any]]) -> list[tuple[int, int, str]]:
    return [(int(row["epoch"]), int(row["step"]), row["split"]) for row in rows]


# ---------------------------------------------------------------- history


@one_backend
def test_history_has_a_row_for_each_training_part_and_each_evaluation(backend, tmp_path):
    history = HistoryCallback(tmp_path)
    metrics = make_trainer(callbacks=[history]).fit(points().to_dataloader(8), points(10, seed=1), epochs=2)
    rows = rows_of(tmp_path)
    assert places(rows) == [(1, 3, "train"), (1, 3, "dev"), (2, 6, "train"), (2, 6, "dev")]
    assert {name: rows[-1][name] for name in metrics} == metrics
    assert history.rows == rows


@one_backend
def test_the_table_says_the_same_as_the_lines(backend, tmp_path):
    make_trainer(callbacks=[HistoryCallback(tmp_path)]).fit(points().to_dataloader(8), points(10, seed=1), epochs=2)
    with open(tmp_path / "history.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [{name: str(value) for name, value in row.items()} for row in rows_of(tmp_path)] == table


@one_backend
def test_history_lies_in_the_folder_of_the_run(backend, run_folder):
    make_trainer(callbacks=[HistoryCallback()]).fit(points())
    assert {"history.jsonl", "history.csv"} <= set(os.listdir(run_folder))


@one_backend
@pytest.mark.parametrize("step", [3, 4, 6])
def test_a_resumed_run_drops_the_rows_of_steps_that_are_made_again(backend, tmp_path, step):
    save = At("on_step_end", lambda trainer: trainer.save(tmp_path / "here"), step)
    make_trainer(callbacks=[HistoryCallback(tmp_path), save]).fit(points().to_dataloader(8), points(10, seed=1), epochs=3)
    make_trainer(callbacks=[HistoryCallback(tmp_path)]).fit(points().to_dataloader(8), points(10, seed=1), 3, resume=tmp_path / "here")
    assert places(rows_of(tmp_path)) == [(e, 3 * e, split) for e in (1, 2, 3) for split in ("train", "dev")]


@one_backend
def test_a_new_run_in_an_old_folder_starts_a_new_history(backend, tmp_path):
    for _ in range(2):
        make_trainer(callbacks=[HistoryCallback(tmp_path)]).fit(points().to_dataloader(8))
    assert places(rows_of(tmp_path)) == [(1, 3, "train")]


@one_backend
def test_a_line_that_was_cut_off_is_dropped_at_a_resume(backend, tmp_path):
    trainer = make_trainer(callbacks=[HistoryCallback(tmp_path)])
    trainer.fit(points().to_dataloader(8))
    trainer.save(tmp_path / "here")
    with open(tmp_path / "history.jsonl", "a") as file:
        file.write('{"epoch": 1, "st')
    make_trainer(callbacks=[HistoryCallback(tmp_path)]).fit(points().to_dataloader(8), epochs=2, resume=tmp_path / "here")
    assert places(rows_of(tmp_path)) == [(1, 3, "train"), (2, 6, "train")]


@one_backend
def test_an_evaluation_outside_of_fit_makes_no_row(backend, tmp_path):
    trainer = make_trainer(callbacks=[HistoryCallback(tmp_path)])
    trainer.evaluate(points())
    trainer.fit(points().to_dataloader(8))
    trainer.evaluate(points())
    assert places(rows_of(tmp_path)) == [(1, 3, "train")]


@one_backend
def test_a_history_that_cannot_be_written_is_reported_and_stops_nothing(backend, tmp_path, lines):
    (tmp_path / "file").write_text("in the way")
    trainer = make_trainer(callbacks=[HistoryCallback(tmp_path / "file")])
    trainer.fit(points().to_dataloader(8))
    assert trainer.epoch == 1
    assert len([line for line in lines if "WARN HistoryCallback.on_fit_start failed" in line]) == 1


# ---------------------------------------------------------------- TensorBoard


def events_of(folder: Path) -> list[Event]:
    """All events of a folder. A record is: length, checksum of it, data, checksum of that."""
    found = []
    for path in sorted(folder.iterdir()):
        content, place = path.read_bytes(), 0
        while place < len(content):
            (length,) = struct.unpack_from("<Q", content, place)
            found.append(Event.FromString(content[place + 12 : place + 12 + length]))
            place += length + 16
    return found


def scalars_of(folder: Path) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for event in events_of(folder):
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


@one_backend
def test_tensorboard_gets_metrics_and_learning_rates_by_step(backend, tmp_path):
    metrics = make_trainer(callbacks=[TensorboardCallback(tmp_path)], log_every=2).fit(
        points().to_dataloader(8), points(10, seed=1), epochs=2
    )
    train, dev = scalars_of(tmp_path / "train"), scalars_of(tmp_path / "dev")
    assert list(train) == ["metrics/ca", "loss/total", "learning_rate/optimizer"]
    assert [step for step, _ in train["loss/total"]] == [2, 3, 5, 6]
    assert train["learning_rate/optimizer"][0][1] == pytest.approx(0.05)
    assert dev["loss/total"][-1] == (6, pytest.approx(metrics["loss/total"], rel=1e-6))


@one_backend
def test_tensorboard_is_told_which_steps_are_made_again(backend, tmp_path):
    save = At("on_step_end", lambda trainer: trainer.save(tmp_path / "here"), 4)
    make_trainer(callbacks=[save]).fit(points().to_dataloader(8), epochs=2)
    make_trainer(callbacks=[TensorboardCallback(tmp_path / "board")]).fit(points().to_dataloader(8), epochs=2, resume=tmp_path / "here")
    purges = [event.step for event in events_of(tmp_path / "board" / "train") if event.HasField("session_log")]
    assert purges == [5]  # TensorBoard hides the events from this step on; that of step 4 is not made again


@one_backend
def test_the_order_of_callbacks_does_not_matter_to_what_is_written(backend, tmp_path):
    first, second = TensorboardCallback(tmp_path / "a"), TensorboardCallback(tmp_path / "b")
    for order in ([first, HistoryCallback(tmp_path)], [HistoryCallback(tmp_path), second]):
        make_trainer(callbacks=order).fit(points().to_dataloader(8), points(10, seed=1))
    assert scalars_of(tmp_path / "a" / "dev") == scalars_of(tmp_path / "b" / "dev")


@one_backend
def test_the_files_of_tensorboard_are_closed_however_training_ends(backend, tmp_path):
    def interrupt(trainer: Any) -> None:
        raise KeyboardInterrupt

    callback = TensorboardCallback(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        make_trainer(callbacks=[callback, At("on_step_end", interrupt, 2)]).fit(points().to_dataloader(8))
    assert callback._writers == {}


SCRIPT = """
import sys
from babel_dl.training.callbacks import TensorboardCallback
from tests.training.examples import make_trainer, points
make_trainer(callbacks=[TensorboardCallback(sys.argv[1])]).fit(points().to_dataloader(8), points(10, seed=1))
print(*sorted({name.partition(".")[0] for name in sys.modules} & {"torch", "tensorflow", "tensorboard", "jax", "tensorboardX"}))
"""


def test_writing_for_tensorboard_imports_no_other_framework(tmp_path):
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backends'}", "BABEL_DL_BACKEND": "torch"}
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "tensorboardX torch"
