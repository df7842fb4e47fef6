"""Functions made fast by `jax.jit`. Their variables are found by running them, and cross as arguments and results.

    first call:  trace; cells that are read or written are noted; the trace is thrown away
                 trace again with these cells as inputs; compile; run
    later calls: flatten the arguments, look the program up, collect the cells' arrays, run, store the new arrays

Arrays of written cells are donated: XLA computes in their memory. A native module that holds one of them lets go of it for the run.
Nothing here is a hash of shapes: `jax.jit` does that faster.
"""

import threading
from collections import deque
from collections.abc import Callable
from itertools import chain, tee
from operator import attrgetter, itemgetter
from sys import getrefcount

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from babel_dl.backend.contract import Native, Tree
from babel_dl.errors import ArgumentError, BackendError
from babel_dl_jax.tracing import Cell, Frame, Mirror, look_up, open_frame
from babel_dl_jax.trees import Structure, flatten, map_leaves, rebuild

_ATTEMPTS = 8
"""How many traces may each find new cells before the function counts as one that makes new variables at every call."""

_value_of = attrgetter("value")
_states_of = itemgetter(0)
_store = Cell.value.__set__  # type: ignore[attr-defined]


class _Incomplete(Exception):
    """A trace met cells that its program does not carry."""


class _PlanFrame(Frame):
    """Knows which cells the program carries, and collects those it should."""

    __slots__ = ("missing", "planned")

    def __init__(self, planned: set[Cell], missing: dict[Cell, bool]):
        super().__init__()
        self.planned = planned
        self.missing = missing

    def note_read(self, cell: Cell) -> None:
        """An unknown cell would be baked in as a constant."""
        if cell not in self.outside:
            self.missing.setdefault(cell, False)

    def note_write(self, cell: Cell) -> None:
        """An unknown cell would lose its new value."""
        super().note_write(cell)
        if cell not in self.planned:
            self.missing[cell] = True


class _Results:
    """The structure of a program's results. Hashed by identity: it is the key of a dict, and so passes through `jax.jit`."""

    __slots__ = ("smallest", "structure")

    def __init__(self, tree: Tree, leaves: list[Native]):
        self.structure = flatten(tree, leaves)
        self.smallest = min(range(len(leaves)), key=lambda index: leaves[index].size, default=0)


class _Latest(threading.local):
    result: Native | None = None


latest = _Latest()
"""The smallest result of the latest program of this thread, for `synchronize`: it may be the only one left of what still runs."""


class Program:
    """A function for one structure of its arguments."""

    def __init__(self, fn: Callable[..., Tree], positional: Structure, named: Structure):
        self._fn = fn
        self._positional = positional
        self._named = named
        self._constant: list[Cell] = []
        self._written: list[Cell] = []
        self._missing: dict[Cell, bool] = {}
        self._mirrored: list[Cell] = []
        self._lent: list[tuple[Mirror, Cell]] = []
        self._jitted = jax.jit(self._trace, donate_argnums=0)

    def __call__(self, leaves: list[Native]) -> Tree:
        """Runs it; traces first if it has to."""
        try:
            return self._run(leaves)
        except _Incomplete:
            pass  # and leave the handler: errors of the next trace are not "during handling of" this one
        return self._complete(leaves)

    def _run(self, leaves: list[Native]) -> Tree:
        if not self._mirrored:
            return self._launch(leaves)
        for cell in self._mirrored:
            look_up(cell)
        lent = self._lent
        for mirror, _ in lent:
            mirror.show(mirror.holder, None)
        try:
            return self._launch(leaves)
        finally:
            for mirror, cell in lent:
                mirror.show(mirror.holder, cell.value)

    def _launch(self, leaves: list[Native]) -> Tree:
        written = self._written
        before = states = list(map(_value_of, written))
        if max(map(getrefcount, states), default=0) > _OWN:
            states = _unshared(before)
        # One call from C to C runs the program and stores the new arrays. An interrupt (Ctrl-C) is raised between two bytecodes: before
        # that call or after it, and never while the old arrays are consumed and the new ones are not in their cells.
        calls, kept = tee(map(self._jitted, (states,), (list(map(_value_of, self._constant)),), (leaves,)))
        try:
            deque(map(_store, written, chain.from_iterable(map(_states_of, calls))), maxlen=0)
            [(results, found)] = next(kept)[1].items()  # runs it now, if it writes to nothing
        except Exception as error:
            self._explain_loss(error)
            raise
        if written and isinstance(written[0].value, Tracer):
            self._refuse(before)
        if found:
            latest.result = found[results.smallest]
        return rebuild(results.structure, iter(found))

    def _refuse(self, before: list[Native]) -> None:
        deque(map(_store, self._written, before), maxlen=0)
        raise BackendError(
            f"A compiled function writes variable {self._written[0].name!r}, and was called inside of a JAX transformation that "
            "babel_dl did not start: its value would be lost.\n  Use babel_dl's value_and_grad and compile around it."
        )

    def _trace(
        self, states: list[Native], constants: list[Native], leaves: list[Native]
    ) -> tuple[list[Native], dict[_Results, list[Native]]]:
        with _PlanFrame(set(self._written), self._missing) as frame:
            for cell, value in zip(self._written + self._constant, states + constants, strict=True):
                frame.swap(cell, value)
            ready = iter(leaves)
            arguments, options = rebuild(self._positional, ready), rebuild(self._named, ready)
            found: list[Native] = []
            results = _Results(self._fn(*arguments, **options), found)
            if self._missing:
                raise _Incomplete
            return [cell.value for cell in self._written], {results: found}

    def _complete(self, leaves: list[Native]) -> Tree:
        for _ in range(_ATTEMPTS):
            self._extend()
            try:
                return self._run(leaves)
            except _Incomplete:
                pass
        names = ", ".join(repr(cell.name) for cell in self._missing)
        self._missing.clear()
        raise BackendError(
            f"A compiled function meets new variables each time it is traced: {names}.\n"
            "  Make variables once, in build or outside of the function, and keep them."
        )

    def _extend(self) -> None:
        for cell, is_written in self._missing.items():
            if is_written and cell in self._constant:
                self._constant.remove(cell)
            (self._written if is_written else self._constant).append(cell)
        self._missing.clear()
        self._mirrored = [cell for cell in (*self._written, *self._constant) if cell.mirror is not None]
        self._lent = [(cell.mirror, cell) for cell in self._written if cell.mirror is not None]

    def _explain_loss(self, error: Exception) -> None:
        lost = [cell.name for cell in self._written if isinstance(cell.value, jax.Array) and cell.value.is_deleted()]
        if lost:
            raise BackendError(
                f"A compiled function failed after JAX had taken over the memory of the variables it writes: {', '.join(lost)}.\n"
                f"  {type(error).__name__}: {error}\n"
                "  Their values are gone. Load the latest checkpoint; if memory ran out, take a smaller batch."
            ) from error


class Compiled:
    """A function, and its programs by the structure of the arguments.

    Args:
        fn: The function.
        receive: What makes a host array an argument of a program.
        is_eager: Whether to run the function as it is.
    """

    def __init__(self, fn: Callable[..., Tree], receive: Callable[[np.ndarray | np.generic], Native], is_eager: bool):
        self._fn = fn
        self._receive = receive
        self._is_eager = is_eager
        self._programs: dict[Structure, Program] = {}

    def __call__(self, *arguments: Tree, **options: Tree) -> Tree:
        """Runs the function. Inside of another trace it becomes a part of that one.

        Raises:
            ArgumentError: A constant among the arguments cannot be hashed.
            BackendError: The program failed when its variables' old values had been given up, or makes new variables at every call.
        """
        if self._is_eager or open_frame() is not None:
            return self._fn(*map_leaves(self._native, arguments), **map_leaves(self._native, options))
        leaves: list[Native] = []
        positional, named = flatten(arguments, leaves), flatten(options, leaves)
        for index, leaf in enumerate(leaves):
            if isinstance(leaf, (np.ndarray, np.generic)):
                leaves[index] = self._receive(leaf)
        try:
            program = self._programs.get((positional, named))
        except TypeError as error:
            raise ArgumentError(
                f"An argument of a compiled function is a constant that cannot be hashed ({error}).\n"
                "  Pass arrays in tuples, lists and dicts; anything else must be hashable, as numbers and strings are."
            ) from error
        if program is None:
            program = self._programs[positional, named] = Program(self._fn, positional, named)
        return program(leaves)

    def _native(self, leaf: Native) -> Native:
        return jnp.asarray(self._receive(leaf)) if isinstance(leaf, (np.ndarray, np.generic)) else leaf


def _unshared(states: list[Native]) -> list[Native]:
    """Copies of those arrays that somebody else holds, too: donating them would empty them under the holder's hands."""
    counts = list(map(getrefcount, states))
    return [
        jnp.array(state, copy=True) if count > _OWN and isinstance(state, jax.Array) else state
        for state, count in zip(states, counts, strict=True)
    ]


def _count_own_references() -> int:
    cells = [Cell(np.zeros(()), np.dtype("float32"), False, "")]
    states = list(map(_value_of, cells))
    return max(map(getrefcount, states), default=0)


_OWN = _count_own_references()
"""How many references `Program._run` sees of an array that only its cell holds."""
