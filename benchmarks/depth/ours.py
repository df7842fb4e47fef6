"""babel_dl with its default settings; and its loop alone, around a step that returns at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from babel_dl.backend import current_backend
from babel_dl.core import Module
from babel_dl.data import ArrayDataset
from babel_dl.model.layers import Activation, FullyConnected, Sequential
from babel_dl.training import SupervisedTrainer
from babel_dl.training.losses import Loss, SparseCrossEntropyLossFromLogits
from babel_dl.training.optimizers import SGD
from benchmarks.depth import task
from benchmarks.protocol import Contestant, Setup
from benchmarks.training.ours import Rounds, enter


class Inputs(NamedTuple):
    """What goes in."""

    x: Any


class Outputs(NamedTuple):
    """What comes out."""

    y: Any


class Chain(Module):
    """Dense layers, one behind the other."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        layers: list[Module] = []
        for _ in range(depth):
            layers += [FullyConnected(task.WIDTH), Activation("relu")]
        self.net = Sequential(*layers[:-1])

    def call(self, x: Any) -> Outputs:
        """The logits."""
        return Outputs(self.net(x))


class CrossEntropy(Loss):
    """Cross entropy of the one output."""

    def __init__(self) -> None:
        super().__init__()
        self.ce = SparseCrossEntropyLossFromLogits()

    def call(self, y_pred: Outputs, y_true: Outputs) -> Any:
        """The mean over the batch."""
        return self.ce(y_pred.y, y_true.y).mean()


def contestant(setup: Setup) -> Contestant:
    """Trains with the default settings, and `compile` where the setup asks for a mode."""
    options = enter(setup)
    x, y = task.arrays()
    loader = ArrayDataset(Inputs(x), Outputs(y)).to_dataloader(task.BATCH_SIZE)

    def make(depth: int) -> Callable[[int], object]:
        rule = SGD(task.RATE, task.MOMENTUM, nesterov=True)
        return Rounds(SupervisedTrainer(Chain(depth), CrossEntropy(), rule, callbacks=[], **options), loader)

    return task.deepened(make, {task.HOST: _with_idle_steps(lambda: make(20))})


def _with_idle_steps(make: Callable[[], Callable[[int], object]]) -> Callable[[int], object]:
    """The loop alone: what a backend compiles runs once for each number of steps in a call, and from then on gives that result at once."""
    backend: Any = current_backend()
    compile_really, compile_steps_really = backend.compile, backend.compile_steps

    def compile_once(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
        return _remembering(compile_really(fn, *args, **kwargs), lambda *batch: 1)

    def compile_steps_once(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any] | None:
        compiled = compile_steps_really(fn, *args, **kwargs)
        return compiled and _remembering(compiled, lambda stacked, start, stop, *rest: stop - start)

    backend.compile, backend.compile_steps = compile_once, compile_steps_once
    try:
        run = make()
        run(0)
    finally:
        del backend.compile, backend.compile_steps
    return run


def _remembering(compiled: Callable[..., Any], count: Callable[..., int]) -> Callable[..., Any]:
    results: dict[int, Any] = {}

    def run(*arguments: Any) -> Any:
        steps = count(*arguments)
        if steps not in results:
            results[steps] = compiled(*arguments)
        return results[steps]

    return run
