"""What is trained: chains of dense layers of width 16 with ReLU, batch 4, SGD with Nesterov momentum; 2 to 200 layers, so 4 to 400
variables. The arithmetic is next to nothing: what a layer costs is its operations' overhead.

Everyone's batches come from memory, and the loss is read at the end of a round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.protocol import Answer, Contestant, microseconds

DEPTHS = (2, 20, 50, 100, 200)
WIDTH, BATCH_SIZE, STEPS = 16, 4, 50
RATE, MOMENTUM = 1e-3, 0.9
SLOPE, HOST = "each layer", "loop around 20 layers"


def arrays() -> tuple[np.ndarray, np.ndarray]:
    """Inputs (samples, width), float32, and classes (samples,), uint8."""
    random = np.random.default_rng(0)
    count = STEPS * BATCH_SIZE
    return random.normal(size=(count, WIDTH)).astype(np.float32), random.integers(0, WIDTH, count, np.uint8)


def order(number: int) -> np.ndarray:
    """Which samples each batch of a round has: (steps, batch)."""
    return np.random.default_rng(number).permutation(STEPS * BATCH_SIZE).reshape(STEPS, BATCH_SIZE)


def batches(number: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The batches of a round."""
    x, y = arrays()
    for chosen in order(number):
        yield x[chosen], y[chosen]


def weights(depth: int) -> list[np.ndarray]:
    """A matrix and an offset for each layer."""
    random = np.random.default_rng(0)
    limit = np.sqrt(3 / WIDTH)
    matrices = [random.uniform(-limit, limit, (WIDTH, WIDTH)).astype(np.float32) for _ in range(depth)]
    return [value for matrix in matrices for value in (matrix, np.zeros(WIDTH, np.float32))]


def deepened(make: Callable[[int], Callable[[int], object]], others: dict[str, Callable[[int], object]] | None = None) -> Contestant:
    """The contestant, with one chain of each depth.

    Args:
        make: From a depth to a function that trains a round.
        others: More rounds, by the name of the measure.
    """
    runs = {depth: make(depth) for depth in DEPTHS}

    def answer(number: int) -> Answer:
        times = {depth: microseconds(lambda run=run: run(number), STEPS) for depth, run in runs.items()}
        slope = float(np.polyfit(list(times), list(times.values()), 1)[0])
        more = {name: microseconds(lambda run=run: run(number), STEPS) for name, run in (others or {}).items()}
        return Answer({**{f"{depth} layers": value for depth, value in times.items()}, SLOPE: slope, **more})

    return answer
