"""Compares babel_dl with hand-written loops and with other libraries, interleaved in one run.

    python -m benchmarks                                                       everything
    python -m benchmarks --only mlp,inference --backend torch --rounds 3       a part
    python -m benchmarks --out docs/benchmarks.json --plot docs/benchmarks.png keeps the figures
    python -m benchmarks --show docs/benchmarks.json                           tells of them again

Each contestant lives in a process of its own, so that its peak memory is its own; they do a round each in turn, so that a change of the
machine's speed meets all alike. Figures are medians over the rounds, with the smallest and the largest; a ratio is the median of the
ratios round by round. `manual` is what the framework's manual shows, `best` the best that we know.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks.contestants import PACKAGES, machine, take_turns
from benchmarks.custom_step.check import check
from benchmarks.figures import Row, key, ordered, rows_of
from benchmarks.protocol import Setup
from benchmarks.tables import report
from benchmarks.workloads import WORKLOADS, takes_part


def compare(backend: str, workload: str, arguments: argparse.Namespace) -> list[Row]:
    """The rows of one workload on one backend; of a custom step only after it was seen that all compute the same."""
    is_custom = WORKLOADS[workload].folder == "custom_step"
    apart = {"apart": check(backend, workload, arguments.threads)} if is_custom else {}
    asked = [Setup(backend, workload, style) for style in WORKLOADS[workload].styles]
    setups = {setup.style: setup for setup in asked if takes_part(setup)}
    if arguments.compile and WORKLOADS[workload].folder in ("training", "depth"):
        setups[f"ours {arguments.compile}"] = Setup(backend, workload, "ours", arguments.compile)
    answers = take_turns(setups, arguments.rounds, arguments.threads)
    return [{**row, **apart} for row in rows_of(workload, backend, answers)]


def kept(path: Path | None, about: dict[str, Any]) -> dict[tuple[str, ...], Row]:
    """The rows of a file that were measured on the same machine with the same versions."""
    if path is None or not path.exists():
        return {}
    document = json.loads(path.read_text())
    return {key(row): row for row in document["rows"]} if document["machine"] == about else {}


def measure(arguments: argparse.Namespace) -> tuple[dict[str, Any], list[Row]]:
    """Measures what is asked for. The file is written after each comparison, and keeps its other rows."""
    about = machine(arguments.threads)
    rows, measured = kept(arguments.out, about), []
    for workload in arguments.only or WORKLOADS:
        for backend in arguments.backend or PACKAGES:
            print(f"{workload} on {backend} ...", file=sys.stderr, flush=True)
            found = {key(row): row for row in compare(backend, workload, arguments)}
            measured += found.values()
            rows |= found
            if arguments.out is not None:
                arguments.out.write_text(json.dumps({"machine": about, "rows": ordered(rows.values())}, indent=1) + "\n")
    return about, ordered(measured)


def chosen(text: str) -> list[str]:
    """Workloads, separated by commas.

    Raises:
        ArgumentTypeError: There is none of that name.
    """
    names = text.split(",")
    unknown = [name for name in names if name not in WORKLOADS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(WORKLOADS)}")
    return names


def main() -> None:
    """Measures or reads figures, tells of them, draws them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=chosen, help=f"some of {','.join(WORKLOADS)}")
    parser.add_argument("--backend", action="append", choices=tuple(PACKAGES), help="may be repeated; all by default")
    parser.add_argument("--rounds", type=int, default=9, help="counted rounds; two more go before")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="for each contestant")
    parser.add_argument("--compile", default="", help="let ours take part once more, with this `compile` of the trainer")
    parser.add_argument("--check", action="store_true", help="only whether the contestants of custom steps compute the same")
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    parser.add_argument("--show", type=Path, help="a JSON file to read figures from; nothing is measured")
    parser.add_argument("--plot", type=Path, help="a PNG file for the picture")
    arguments = parser.parse_args()
    if arguments.check:
        for workload in (name for name in arguments.only or WORKLOADS if WORKLOADS[name].folder == "custom_step"):
            for backend in arguments.backend or PACKAGES:
                apart = check(backend, workload, arguments.threads)
                told = ", ".join(f"{distance:.1e} ({style})" for style, distance in apart.items())
                print(f"{workload} on {backend}: losses differ from ours by {told}", flush=True)
        return
    if arguments.show is not None:
        document = json.loads(arguments.show.read_text())
        about, rows = document["machine"], document["rows"]
    else:
        about, rows = measure(arguments)
    print(report(rows, about))
    if arguments.plot is not None:
        from benchmarks.plot import draw

        draw(rows, arguments.plot)


if __name__ == "__main__":
    main()
