"""A picture of the rows: how many times the best known time each contestant takes."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.aims import what
from benchmarks.figures import Row
from benchmarks.workloads import NAMES

SHOWN = ("mlp", "cnn", "conv", "dcgan", "inference", "loader")
COLORS = {"ours": "#c8102e", "manual": "#5b7083", "keras": "#e0a030", "lightning": "#8064a2", "barebones": "#bcaed2"}
LIMIT = 6.0
"""Longer bars are cut, and say how long they are."""


def draw(rows: list[Row], path: Path) -> None:
    """Writes the picture: a panel for each backend, a group of bars for each measure, 1 for the best known."""
    rows = [row for row in rows if row["workload"] in SHOWN and not row["compile"] and "best" in row["us"]]
    backends = list(dict.fromkeys(row["backend"] for row in rows))
    groups = {backend: [row for row in rows if row["backend"] == backend] for backend in backends}
    height = max(sum(_height(row) for row in group) for group in groups.values()) * 0.16 + 1.2
    figure = Figure(figsize=(4.6 * len(backends) + 0.6, height), layout="constrained")
    for place, (backend, group) in enumerate(groups.items()):
        _panel(figure.add_subplot(1, len(backends), place + 1), backend, group)
    longest = max(axes.get_ylim()[0] for axes in figure.axes)
    for axes in figure.axes:
        axes.set_ylim(longest, -0.8)
    shown = [style for style in COLORS if any(style in row["us"] for row in rows)]
    handles = [figure.axes[0].barh(0, 0, color=COLORS[style], label=NAMES[style]) for style in shown]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(shown), frameon=False)
    figure.savefig(path, dpi=130)


def _height(row: Row) -> int:
    return sum(style in row["us"] for style in COLORS) + 2


def _panel(axes: Axes, backend: str, rows: list[Row]) -> None:
    place, ticks = 0.0, []
    for row in rows:
        first, best = place, row["us"]["best"]["median"]
        for style in COLORS:
            if style in row["us"]:
                ratio = row["us"][style]["median"] / best
                axes.barh(place, min(ratio, LIMIT), height=0.9, color=COLORS[style])
                axes.text(min(ratio, LIMIT) + 0.06, place, f"{ratio:.2f}", va="center", fontsize=7)
                place += 1
        ticks.append(((first + place - 1) / 2, what(row)))
        place += 1.2
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_yticks([position for position, _ in ticks], [name for _, name in ticks])
    axes.set(title=backend, xlim=(0, LIMIT + 0.7), xlabel="time, in times of the best known")
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
