"""What the parent process and a contestant say to each other.

A contestant is a function of a round's number: it does the round, and answers how long things took. The module that stands for it has a
function `contestant(setup)`, which makes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple


class Setup(NamedTuple):
    """Who competes in what.

    `style` is "ours", "manual", "best", "keras", "lightning" or "barebones". `option` is the trainer's `compile` for ours ("" for its
    default), and "given" for a custom step that gets its noise instead of drawing it.
    """

    backend: str
    workload: str
    style: str
    option: str = ""


class Answer(NamedTuple):
    """What a round gave: microseconds by what was measured, and the last mean loss where something was learnt."""

    times: dict[str, float]
    loss: float | None = None


Contestant = Callable[[int], Answer]


def clocked(what: str, count: int, run: Callable[[int], float]) -> Contestant:
    """A contestant whose round is timed as a whole.

    Args:
        what: The name of the measure.
        count: Of how many steps a round consists; the answer is microseconds for one.
        run: Does a round, and returns its mean loss.
    """

    def answer(number: int) -> Answer:
        start = time.perf_counter()
        loss = run(number)
        return Answer({what: (time.perf_counter() - start) / count * 1e6}, loss)

    return answer


def microseconds(run: Callable[[], object], count: int = 1) -> float:
    """How long a call takes; with `count` the part of one of so many things that it does."""
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) / count * 1e6
