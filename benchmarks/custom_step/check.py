"""Whether all contestants compute the same step: a comparison of their times says nothing before that."""

from __future__ import annotations

import numpy as np

from benchmarks.contestants import ask, start, stop
from benchmarks.protocol import Setup
from benchmarks.workloads import NATIVE

STEPS = 4
TOLERANCE = 2e-4
"""Relative, for each loss of the first steps. The first step agrees to 1e-6; then Adam makes whole steps of rounded gradients near 0."""


def check(backend: str, workload: str, threads: int) -> dict[str, float]:
    """How far the losses of the first steps are from ours, relatively, by style; all get the same weights, batches and noise.

    Raises:
        RuntimeError: They differ.
    """
    processes = {style: start(Setup(backend, workload, style, "given"), threads) for style in NATIVE}
    try:
        losses = {style: np.array(ask(process, "losses")["losses"])[:STEPS] for style, process in processes.items()}
    finally:
        stop(processes)
    apart = {style: float(np.max(np.abs(found / losses["ours"] - 1))) for style, found in losses.items() if style != "ours"}
    for style, distance in apart.items():
        if not distance <= TOLERANCE:
            raise RuntimeError(f"{workload} on {backend}: {style!r} trains something else: its losses differ from ours by {distance:.1e}.")
    return apart
