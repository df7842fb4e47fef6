"""The table of all tasks: what is measured is kept at once, and not measured again."""

import json
import subprocess

import pytest

from benchmarks.mnist import Task, all_tasks, main


class Runs:
    """Tasks that note when they run, and fail where they are told to."""

    def __init__(self, out):
        self.out, self.seen, self.failing = out, [], set()
        self.tasks = {name: Task(f"The {name}", "0.5", self.named(name), {"accuracy": 0.25}) for name in ("first", "second")}

    def named(self, name):
        def run(backend, data_dir, out_dir):
            assert out_dir.is_dir() and not list(out_dir.iterdir())
            (out_dir / "log.txt").write_text("")
            if (name, backend) in self.failing:
                raise subprocess.CalledProcessError(3, ["python", "-m", name])
            self.seen.append((name, backend))
            return {"accuracy": 0.75, "reached": backend != "jax", "keep": [1]}

        return run

    def __call__(self, *words):
        self.seen.clear()
        main(self.tasks, ["--out", str(self.out / "mnist.json"), "--runs", str(self.out / "runs"), *words])
        return self.seen


@pytest.fixture
def runs(tmp_path):
    return Runs(tmp_path)


def test_a_row_that_is_there_is_not_measured_again(runs):
    assert runs("--task", "first", "--backend", "torch") == [("first", "torch")]
    assert runs("--task", "first") == [("first", "tensorflow"), ("first", "jax")]
    assert runs("--print") == []
    assert runs() == [("second", backend) for backend in ("torch", "tensorflow", "jax")]
    assert runs("--again", "--task", "second", "--backend", "jax") == [("second", "jax")]


def test_rows_survive_what_fails_after_them(runs):
    runs.failing = {("first", "tensorflow")}
    with pytest.raises(SystemExit, match="first on tensorflow: exit code 3 of python -m first"):
        runs("--task", "first")
    rows = json.loads((runs.out / "mnist.json").read_text())["rows"]["first"]
    assert list(rows) == ["torch", "jax"]
    assert rows["torch"]["keep"] == [1]
    runs.failing.clear()
    assert runs("--task", "first") == [("first", "tensorflow")]


def test_the_table_shows_every_backend_and_the_seed(runs, capsys):
    runs("--task", "first")
    printed = capsys.readouterr().out
    assert "### The first\n\nGoal: 0.5.\n\n| run | accuracy | time | reached |\n|---|---|---|---|\n" in printed
    assert "| torch | 0.7500 | 0 min 00 s | yes |" in printed
    assert "| jax | 0.7500 | 0 min 00 s | **no** |" in printed
    assert "| the seed | 0.2500 | | |" in printed


def test_all_tasks_of_the_seeds_are_there():
    tasks = all_tasks()
    assert {"classification", "vae", "gan", "gan_losses"} <= set(tasks)
    assert all(task.title and task.goal for task in tasks.values())
