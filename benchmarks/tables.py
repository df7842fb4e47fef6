"""Rows as Markdown: times with their ranges, and what ours is beside the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.aims import aims_of, has_memory, misses, reached
from benchmarks.figures import Row
from benchmarks.workloads import NAMES, WORKLOADS


def report(rows: list[Row], machine: dict[str, Any]) -> str:
    """Everything that is told of a run."""
    parts = [", ".join(f"{name} {value}" for name, value in machine.items())]
    for workload in WORKLOADS:
        found = [row for row in rows if row["workload"] == workload]
        if found:
            parts.append(f"{workload}: {WORKLOADS[workload].title}\n\n{table(found)}")
    missed = misses(rows)
    parts.append("Beyond its aim:\n" + "\n".join(f"- {line}" for line in missed) if missed else "Every figure is within its aim.")
    return "\n\n".join(parts)


def table(rows: list[Row]) -> str:
    """The rows of one workload. A figure beyond its aim is bold."""
    styles = [style for style in NAMES if any(style in row["us"] for row in rows)]
    others = [style for style in styles if style != "ours"]
    memory = has_memory(rows[0])
    head = ["measure", "backend", *(NAMES[style] for style in styles), *(f"of {NAMES[style]}" for style in others)]
    lines = [_line([*head, "memory of manual"] if memory else head), "|---" * (len(head) + memory) + "|"]
    for row in rows:
        name = f"{row['measure']}, compile={row['compile']}" if row["compile"] else row["measure"]
        cells = [name, row["backend"], *(_time(row["us"].get(style)) for style in styles)]
        cells += [_ratio(row, style) for style in others]
        lines.append(_line([*cells, _memory(row)] if memory else cells))
    apart = [f"{row['backend']} {max(row['apart'].values()):.0e}" for row in rows if "apart" in row]
    return "\n".join(lines + ([f"\nLosses of the first steps apart: {', '.join(apart)}."] if apart else []))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _time(spread: dict[str, float] | None) -> str:
    """Microseconds, or milliseconds where these are many."""
    if spread is None:
        return "-"
    unit, factor = ("ms", 1e-3) if spread["median"] >= 10_000 else ("us", 1.0)
    median, low, high = (spread[name] * factor for name in ("median", "low", "high"))
    digits = 1 if median < 100 else 0
    return f"{median:,.{digits}f} {unit} ({low:,.{digits}f}-{high:,.{digits}f})"


def _ratio(row: Row, style: str) -> str:
    spread = row["ours_over"].get(style)
    if spread is None:
        return "-"
    text = f"{spread['median']:.2f}"
    return f"**{text}**" if _is_beyond(row, style, ("ratio", "more us")) else text


def _memory(row: Row) -> str:
    text = f"{row['peak_mb']['ours'] / row['peak_mb']['manual']:.2f}"
    return f"**{text}**" if _is_beyond(row, "manual", ("memory",)) else text


def _is_beyond(row: Row, against: str, kinds: tuple[str, ...]) -> bool:
    aims = [aim for aim in aims_of(row) if aim.against == against and aim.kind in kinds]
    return any(not reached(row, aim) <= aim.limit for aim in aims)
