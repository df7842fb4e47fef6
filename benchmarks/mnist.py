"""Every task of the seeds on MNIST, on each backend: one table a task, in `docs/mnist.json` and as Markdown.

    python -m benchmarks.mnist                                   all tasks on all backends, or those that are left of them
    python -m benchmarks.mnist --task gan --backend jax          a part of them
    python -m benchmarks.mnist --again --task gan                once more, though its row is there already
    python -m benchmarks.mnist --print                           the tables that are there, nothing runs

A row is written as soon as it is measured, and a row that is there is not measured again: after an interruption the same command goes on
with what is left. Rows that were measured with other epochs or threads belong into another file (`--out`).

**How a task gets in.** Every module `benchmarks/mnist_<something>.py` is asked for its `TASKS`, a dict from the name on the command line to
a `Task`; nothing has to be changed here. `Task.run` is a function `(backend, data_dir, out_dir) -> row`:

    backend     "torch", "tensorflow" or "jax"
    data_dir    a Path; the folder that holds `mnist/` with the four files, to be handed on as BABEL_DL_DATA_DIR
    out_dir     a Path; a folder of this task and backend, made and empty, for logs, checkpoints, pictures
    row         a dict of figures and short texts by the title of their column, in the order of the columns; floats are shown with four
                places. Two more keys are not columns: "reached" (bool), whether the row is what `Task.goal` asks for, and, if wanted,
                "keep", which is written to the file and shown nowhere. Seconds are added here.

    from benchmarks.mnist import Task, run_example

    def run_linear(backend: str, data_dir: Path, out_dir: Path) -> dict[str, Any]:
        found = run_example("examples.mnist_from_scratch", backend, data_dir, out_dir, "--epochs", "20")
        return {"test accuracy": found["accuracy"], "reached": found["accuracy"] >= 0.9251}

    TASKS = {"linear": Task("001, linear model from raw tensors", "test accuracy >= 0.9251", run_linear, {"test accuracy": 0.9251})}

`run_example` runs an example in a process of its own and gives the `metrics.json` that it left in the folder of its run.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.contestants import PACKAGES, ROOT, machine

Row = dict[str, Any]
HIDDEN = ("reached", "keep", "seconds", "threads")


@dataclass(frozen=True)
class Task:
    """What one task shows.

    Args:
        title: The heading of its table.
        goal: What every backend must reach, in words.
        run: Makes the row of a backend: `(backend, data_dir, out_dir) -> row`.
        seed: The seed's own figures by column; empty if it printed none.
    """

    title: str
    goal: str
    run: Callable[[str, Path, Path], Row]
    seed: dict[str, Any] = field(default_factory=dict)


def all_tasks() -> dict[str, Task]:
    """The tasks of all modules `benchmarks/mnist_*.py`, in the order of the modules' names.

    Raises:
        ValueError: Two modules have a task of one name.
    """
    import benchmarks

    tasks: dict[str, Task] = {}
    for found in sorted(pkgutil.iter_modules(benchmarks.__path__), key=lambda found: found.name):
        if found.name.startswith("mnist_"):
            more = importlib.import_module(f"benchmarks.{found.name}").TASKS
            if shared := sorted(tasks.keys() & more.keys()):
                raise ValueError(f"benchmarks/{found.name}.py has tasks that another module has, too: {', '.join(shared)}. Rename one.")
            tasks.update(more)
    return tasks


def run_example(module: str, backend: str, data_dir: Path, out_dir: Path, *arguments: str) -> dict[str, Any]:
    """Runs an example in a process of its own, on the processor.

    Args:
        module: What stands behind `python -m`.
        backend: Given to it as `--backend`.
        data_dir: Where MNIST is.
        out_dir: Given to it as `--logs`.
        arguments: More of its command line.

    Returns:
        What it wrote to `metrics.json` in the newest folder of its runs, with "run" as the path of that folder.
    """
    run_module(module, data_dir, out_dir, "--backend", backend, "--device", "cpu", "--logs", str(out_dir), *arguments)
    folder = max(path.parent for path in out_dir.glob("*/metrics.json"))
    return {**json.loads((folder / "metrics.json").read_text()), "run": str(folder)}


def run_module(module: str, data_dir: Path, out_dir: Path, *arguments: str) -> None:
    """Runs any program of this checkout in a process of its own; what it prints is in `console.txt` in `out_dir`.

    Args:
        module: What stands behind `python -m`.
        data_dir: Where MNIST is.
        out_dir: Where to write.
        arguments: Its command line.
    """
    path = os.pathsep.join([str(ROOT), str(ROOT / "backends"), os.environ.get("PYTHONPATH", "")])
    more = {"PYTHONPATH": path, "BABEL_DL_DATA_DIR": str(data_dir), "MPLBACKEND": "agg", "TF_CPP_MIN_LOG_LEVEL": "3"}
    with open(out_dir / "console.txt", "a") as console:
        subprocess.run([sys.executable, "-m", module, *arguments], check=True, cwd=ROOT, env={**os.environ, **more}, stdout=console)


def measure(task: Task, backend: str, data_dir: Path, folder: Path) -> Row:
    """The row of a task on a backend, in an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    start = time.perf_counter()
    row = task.run(backend, data_dir, folder)
    return {**row, "seconds": round(time.perf_counter() - start, 1), "threads": os.environ.get("OMP_NUM_THREADS", str(os.cpu_count()))}


def table(task: Task, rows: dict[str, Row]) -> str:
    """A task's rows as Markdown, below its heading and goal; the seed's figures come last."""
    columns = list(dict.fromkeys(name for row in [*rows.values(), task.seed] for name in row if name not in HIDDEN))
    lines = [f"### {task.title}", "", f"Goal: {task.goal}.", "", f"| run | {' | '.join(columns)} | time | reached |"]
    lines.append("|---" * (len(columns) + 3) + "|")
    for backend in PACKAGES:
        if backend in rows:
            row = rows[backend]
            minutes, seconds = divmod(round(row["seconds"]), 60)
            cells = [_cell(row.get(name)) for name in columns]
            lines.append(f"| {backend} | {' | '.join(cells)} | {minutes} min {seconds:02d} s | {'yes' if row['reached'] else '**no**'} |")
    if task.seed:
        lines.append(f"| the seed | {' | '.join(_cell(task.seed.get(name)) for name in columns)} | | |")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) >= 1e-3 or value == 0 else f"{value:.0e}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def read(path: Path) -> dict[str, Any]:
    """What was measured so far."""
    return json.loads(path.read_text()) if path.exists() else {"machine": {}, "rows": {}}


def write(path: Path, figures: dict[str, Any]) -> None:
    """Replaces the file as a whole, so that an interruption leaves the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(figures, indent=1) + "\n")
    temporary.replace(path)


def parse_arguments(tasks: dict[str, Task], words: Sequence[str] | None) -> argparse.Namespace:
    """The command line; None for that of the process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", action="append", choices=list(tasks), help="which one; may be repeated; all without it")
    parser.add_argument("--backend", action="append", choices=list(PACKAGES), help="which one; may be repeated; all without it")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "babel_dl"
    data = Path(os.environ.get("BABEL_DL_DATA_DIR") or cache)
    parser.add_argument("--data", type=Path, default=data, help="the folder that holds mnist/; BABEL_DL_DATA_DIR, or the cache, without it")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "mnist.json", help="the file of the rows")
    parser.add_argument("--runs", type=Path, default=Path(".logs/benchmarks_mnist"), help="the folder for logs, checkpoints and pictures")
    parser.add_argument("--again", action="store_true", help="measure what is there already, too")
    parser.add_argument("--print", action="store_true", help="only show what is there")
    return parser.parse_args(words)


def main(tasks: dict[str, Task], words: Sequence[str] | None = None) -> None:
    """Measures what is left, and prints the tables. A run that fails ends its own row only.

    Args:
        tasks: By name.
        words: The command line; None for that of the process.

    Raises:
        SystemExit: A run failed; all that did are listed.
    """
    failed: list[str] = []
    arguments = parse_arguments(tasks, words)
    figures = read(arguments.out)
    wanted = [(name, backend) for name in arguments.task or tasks for backend in arguments.backend or PACKAGES]
    for name, backend in [] if arguments.print else wanted:
        rows = figures["rows"].setdefault(name, {})
        if backend in rows and not arguments.again:
            continue
        print(f"{name} on {backend} ...", flush=True)
        try:
            rows[backend] = measure(tasks[name], backend, arguments.data.resolve(), arguments.runs.resolve() / name / backend)
        except subprocess.CalledProcessError as error:
            failed.append(f"{name} on {backend}: exit code {error.returncode} of {' '.join(map(str, error.cmd))}")
            continue
        figures["machine"] = machine(int(rows[backend]["threads"]))
        write(arguments.out, figures)
    print(", ".join(f"{key} {value}" for key, value in figures["machine"].items()))
    for name, task in tasks.items():
        if figures["rows"].get(name):
            print(f"\n{table(task, figures['rows'][name])}")
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main(all_tasks())
