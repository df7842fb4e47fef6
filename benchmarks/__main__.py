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
import sys
from pathlib import Path
from typing import Any

from benchmarks.contestants import PACKAGES, STYLES, machine, start, summarize, take_turns
from benchmarks.task import MODELS, STEPS


def compare(backend: str, model: str, rounds: int, threads: int) -> dict[str, Any]:
    """Medians of all contestants for one backend and model."""
    processes = {style: start("benchmarks.worker", threads, backend, model, style) for style in STYLES}
    return {"backend": backend, "model": model, **summarize(take_turns(processes, rounds, first=0), STEPS)}


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
