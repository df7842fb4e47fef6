"""Gradients by autograd, and functions made fast. PyTorch is fast as it is: only the mode `inductor` compiles."""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
from torch import Tensor

from babel_dl.backend.contract import Transforms, Tree
from babel_dl.errors import ArgumentError, did_you_mean
from babel_dl_torch.binding import bound
from babel_dl_torch.creation import from_host, place_in_force
from babel_dl_torch.state import WRITTEN, Cell, restore, undone
from babel_dl_torch.tracing import is_tracing
from babel_dl_torch.trees import map_tree

_DIFFERENTIATING: ContextVar[bool] = ContextVar("babel_dl_torch_differentiating", default=False)
"""Whether a gradient is being taken, which may want to go through another one inside."""


class TorchTransforms(Transforms):
    """Functions of functions."""

    stop_gradient = bound(torch.detach)
    without_gradients = bound(torch.no_grad)

    def value_and_grad(
        self, fn: Callable[..., tuple[Tensor, Tree]], storages: Sequence[Cell], inputs: Sequence[Tensor] = ()
    ) -> tuple[Tensor, Tree, list[Tensor | None]]:
        """`torch.autograd.grad`, which touches no `.grad` field. A frozen variable gets None."""
        leaves = [storage.tensor for storage in storages]
        nested = _DIFFERENTIATING.get() and torch.is_grad_enabled()
        token = _DIFFERENTIATING.set(True)
        try:
            with torch.enable_grad():
                arguments = [_followed(native) for native in inputs]
                value, others = fn(*arguments)
        finally:
            _DIFFERENTIATING.reset(token)
        gradients = _gradients(value, [*leaves, *arguments], nested)
        return (value, others, gradients) if nested else (value.detach(), map_tree(_detached, others), gradients)

    def compile(self, fn: Callable[..., Tree], mode: str = "auto") -> Callable[..., Tree]:
        """The function itself for "auto" and "off", with numpy arrays made tensors on the way in; "inductor": see `inductor.py`.

        A tensor made of a numpy argument lies over the array's memory on the CPU, so do not refill an array whose results you keep.
        When the function raises, variables get back what they held before, except where a fused kernel wrote.

        Raises:
            ArgumentError: There is no such mode.
        """
        if mode not in ("auto", "off", *self.compile_modes):
            raise ArgumentError(f"PyTorch cannot compile with mode {mode!r}.{did_you_mean(mode, ('auto', 'off', *self.compile_modes))}")
        run = _by_inductor(fn) if mode == "inductor" else fn

        def call(*arguments: Tree) -> Tree:
            natives = [self._received(argument) for argument in arguments]
            if WRITTEN.get() is not None:  # a compiled function around this one keeps the journal
                return run(*natives)
            written: dict[Cell, Tensor] = {}
            token = WRITTEN.set(written)
            try:
                return run(*natives)
            except BaseException:
                restore(written)
                raise
            finally:
                WRITTEN.reset(token)

        return call

    def compile_steps(self, fn: Callable[[Tree, Tree], Tree], mode: str = "auto") -> None:
        """None: a call in Python is all there is, and costs next to nothing."""

    @property
    def compile_modes(self) -> tuple[str, ...]:
        """`inductor`: for long runs of small models; it wants a C++ compiler, and takes some ten seconds at the second call."""
        return ("inductor",)

    def advise_mode(self, fn: Callable[..., Tree], arguments: Sequence[np.ndarray], scale: int, num_runs: int) -> str:
        """`inductor` for long runs of short operations on the CPU, see `advice.py`."""
        if place_in_force(self) != "cpu":
            return "auto"
        from babel_dl_torch.advice import pays_as_graph  # here, because few ask

        return "inductor" if pays_as_graph(lambda: self.trace_shapes(fn, *arguments), scale, num_runs) else "auto"

    def trace_shapes(self, fn: Callable[..., Tree], *arguments: np.ndarray) -> None:
        """Runs `fn` as it is, without gradients, and undoes its writes to variables."""
        with torch.no_grad(), undone():
            fn(*[self._received(argument) for argument in arguments])

    def is_traced(self, x: Tensor) -> bool:
        """True while `inductor` or `torch.compile` traces; eager tensors always have values."""
        return is_tracing()

    def synchronize(self) -> None:
        """Waits for the GPU; on the CPU everything is done when a call returns."""
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()

    def _received(self, tree: Tree) -> Tree:
        if isinstance(tree, Tensor):
            return tree
        place = place_in_force(self)
        if isinstance(tree, np.ndarray):
            return _placed(tree, place)
        return map_tree(lambda leaf: _placed(leaf, place) if isinstance(leaf, np.ndarray) else leaf, tree)


def _followed(native: Tensor) -> Tensor:
    """The same values as another tensor whose gradient can be asked for, and leads on to what the tensor was computed from."""
    return native.view_as(native) if native.requires_grad else native.detach().requires_grad_()


def _gradients(value: Tensor, leaves: list[Tensor], nested: bool) -> list[Tensor | None]:
    trainable = [leaf for leaf in leaves if leaf.requires_grad]
    if not trainable or not value.requires_grad:
        return [None] * len(leaves)
    found = torch.autograd.grad(value, trainable, create_graph=nested, allow_unused=True)
    if len(trainable) == len(leaves):
        return list(found)
    ready = iter(found)
    return [next(ready) if leaf.requires_grad else None for leaf in leaves]


def _placed(array: np.ndarray, place: str) -> Tensor:
    tensor = from_host(array)
    return tensor if place == "cpu" else tensor.to(place)


def _detached(leaf: Any) -> Any:
    return leaf.detach() if isinstance(leaf, Tensor) else leaf


def _by_inductor(fn: Callable[..., Tree]) -> Callable[..., Tree]:
    from babel_dl_torch.inductor import InductorFunction  # here, because the compiler's modules take a second to import

    return InductorFunction(fn)
