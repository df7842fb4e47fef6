"""A contestant in a process of its own: reads a round's number from standard input, trains it, answers with seconds and loss.

    python -m benchmarks.worker BACKEND MODEL STYLE        STYLE is "ours", "manual" or "best"
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from collections.abc import Callable


def contestant(backend: str, model: str, style: str) -> Callable[[int], float]:
    """The function that trains one epoch."""
    if style == "ours":
        return importlib.import_module("benchmarks.ours").make_round(backend, model)
    return importlib.import_module(f"benchmarks.native_{backend}").make_round(model, style)


def main() -> None:
    """Serves rounds until standard input ends."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what the contestant prints is no answer
    run = contestant(*sys.argv[1:4])
    for line in sys.stdin:
        start = time.perf_counter()
        loss = run(int(line))
        seconds = time.perf_counter() - start
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": seconds, "loss": loss, "peak_mb": megabytes}), file=answers, flush=True)


if __name__ == "__main__":
    main()
