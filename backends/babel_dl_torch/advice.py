"""Whether one compiled graph pays for a function, by counting what it does. Nothing is timed: the same run decides alike.

    an operation of PyTorch costs some 5 us to call, and the way back and the optimizer call about twice as many again
    a graph saves most of that; where operations compute for longer, it saves little, and PyTorch's own convolutions are faster
    to compile takes seconds, more with more operations

The constants were measured on 2 cores with PyTorch 2.13: an MLP goes from 420 to 190 us a step after 5 s of compiling.
"""

import os
import shutil
from collections.abc import Callable
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

MAX_FLOP = 400_000.0
"""Of an operation, on average: at some 50 GFLOP/s that takes 8 us, as long as calling it."""

SAVED_SECONDS = 12e-6
"""For each operation on the way there, with what follows from it on the way back and in the optimizer."""

COMPILING_SECONDS = (4.0, 0.15)
"""Once, and for each operation."""

GAIN = 1.5
"""How many times the compilation must be repaid."""

MIN_RUNS = 500
"""Fewer repay nothing, however many operations there are; so nothing is counted."""

_VIEWS = ("view", "reshape", "permute", "t", "transpose", "expand", "squeeze", "unsqueeze", "detach", "alias", "slice", "select")


class _Counting(TorchDispatchMode):
    """Counts operations, and the floating operations of products and convolutions."""

    def __init__(self) -> None:
        super().__init__()
        from torch.utils.flop_counter import flop_registry

        self._formulas = flop_registry
        self.operations, self.flop, self.convolutions = 0, 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """One operation."""
        result = func(*args, **(kwargs or {}))
        packet = func._overloadpacket
        if packet.__name__ not in _VIEWS:
            self.operations += 1
        self.convolutions += packet.__name__.startswith("convolution")
        formula = self._formulas.get(packet)
        if formula is not None:
            self.flop += formula(*args, **(kwargs or {}), out_val=result)
        return result


def pays_as_graph(run: Callable[[], object], scale: int, num_runs: int) -> bool:
    """Whether compiling a function into one graph is repaid.

    Args:
        run: Runs it once, on a small batch.
        scale: How many times larger the real batches are.
        num_runs: How often it will run.
    """
    if num_runs < MIN_RUNS or not _has_compiler():
        return False
    with _Counting() as counted:
        run()
    operations = max(counted.operations, 1)
    compiling = COMPILING_SECONDS[0] + COMPILING_SECONDS[1] * operations
    is_short = not counted.convolutions and counted.flop * scale <= MAX_FLOP * operations
    return is_short and operations * SAVED_SECONDS * num_runs > GAIN * compiling


def _has_compiler() -> bool:
    return any(shutil.which(name) for name in (os.environ.get("CXX") or "g++", "clang++"))
