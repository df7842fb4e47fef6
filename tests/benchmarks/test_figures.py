"""From what contestants answer to what is told of them."""

import importlib.util

import pytest

from benchmarks.aims import misses
from benchmarks.contestants import ask, start, stop, take_turns
from benchmarks.figures import key, rows_of
from benchmarks.protocol import Setup
from benchmarks.tables import report
from benchmarks.workloads import WORKLOADS, module_of, takes_part


def answers(*microseconds, memory=100.0):
    """Of one contestant of the workload "mlp"."""
    return [{"times": {"mlp": time}, "loss": 0.5, "peak_mb": memory} for time in microseconds]


def row_of(ours, best, backend="torch", **others):
    return rows_of("mlp", backend, {"ours": answers(*ours), "manual": answers(1000.0, 1000.0, 1000.0), "best": answers(*best), **others})[0]


def test_a_ratio_is_taken_round_by_round():
    row = row_of(ours=(10.0, 90.0, 40.0), best=(10.0, 30.0, 20.0))
    assert row["ours_over"]["best"] == {"median": 2.0, "low": 1.0, "high": 3.0}
    assert row["us"]["ours"] == {"median": 40.0, "low": 10.0, "high": 90.0}


def test_a_mode_of_compiling_gets_a_row_of_its_own():
    found = rows_of("mlp", "torch", {"ours": answers(8.0), "best": answers(4.0), "ours inductor": answers(2.0)})
    assert [(key(row)[-1], row["ours_over"]["best"]["median"]) for row in found] == [("", 2.0), ("inductor", 0.5)]


def test_a_figure_beyond_its_aim_is_listed_and_bold():
    row = row_of(ours=(110.0, 110.0, 110.0), best=(100.0, 100.0, 100.0))
    assert misses([row]) == ["mlp on torch: 1.10 of best, aim 1.05 of best"]
    assert "| **1.10** |" in report([row], {"cores": 2})


def test_a_figure_within_its_aim_is_not_listed():
    row = row_of(ours=(104.0, 104.0, 104.0), best=(100.0, 100.0, 100.0))
    assert misses([row]) == []
    assert "Every figure is within its aim." in report([row], {"cores": 2})


def test_memory_beyond_its_aim_is_listed():
    row = row_of(ours=(1.0, 1.0, 1.0), best=(1.0, 1.0, 1.0))
    row["peak_mb"]["ours"] = 110.0
    assert misses([row]) == ["mlp on torch: 1.10 of manual's memory, aim 1.05 of manual's memory"]


def test_who_is_not_there_is_a_dash():
    tables = report([row_of((1.0,) * 3, (1.0,) * 3, keras=answers(9.0, 9.0, 9.0)), row_of((1.0,) * 3, (1.0,) * 3, backend="jax")], {})
    assert [line.count("| - |") for line in tables.splitlines() if line.startswith("| mlp | ")] == [0, 2]


@pytest.mark.parametrize("workload", WORKLOADS)
def test_every_contestant_of_a_workload_has_a_module(workload):
    setups = [Setup(backend, workload, style) for backend in ("torch", "tensorflow", "jax") for style in WORKLOADS[workload].styles]
    assert [setup for setup in setups if takes_part(setup) and importlib.util.find_spec(module_of(setup)) is None] == []


def test_contestants_answer_from_processes_of_their_own(backend_name):
    found = take_turns({style: Setup(backend_name, "loader", style) for style in ("ours", "best")}, rounds=1, threads=1)
    assert [set(answer["times"]) for answer in (*found["ours"], *found["best"])] == [{"batch of 32", "batch of 256"}] * 2
    assert all(answer["peak_mb"] > 50 and min(answer["times"].values()) > 0 for answer in (*found["ours"], *found["best"]))


def test_a_contestant_that_dies_is_named(capfd):
    process = start(Setup("torch", "loader", "nobody"), threads=1)
    try:
        ask(process, 1)
        with pytest.raises(RuntimeError, match="The contestant torch loader nobody died"):
            ask(process, "no number")
    finally:
        stop({"nobody": process})
    assert "ValueError: invalid literal" in capfd.readouterr().err
