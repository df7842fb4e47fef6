"""From answers to rows: medians, ranges, and ratios round by round. Rows are plain dicts, so that they can be kept as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Any

from benchmarks.contestants import PACKAGES, Answers
from benchmarks.workloads import WORKLOADS

Row = dict[str, Any]


def rows_of(workload: str, backend: str, answers: Answers) -> list[Row]:
    """A row for each measure; and again for each way in which ours took part.

    Args:
        workload: What was done.
        backend: Where.
        answers: By contestant: ours are "ours", and "ours MODE" for each mode of compiling.
    """
    others = {name: found for name, found in answers.items() if not name.startswith("ours")}
    rows = []
    for name, found in answers.items():
        if name.startswith("ours"):
            for measure in found[0]["times"]:
                row = {"workload": workload, "backend": backend, "measure": measure, "compile": name.removeprefix("ours").strip()}
                rows.append({**row, **_figures(measure, {"ours": found, **others})})
    return rows


def _figures(measure: str, answers: Answers) -> Row:
    times = {name: [answer["times"][measure] for answer in found] for name, found in answers.items() if measure in found[0]["times"]}
    ratios = {name: [a / b for a, b in zip(times["ours"], times[name], strict=True)] for name in times if name != "ours"}
    memory = {name: found[-1]["peak_mb"] for name, found in answers.items()}
    losses = {name: found[-1]["loss"] for name, found in answers.items() if found[-1]["loss"] is not None}
    return {
        "rounds": len(times["ours"]),
        "us": {name: spread(values) for name, values in times.items()},
        "ours_over": {name: spread(values) for name, values in ratios.items()},
        "peak_mb": memory,
        "loss": losses,
    }


def spread(values: Iterable[float]) -> dict[str, float]:
    """The median, the smallest and the largest."""
    values = sorted(values)
    return {"median": statistics.median(values), "low": values[0], "high": values[-1]}


def ordered(rows: Iterable[Row]) -> list[Row]:
    """The rows by workload and backend, in the order in which these are listed, however often a part was measured again."""
    workloads, backends = list(WORKLOADS), list(PACKAGES)
    return sorted(rows, key=lambda row: (workloads.index(row["workload"]), backends.index(row["backend"])))


def key(row: Row) -> tuple[str, ...]:
    """What a row is about; the same for the same thing measured again."""
    return tuple(row[name] for name in ("workload", "backend", "measure", "compile"))
