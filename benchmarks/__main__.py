"""Compares babel_dl with hand-written native loops, interleaved in one run.

    python -m benchmarks                                everything
    python -m benchmarks --backend torch --model mlp    a part
    python -m benchmarks --out docs/benchmarks.json     keeps the figures

Each contestant lives in a process of its own, so that its peak memory is its own; they train in turn, a round each, so that a change of
the machine's speed meets all alike. Figures are medians over the rounds; the ratio is the median of the ratios round by round.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.task import MODELS, STEPS

STYLES = ("ours", "manual", "best")
PACKAGES = {"torch": ("torch",), "tensorflow": ("tensorflow", "tensorflow-cpu"), "jax": ("jax",)}


def start(backend: str, model: str, style: str, threads: int) -> subprocess.Popen[str]:
    """The contestant's process; all have the same number of threads."""
    root = Path(__file__).resolve().parent.parent
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(root), str(root / "backends"), os.environ.get("PYTHONPATH", "")]),
        "OMP_NUM_THREADS": str(threads),
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = [sys.executable, "-m", "benchmarks.worker", backend, model, style]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root)


def ask(process: subprocess.Popen[str], number: int) -> dict[str, float]:
    """One round.

    Raises:
        RuntimeError: The contestant died; its own error is on the terminal.
    """
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("The contestant has no pipes.")
    process.stdin.write(f"{number}\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise RuntimeError(f"The contestant {' '.join(process.args[-3:])} died.")  # type: ignore[index]
    return json.loads(answer)


def compare(backend: str, model: str, rounds: int, threads: int) -> dict[str, Any]:
    """Medians of all contestants for one backend and model."""
    processes = {style: start(backend, model, style, threads) for style in STYLES}
    try:
        for number in (0, 1):
            for process in processes.values():
                ask(process, number)
        answers: dict[str, list[dict[str, float]]] = {style: [] for style in STYLES}
        for number in range(2, rounds + 2):
            for style in (STYLES if number % 2 else reversed(STYLES)):
                answers[style].append(ask(processes[style], number))
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
    return summarize(backend, model, answers)


def summarize(backend: str, model: str, answers: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Microseconds per step, ratios of ours to the others, and peak memory in MB."""
    row: dict[str, Any] = {"backend": backend, "model": model}
    for style, rounds in answers.items():
        row[f"{style}_us"] = statistics.median(r["seconds"] for r in rounds) / STEPS * 1e6
        row[f"{style}_mb"] = rounds[-1]["peak_mb"]
        row[f"{style}_loss"] = rounds[-1]["loss"]
    for style in STYLES[1:]:
        pairs = zip(answers["ours"], answers[style], strict=True)
        row[f"ratio_{style}"] = statistics.median(ours["seconds"] / other["seconds"] for ours, other in pairs)
        row[f"extra_mb_{style}"] = row["ours_mb"] - row[f"{style}_mb"]
    return row


def machine(threads: int) -> dict[str, Any]:
    """What the figures were measured on."""
    versions = {}
    for backend, names in PACKAGES.items():
        for name in names:
            try:
                versions[backend] = version(name)
            except ModuleNotFoundError:
                continue
    return {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count(), "threads": threads, **versions}


def table(rows: list[dict[str, Any]]) -> str:
    """The figures as a Markdown table."""
    head = "| model | backend | babel_dl | manual | best | ratio to manual | ratio to best | memory over manual |"
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        times = " | ".join(f"{row[f'{style}_us']:,.0f} us" for style in STYLES)
        ratios = f"{row['ratio_manual']:.2f} | {row['ratio_best']:.2f}"
        lines.append(f"| {row['model']} | {row['backend']} | {times} | {ratios} | {row['extra_mb_manual']:+.0f} MB |")
    return "\n".join(lines)


def main() -> None:
    """Runs the comparison and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", action="append", choices=tuple(PACKAGES), help="may be repeated; all by default")
    parser.add_argument("--model", action="append", choices=MODELS, help="may be repeated; all by default")
    parser.add_argument("--rounds", type=int, default=9, help="counted rounds, each an epoch of 187 steps")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="for each contestant")
    parser.add_argument("--out", type=Path, default=None, help="a JSON file for the figures")
    arguments = parser.parse_args()
    rows = []
    for model in arguments.model or MODELS:
        for backend in arguments.backend or PACKAGES:
            print(f"{model} on {backend} ...", file=sys.stderr, flush=True)
            rows.append(compare(backend, model, arguments.rounds, arguments.threads))
    about = machine(arguments.threads)
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    print(table(rows))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps({"machine": about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
