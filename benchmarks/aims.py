"""What each figure should be, and which ones are not."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.figures import Row
from benchmarks.workloads import NAMES, WORKLOADS


class Aim(NamedTuple):
    """A figure and its limit.

    `kind` says of what: "ratio" of ours to another contestant's time; "memory", the ratio of the processes' peaks; "us", our time;
    "more us", our time less the other's.
    """

    workload: str
    measure: str
    limit: float
    against: str = "best"
    kind: str = "ratio"
    backends: tuple[str, ...] = ("torch", "tensorflow", "jax")


AIMS = (
    Aim("mlp", "mlp", 1.05),
    Aim("mlp", "mlp", 0.6, "manual"),
    Aim("mlp", "mlp", 1 / 8, "keras", backends=("torch",)),
    Aim("mlp", "mlp", 1 / 3, "keras", backends=("tensorflow",)),
    Aim("mlp", "mlp", 1 / 2, "keras", backends=("jax",)),
    Aim("cnn", "cnn", 1.03),
    Aim("conv", "conv", 1.02),
    Aim("dcgan", "dcgan", 1.02),
    Aim("inference", "per image of 256", 1.02),
    Aim("inference", "one image", 1.10),
    Aim("loader", "batch of 32", 1 / 0.95),
    Aim("loader", "batch of 256", 1 / 0.95),
    Aim("start", "import", 150_000, "", "us"),
    Aim("start", "first step", 1.1, "manual", backends=("torch",)),
    Aim("depth", "each layer", 2, "best", "more us"),
    Aim("depth", "loop around 20 layers", 30, "", "us"),
    *(Aim(workload, workload, 1.05, "manual", "memory") for workload in ("mlp", "cnn", "conv", "dcgan")),
)


def aims_of(row: Row) -> list[Aim]:
    """The aims for a row, where the other contestant took part."""
    fitting = [aim for aim in AIMS if (aim.workload, aim.measure) == (row["workload"], row["measure"]) and row["backend"] in aim.backends]
    return [aim for aim in fitting if not aim.against or aim.against in row["us"]]


def reached(row: Row, aim: Aim) -> float:
    """The figure that an aim is about."""
    if aim.kind == "ratio":
        return row["ours_over"][aim.against]["median"]
    if aim.kind == "memory":
        return row["peak_mb"]["ours"] / row["peak_mb"][aim.against]
    ours = row["us"]["ours"]["median"]
    return ours if aim.kind == "us" else ours - row["us"][aim.against]["median"]


def misses(rows: list[Row]) -> list[str]:
    """A line for each figure beyond its limit. Rows of a mode that nobody gets by default have no aims."""
    lines = []
    for row in rows:
        for aim in aims_of(row) if not row["compile"] else ():
            found = reached(row, aim)
            if not found <= aim.limit:
                lines.append(f"{what(row)} on {row['backend']}: {_told(aim, found)}, aim {_told(aim, aim.limit)}")
    return lines


def what(row: Row) -> str:
    """The workload, and the measure where it has several."""
    return row["workload"] if row["measure"] == row["workload"] else f"{row['workload']}, {row['measure']}"


def _told(aim: Aim, value: float) -> str:
    if aim.kind in ("ratio", "memory"):
        return f"{value:.2f} of {NAMES[aim.against]}" + ("'s memory" if aim.kind == "memory" else "")
    return f"{value:,.0f} us" if aim.kind == "us" else f"{value:.1f} us more than {NAMES[aim.against]}"


def has_memory(row: Row) -> bool:
    """Whether the peaks of a row's processes say something about what was measured."""
    return WORKLOADS[row["workload"]].has_memory
