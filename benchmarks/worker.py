"""A contestant in a process of its own: reads a round's number from standard input, answers with JSON.

    python -m benchmarks.worker BACKEND WORKLOAD STYLE [OPTION]

The command "losses" is for custom steps alone: it is answered with the losses of each step of round 0.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
from typing import Any

from benchmarks.protocol import Setup
from benchmarks.workloads import module_of


def prepared(setup: Setup) -> Any:
    """The contestant, on as many cores as it has threads."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[: int(os.environ["OMP_NUM_THREADS"])])
    os.environ["KERAS_BACKEND"] = setup.backend
    return importlib.import_module(module_of(setup)).contestant(setup)


def main() -> None:
    """Serves commands until standard input ends."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what the contestant prints is no answer
    run = prepared(Setup(*sys.argv[1:]))
    for line in sys.stdin:
        if line.strip() == "losses":
            reply: dict[str, Any] = {"losses": run.losses().tolist()}
        else:
            answer = run(int(line))
            reply = {"times": answer.times, "loss": answer.loss}
            reply["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(reply), file=answers, flush=True)


if __name__ == "__main__":
    main()
