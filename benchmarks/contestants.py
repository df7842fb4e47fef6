"""Contestants in processes of their own, that take turns; what they ran on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.protocol import Setup

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"torch": ("torch",), "tensorflow": ("tensorflow", "tensorflow-cpu"), "jax": ("jax",)}
GUESTS = {"keras": ("keras",), "lightning": ("lightning",)}

Answers = dict[str, list[dict[str, Any]]]
"""What each contestant answered to each counted round."""


def start(setup: Setup, threads: int) -> subprocess.Popen[str]:
    """A contestant's process; all have the same number of threads, and see no GPU.

    Args:
        setup: Who; see `worker.py`.
        threads: How many.
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
    command = [sys.executable, "-m", "benchmarks.worker", *setup]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def ask(process: subprocess.Popen[str], command: object) -> dict[str, Any]:
    """One answer.

    Raises:
        RuntimeError: The contestant died; its own error is on the terminal.
    """
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("The contestant has no pipes.")
    try:
        process.stdin.write(f"{command}\n")
        process.stdin.flush()
        answer = process.stdout.readline()
    except BrokenPipeError:
        answer = ""
    if not answer:
        raise RuntimeError(f"The contestant {' '.join(filter(None, process.args[3:]))} died.")  # type: ignore[index]
    return json.loads(answer)


def stop(processes: dict[str, subprocess.Popen[str]]) -> None:
    """Ends processes that `start` made."""
    for process in processes.values():
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def take_turns(setups: dict[str, Setup], rounds: int, threads: int) -> Answers:
    """Lets each do a round, in turn, the order reversed every other time; two rounds go before the count.

    Args:
        setups: By name.
        rounds: How many count.
        threads: For each.
    """
    processes: dict[str, subprocess.Popen[str]] = {}
    answers: Answers = {name: [] for name in setups}
    try:
        for name, setup in setups.items():
            processes[name] = start(setup, threads)
            for number in (1, 2):
                ask(processes[name], number)
        for number in range(3, 3 + rounds):
            for name in list(processes) if number % 2 else reversed(processes):
                answers[name].append(ask(processes[name], number))
    finally:
        stop(processes)
    return answers


def machine(threads: int) -> dict[str, Any]:
    """What the figures were measured on."""
    versions = {}
    for package, names in {**PACKAGES, **GUESTS}.items():
        for name in names:
            try:
                versions[package] = version(name)
            except PackageNotFoundError:
                continue
    return {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count(), "threads": threads, **versions}
