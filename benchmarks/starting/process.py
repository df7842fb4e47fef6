"""Starts a fresh process for each figure."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np

from benchmarks.protocol import Answer, Contestant, Setup

IMPORT = "import time; start = time.perf_counter(); import {}; print((time.perf_counter() - start) * 1e6)"


def contestant(setup: Setup) -> Contestant:
    """Times an import, and a process from its start to the end of its first training step, when it prints a line.

    Raises:
        RuntimeError: At a round: the process ended without the line.
    """
    is_ours = setup.style == "ours"
    program = "benchmarks.starting.ours" if is_ours else f"benchmarks.starting.native_{setup.backend}"
    importing = [sys.executable, "-c", IMPORT.format("babel_dl" if is_ours else setup.backend)]
    training = [sys.executable, "-m", program, setup.backend]

    def answer(number: int) -> Answer:
        imported = float(subprocess.run(importing, check=True, stdout=subprocess.PIPE, text=True).stdout)
        start = time.perf_counter()
        with subprocess.Popen(training, stdout=subprocess.PIPE, text=True) as process:
            line = process.stdout.readline() if process.stdout else ""
            seconds = time.perf_counter() - start
        if line.strip() != "trained":
            raise RuntimeError(f"{' '.join(training)} did not train a step.")
        return Answer({"import": imported, "first step": seconds * 1e6})

    return answer


def example() -> tuple[np.ndarray, np.ndarray]:
    """A batch for the step: images (32, 28, 28, 1) and labels (32,), uint8."""
    random = np.random.default_rng(0)
    return random.integers(0, 256, (32, 28, 28, 1), np.uint8), random.integers(0, 10, 32, np.uint8)
