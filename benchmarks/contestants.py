"""Contestants in processes of their own, that train in turn; what they ran on."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
STYLES = ("ours", "manual", "best")
PACKAGES = {"torch": ("torch",), "tensorflow": ("tensorflow", "tensorflow-cpu"), "jax": ("jax",)}

Answers = dict[str, list[dict[str, float]]]
"""What each style answered to each counted round."""


def start(module: str, threads: int, *words: str) -> subprocess.Popen[str]:
    """A contestant's process; all have the same number of threads.

    Args:
        module: What stands behind `python -m`; reads commands from standard input, and answers each with a line of JSON.
        threads: How many.
        words: Its command line.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "backends"), os.environ.get("PYTHONPATH", "")]),
        "OMP_NUM_THREADS": str(threads),
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = [sys.executable, "-m", module, *words]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def ask(process: subprocess.Popen[str], command: object) -> dict[str, Any]:
    """One answer.

    Raises:
        RuntimeError: The contestant died; its own error is on the terminal.
    """
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("The contestant has no pipes.")
    process.stdin.write(f"{command}\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise RuntimeError(f"The contestant {' '.join(process.args[2:])} died.")  # type: ignore[index]
    return json.loads(answer)


def stop(processes: dict[str, subprocess.Popen[str]]) -> None:
    """Ends processes that `start` made."""
    for process in processes.values():
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def take_turns(processes: dict[str, subprocess.Popen[str]], rounds: int, first: int) -> Answers:
    """Lets each train a round, in turn, the order reversed every other time; two rounds go before the count. Then they are stopped.

    Args:
        processes: By style.
        rounds: How many count.
        first: The number of the first round.
    """
    answers: Answers = {style: [] for style in processes}
    try:
        for number in (first, first + 1):
            for process in processes.values():
                ask(process, number)
        for number in range(first + 2, first + 2 + rounds):
            for style in (list(processes) if number % 2 else reversed(processes)):
                answers[style].append(ask(processes[style], number))
    finally:
        stop(processes)
    return answers


def summarize(answers: Answers, steps: int) -> dict[str, float]:
    """Microseconds per step, peak memory in MB, and the ratios of ours to the others: medians over the rounds.

    Args:
        answers: From `take_turns`.
        steps: How many a round has.
    """
    row = {}
    for style, found in answers.items():
        row[f"{style}_us"] = statistics.median(answer["seconds"] for answer in found) / steps * 1e6
        row[f"{style}_mb"] = found[-1]["peak_mb"]
        row[f"{style}_loss"] = found[-1]["loss"]
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
