"""Compares a custom step of babel_dl with the same step written by hand in each framework, interleaved in one run.

    python -m benchmarks.custom_step                                everything
    python -m benchmarks.custom_step --backend jax --model mlp      a part
    python -m benchmarks.custom_step --check                        only whether all compute the same
    python -m benchmarks.custom_step --out docs/custom_step.json    keeps the figures

Before anything is timed all contestants train the same steps from the same weights on the same noise, and their losses must agree. Then
each draws its own noise and trains rounds in turn, in a process of its own. Figures are medians over the rounds; the ratio is the median
of the ratios round by round.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contestants import PACKAGES, STYLES, ask, machine, start, stop, summarize, take_turns
from benchmarks.custom_step import task

WORKER = "benchmarks.custom_step.worker"

TARGET = 1.10
CHECKED_STEPS = 4
TOLERANCE = 2e-4
"""Relative, for each loss of the first steps. The first step agrees to 1e-6; then Adam makes whole steps of rounded gradients near 0."""


def check(backend: str, model: str, threads: int) -> dict[str, float]:
    """How far the losses of the first steps are from ours, relatively, by style; all get the same noise.

    Raises:
        RuntimeError: They differ, so a comparison of times would say nothing.
    """
    processes = {style: start(WORKER, threads, backend, model, style, "given") for style in STYLES}
    try:
        losses = {style: np.array(ask(process, "losses")["losses"])[:CHECKED_STEPS] for style, process in processes.items()}
    finally:
        stop(processes)
    apart = {style: float(np.max(np.abs(found / losses["ours"] - 1))) for style, found in losses.items() if style != "ours"}
    for style, distance in apart.items():
        if not distance <= TOLERANCE:
            raise RuntimeError(f"{model} on {backend}: {style!r} trains something else: its losses differ from ours by {distance:.1e}.")
    return apart


def compare(backend: str, model: str, rounds: int, threads: int, noise: str) -> dict[str, Any]:
    """Medians of all contestants for one backend and model."""
    processes = {style: start(WORKER, threads, backend, model, style, noise) for style in STYLES}
    answers = take_turns(processes, rounds, first=1)
    return {"backend": backend, "model": model, "noise": noise, **summarize(answers, task.STEPS[model])}


def table(rows: list[dict[str, Any]]) -> str:
    """The figures as a Markdown table; a ratio above the target is bold."""
    head = "| model | backend | babel_dl | manual | best | ratio to manual | ratio to best | losses apart | memory over manual |"
    lines = [head, "|---" * 9 + "|"]
    for row in rows:
        times = " | ".join(f"{row[f'{style}_us']:,.0f} us" for style in STYLES)
        ratios = " | ".join(_ratio(row[f"ratio_{style}"]) for style in STYLES[1:])
        apart, memory = max(row["apart"].values()), row["extra_mb_manual"]
        lines.append(f"| {row['model']} | {row['backend']} | {times} | {ratios} | {apart:.0e} | {memory:+.0f} MB |")
    return "\n".join(lines)


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value <= TARGET else f"**{value:.2f}**"


def main() -> None:
    """Checks, compares, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", action="append", choices=tuple(PACKAGES), help="may be repeated; all by default")
    parser.add_argument("--model", action="append", choices=task.MODELS, help="may be repeated; all by default")
    parser.add_argument("--rounds", type=int, default=9, help="counted rounds")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="for each contestant")
    parser.add_argument("--noise", choices=("drawn", "given"), default="drawn", help="drawn in the step, or given with the batch")
    parser.add_argument("--check", action="store_true", help="compare losses only, and time nothing")
    parser.add_argument("--out", type=Path, default=None, help="a JSON file for the figures")
    arguments = parser.parse_args()
    rows = []
    for model in arguments.model or task.MODELS:
        for backend in arguments.backend or PACKAGES:
            print(f"{model} on {backend} ...", file=sys.stderr, flush=True)
            apart = check(backend, model, arguments.threads)
            if arguments.check:
                listed = ", ".join(f"{distance:.1e} ({style})" for style, distance in apart.items())
                print(f"{model} on {backend}: losses of {CHECKED_STEPS} steps differ from ours by {listed}", flush=True)
                continue
            rows.append({**compare(backend, model, arguments.rounds, arguments.threads, arguments.noise), "apart": apart})
    if arguments.check:
        return
    about = {**machine(arguments.threads), "noise": arguments.noise}
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    print(table(rows))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps({"machine": about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
