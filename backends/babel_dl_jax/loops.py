"""Many steps as one program: a loop that XLA runs, with the cells that a step writes carried from one turn to the next.

How many turns it makes is an argument and no part of the program. So a step is the same machine code however many of them a call runs, and
gives the same bits.

On a CPU XLA runs convolutions four to five times slower in a loop than outside of one (JAX 0.10); steps with convolutions are refused.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from babel_dl.backend.contract import Native, Tree
from babel_dl.errors import BackendError
from babel_dl_jax.programs import Compiled
from babel_dl_jax.tracing import Cell, Frame, read, write
from babel_dl_jax.trees import Structure, flatten, map_leaves, rebuild


class _Turn:
    """One turn of the loop as a pure function: cells hold what it is given, and what they hold afterwards is returned.

    Args:
        fn: Takes a tree of slices and one of constants.
        stacked: What is sliced.
        constants: What each turn gets.
    """

    def __init__(self, fn: Callable[[Tree, Tree], Tree], stacked: Tree, constants: Tree):
        self._fn = fn
        self._stacked = stacked
        self._constants = constants
        self.cells: list[Cell] = []
        self.results: Structure = None

    def explore(self, index: Native) -> list[Native]:
        """Finds the cells that a turn writes, and the structure of its results."""
        with Frame() as frame:
            found = self._results(index)
            self.cells = list(frame.written)
        return found

    def run(self, index: Native, states: list[Native]) -> tuple[list[Native], list[Native]]:
        """The new states, and the results."""
        with Frame() as frame:
            for cell, state in zip(self.cells, states, strict=True):
                frame.swap(cell, state)
            found = self._results(index)
            late = [cell.name for cell in frame.written if cell not in self.cells]
            if late:
                raise BackendError(
                    f"A compiled step writes variables the second time that it is traced, which it did not write at first: "
                    f"{', '.join(late)}.\n  Let the same code run every time, or compile with mode \"off\"."
                )
            return [cell.value for cell in self.cells], found

    def _results(self, index: Native) -> list[Native]:
        slices = map_leaves(lambda array: lax.dynamic_index_in_dim(array, index, 0, keepdims=False), self._stacked)
        found: list[Native] = []
        self.results = flatten(self._fn(slices, self._constants), found)
        return [jnp.asarray(leaf) for leaf in found]


class _SlowInLoop(Exception):
    """The step is better run by itself."""


class CompiledSteps:
    """Runs a step for one slice of its arguments after the other.

    Args:
        fn: Takes a tree of slices and a tree of constants.
        receive: What makes a host array an argument of a program.
    """

    def __init__(self, fn: Callable[[Tree, Tree], Tree], receive: Callable[[np.ndarray | np.generic], Native]):
        self._receive = receive
        self._programs = {on_cpu: Compiled(partial(_run, fn, on_cpu), receive, is_eager=False) for on_cpu in (False, True)}
        self._latest: tuple[Tree, Tree, bool] = ((), (), False)

    def __call__(self, stacked: Tree, start: int, stop: int, constants: Tree) -> Tree | None:
        """See `Transforms.compile_steps`."""
        if stacked is not self._latest[0]:
            self._latest = stacked, *self._on_device(stacked)
        _, natives, on_cpu = self._latest
        try:
            return self._programs[on_cpu](natives, np.int32(start), np.int32(stop), constants)
        except _SlowInLoop:
            return None

    def _on_device(self, stacked: Tree) -> tuple[Tree, bool]:
        natives = map_leaves(lambda leaf: jnp.asarray(self._receive(leaf)), stacked)
        leaves: list[Native] = []
        flatten(natives, leaves)
        return natives, all(device.platform == "cpu" for leaf in leaves for device in leaf.devices())


def _run(fn: Callable[[Tree, Tree], Tree], on_cpu: bool, stacked: Tree, start: Native, stop: Native, constants: Tree) -> Tree:
    """The loop, while it is traced."""
    turn = _Turn(fn, stacked, constants)
    jaxpr, specs = jax.make_jaxpr(turn.explore, return_shape=True)(start)
    if on_cpu and "conv_general_dilated" in _primitives(jaxpr.jaxpr):
        raise _SlowInLoop
    arrays: list[Native] = []
    flatten(stacked, arrays)
    rooms: list[Any] = [jnp.zeros((arrays[0].shape[0], *spec.shape), spec.dtype) for spec in specs]

    def body(index: Native, carried: tuple[list[Native], list[Native]]) -> tuple[list[Native], list[Native]]:
        states, found = turn.run(index, carried[0])
        place = index - start
        return states, [lax.dynamic_update_index_in_dim(room, leaf, place, 0) for room, leaf in zip(carried[1], found, strict=True)]

    states, filled = lax.fori_loop(start, stop, body, ([read(cell) for cell in turn.cells], rooms))
    for cell, state in zip(turn.cells, states, strict=True):
        write(cell, state)
    return rebuild(turn.results, iter(filled))


def _primitives(jaxpr: Any) -> Iterator[str]:
    """The names of all operations, those of inner functions included."""
    for equation in jaxpr.eqns:
        yield equation.primitive.name
        for value in equation.params.values():
            for inner in value if isinstance(value, (tuple, list)) else (value,):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    yield from _primitives(inner)
