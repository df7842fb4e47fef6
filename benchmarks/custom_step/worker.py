"""A contestant in a process of its own: reads a command from standard input, answers with JSON.

    python -m benchmarks.custom_step.worker BACKEND MODEL STYLE NOISE

STYLE is "ours", "manual" or "best"; NOISE is "drawn" in the step, or "given" with the batch, so that all see the same. The command "losses"
is answered with both losses of each step of round 0; a number with the seconds of that round, its loss and the peak memory.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from typing import Any


def contestant(backend: str, model: str, style: str, noise: str) -> Any:
    """Who trains."""
    draws = noise == "drawn"
    if style == "ours":
        return importlib.import_module("benchmarks.custom_step.ours").Contestant(backend, model, draws)
    return importlib.import_module(f"benchmarks.custom_step.native_{backend}").Contestant(model, style, draws)


def main() -> None:
    """Serves commands until standard input ends."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what the contestant prints is no answer
    trained = contestant(*sys.argv[1:5])
    for line in sys.stdin:
        if line.strip() == "losses":
            answer: dict[str, Any] = {"losses": trained.losses().tolist()}
        else:
            start = time.perf_counter()
            loss = trained.round(int(line))
            seconds = time.perf_counter() - start
            answer = {"seconds": seconds, "loss": loss, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
