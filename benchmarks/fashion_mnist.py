"""The tutorial's run on all of Fashion-MNIST, on each backend and in a hand-written PyTorch twin.

    python -m benchmarks.fashion_mnist                              ten epochs, four runs, one after the other
    python -m benchmarks.fashion_mnist --epochs 1 --out results     a taste

Batch 32, SGD with momentum 0.95 and Nesterov's step, learning rate 0.001 * exp(-0.1 / 1875 * step). The runs on the backends are the
project template (`examples/fashion_mnist/main.py --data full`); the twin is the loop that one would write by hand.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.contestants import PACKAGES, machine

ROOT = Path(__file__).resolve().parent.parent
SEED = [0.717, 0.794, 0.821, 0.834, 0.850, 0.852, 0.862, 0.866, 0.861, 0.869]
"""Dev accuracy of the seed after each epoch, in 55 min 45 s on a GPU."""


def environment() -> dict[str, str]:
    """The same for all: this checkout, the processor only, no chatter."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "backends"), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}


def run_template(backend: str, epochs: int, folder: Path) -> dict[str, Any]:
    """One run of the template: accuracy and loss on the dev data after each epoch, and the seconds of the whole process."""
    logs = folder / backend
    command = [sys.executable, "examples/fashion_mnist/main.py", "--backend", backend, "--data", "full"]
    start = time.perf_counter()
    subprocess.run([*command, "--epochs", str(epochs), "--logs", str(logs)], check=True, cwd=ROOT, env=environment())
    seconds = time.perf_counter() - start
    with open(max(logs.iterdir()) / "history.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "dev"]
    return {
        "run": f"babel_dl on {backend}",
        "accuracy": [float(row["metrics/ca"]) for row in rows],
        "loss": [float(row["loss/total"]) for row in rows],
        "seconds": seconds,
    }


def run_twin(epochs: int) -> dict[str, Any]:
    """The hand-written twin, in a process of its own."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.fashion_mnist_twin", str(epochs)]
    printed = subprocess.run(command, check=True, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True).stdout
    seconds = time.perf_counter() - start
    return {"run": "hand-written PyTorch", **json.loads(printed.splitlines()[-1]), "seconds": seconds}


def table(runs: list[dict[str, Any]]) -> str:
    """The runs as a Markdown table."""
    epochs = len(runs[0]["accuracy"])
    lines = [f"| run | {' | '.join(str(e + 1) for e in range(epochs))} | dev loss | time |", "|---" * (epochs + 3) + "|"]
    seed = {"run": "the seed (GPU, 2020)", "accuracy": SEED[:epochs], "loss": [0.667], "seconds": 55 * 60 + 45}
    for run in [*runs, seed]:
        minutes, seconds = divmod(round(run["seconds"]), 60)
        cells = " | ".join(f"{accuracy:.4f}" for accuracy in run["accuracy"])
        lines.append(f"| {run['run']} | {cells} | {run['loss'][-1]:.3f} | {minutes} min {seconds:02d} s |")
    return "\n".join(lines)


def main() -> None:
    """Runs everything, prints the table, keeps the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=10, help="for each run")
    parser.add_argument("--out", type=Path, default=Path(".logs/benchmarks_fashion_mnist"), help="the folder for logs and figures")
    arguments = parser.parse_args()
    folder = arguments.out.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    runs = [run_template(backend, arguments.epochs, folder) for backend in PACKAGES] + [run_twin(arguments.epochs)]
    about = machine(os.cpu_count() or 1)
    (folder / "figures.json").write_text(json.dumps({"machine": about, "runs": runs}, indent=1) + "\n")
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    print(table(runs))


if __name__ == "__main__":
    main()
