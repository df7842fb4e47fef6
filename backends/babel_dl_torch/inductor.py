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
from babel_dl_torch.state import WRITTEN, Cell, SharedCell, cells_by_tensor
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
    """A function that is compiled for each signature of its arguments: first call as it is, second call traced, then by the graph.

    The first call makes the variables that do not exist yet. A function whose results carry gradients is never compiled: the graph would
    cut them off. Arguments are trees of tensors and hashable constants.
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
        if program is not None and program.is_valid():
            return program(tensors)
        if key in self._programs:
            return self._compile(key, arguments, tensors)
        result = self._fn(*arguments)
        if not any(tensor.requires_grad for tensor in tensors_in(result)):
            self._programs[key] = None
        return result

    def _compile(self, key: Hashable, arguments: Tree, tensors: list[Tensor]) -> Tree:
        results: list[Tree] = []
        written: dict[Cell, Tensor] = {}

        def record(*replaced: Tensor) -> list[Tensor]:
            results.append(self._fn(*exchange(arguments, replaced)))
            return [*tensors_in(results[0]), *[cell.tensor.detach() for cell in _replaced(written)]]

        tracing, journal = TRACING.set(True), WRITTEN.set(written)
        try:
            traced = make_fx(record)(*tensors)
        finally:
            TRACING.reset(tracing)
            WRITTEN.reset(journal)
            if (outer := WRITTEN.get()) is not None:
                outer.update({cell: before for cell, before in written.items() if cell not in outer})
        graph, constants = _with_constants_as_inputs(traced)
        states = _cells_of(constants, written)
        self._programs[key] = _Program(
            _by_inductor(graph, [*tensors, *constants]), states, _trainable(states), _replaced(written), map_tree(_emptied, results[0])
        )
        return results[0]


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
