"""Compiles a Python step, gradients and updates included, into one graph for PyTorch's inductor.

`make_fx` runs the step once, for real, and writes down every operation that reaches PyTorch's core: no rule of `torch.compile` about
Python code applies, and there is one graph, where `torch.compile` of the step breaks at each gradient and context variable. Tensors
that the step reached by itself (variables, moments, counters) are constants in that graph; they are made inputs, so they stay variables.
What it assigned is added to the results, and put into the cells after each run; what PyTorch modules hold is written in place, in the
graph as outside of it.
"""

import warnings
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from babel_dl.backend.contract import Tree
from babel_dl_torch.state import WRITTEN, Cell, SharedCell, cells_by_tensor, held_tensors, restore
from babel_dl_torch.tracing import TRACING, is_tracing
from babel_dl_torch.trees import exchange, map_tree, signature, tensors_in


@dataclass(frozen=True)
class _Program:
    """A compiled graph, the cells it reads and assigns to, and which of them could be trained when it was traced."""

    run: Callable[..., Sequence[Tensor]]
    states: tuple[Cell, ...]
    trainable: tuple[bool, ...]
    written: tuple[Cell, ...]
    result: Tree

    def is_valid(self) -> bool:
        return self.trainable == _trainable(self.states)

    def __call__(self, arguments: list[Tensor]) -> Tree:
        with torch.no_grad():
            found = self.run(*arguments, *[cell.tensor for cell in self.states])
        first_write = len(found) - len(self.written)
        journal = WRITTEN.get()
        for cell, value in zip(self.written, found[first_write:], strict=True):
            before = cell.tensor
            if journal is not None:
                journal.setdefault(cell, before)
            if value.stride() != before.stride():
                value = torch.empty_like(before).copy_(value)
            cell.tensor = value.requires_grad_(before.requires_grad)
        return exchange(self.result, found[:first_write])


class InductorFunction:
    """A function that is compiled for each signature of its arguments. Every call runs the graph, the first one too, so that a run that is
    resumed gives the bits of the run that went on; but for a call that makes variables, which runs as it is.

    A function whose results carry gradients is never compiled: the graph would cut them off. Arguments are trees of tensors and hashable
    constants.
    """

    def __init__(self, fn: Callable[..., Tree]) -> None:
        self._fn = fn
        self._programs: dict[Hashable, _Program | None] = {}

    def __call__(self, *arguments: Tree) -> Tree:
        """The function's result, with its writes made."""
        if is_tracing():
            return self._fn(*arguments)
        tensors: list[Tensor] = []
        key = (torch.is_grad_enabled(), signature(arguments, tensors))
        program = self._programs.get(key)
        if program is None and key in self._programs:
            return self._fn(*arguments)
        if program is not None and program.is_valid():
            return program(tensors)
        written: dict[Cell, Tensor] = {}
        with _Undo(written) as undo:
            traced, results = self._write_down(arguments, tensors, written)
            if undo.has_new_cells():  # what they held at first is gone: this run counts, and the next one is written down
                return undo.keep(results)
            graph, constants = _with_constants_as_inputs(traced)
            states, assigned = _cells_of(constants, written), _replaced(written)
        if any(tensor.requires_grad for tensor in tensors_in(results)):
            self._programs[key] = None
            return self._fn(*arguments)
        run = _by_inductor(graph, [*tensors, *constants])
        program = self._programs[key] = _Program(run, states, _trainable(states), assigned, map_tree(_emptied, results))
        return program(tensors)

    def _write_down(self, arguments: Tree, tensors: list[Tensor], written: dict[Cell, Tensor]) -> tuple[GraphModule, Tree]:
        """Runs the function for real; the graph of what it did, and its results."""
        results: list[Tree] = []

        def record(*replaced: Tensor) -> list[Tensor]:
            results.append(self._fn(*exchange(arguments, replaced)))
            return [*tensors_in(results[0]), *[cell.tensor.detach() for cell in _replaced(written)]]

        tracing, journal = TRACING.set(True), WRITTEN.set(written)
        try:
            return make_fx(record)(*tensors), results[0]
        finally:
            TRACING.reset(tracing)
            WRITTEN.reset(journal)


class _Undo:
    """Takes back what a run in it did to cells, in place or not, to the buffers of PyTorch's modules and to PyTorch's generator.

    Args:
        written: The journal of assignments of that run.
    """

    def __init__(self, written: dict[Cell, Tensor]) -> None:
        self._written = written
        self._values = {cell: tensor.detach().clone() for cell, tensor in held_tensors()}
        self._random = torch.get_rng_state()
        self._is_kept = False

    def __enter__(self) -> "_Undo":
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_kept:
            return
        restore(self._written)
        torch.set_rng_state(self._random)
        with torch.no_grad():
            for cell, value in self._values.items():
                if not torch.equal(cell.tensor, value):
                    cell.tensor.copy_(value)

    def has_new_cells(self) -> bool:
        """Whether variables were made since."""
        return any(cell not in self._values for cell, _ in held_tensors())

    def keep(self, results: Tree) -> Tree:
        """Lets everything be as it is now; returns the results."""
        self._is_kept = True
        if (outer := WRITTEN.get()) is not None:
            outer.update({cell: before for cell, before in self._written.items() if cell not in outer})
        return results


def _with_constants_as_inputs(traced: GraphModule) -> tuple[GraphModule, list[Tensor]]:
    """The graph with an input, behind the others, for each tensor that it holds; and these tensors."""
    graph, inputs = traced.graph, {}
    last = next((node for node in reversed(graph.nodes) if node.op == "placeholder"), None)
    for node in list(graph.nodes):
        if node.op != "get_attr":
            continue
        if node.target not in inputs:
            with graph.inserting_after(last) if last is not None else graph.inserting_before(next(iter(graph.nodes))):
                last = inputs[node.target] = graph.placeholder(f"state{len(inputs)}")
        node.replace_all_uses_with(inputs[node.target])
        graph.erase_node(node)
    return GraphModule({}, graph), [getattr(traced, name) for name in inputs]


def _cells_of(constants: list[Tensor], written: dict[Cell, Tensor]) -> tuple[Cell, ...]:
    """The cell that held each tensor when the trace began; true constants get one of their own."""
    cells = cells_by_tensor() | {id(written[cell]): cell for cell in _replaced(written)}
    return tuple([cells.get(id(constant)) or Cell(constant) for constant in constants])


def _replaced(written: Iterable[Cell]) -> tuple[Cell, ...]:
    """Those that got a new leaf; the others were written to in place."""
    return tuple([cell for cell in written if not isinstance(cell, SharedCell)])


def _by_inductor(graph: GraphModule, examples: list[Any]) -> Any:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # inductor's own modules use what PyTorch deprecates
        return torch._inductor.compile(graph, examples)


def _trainable(cells: Sequence[Cell]) -> tuple[bool, ...]:
    return tuple([cell.tensor.requires_grad for cell in cells])


def _emptied(leaf: Any) -> Any:
    return leaf.new_empty(0) if isinstance(leaf, Tensor) else leaf  # marks the place, keeps no memory
