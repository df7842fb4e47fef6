"""Gradients, and functions made fast: JAX's transformations for functions that read and write variables."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.core import Tracer

from babel_dl.backend.contract import Native, Transforms, Tree
from babel_dl.errors import ArgumentError, did_you_mean
from babel_dl_jax.creation import place_in_force, receive
from babel_dl_jax.gradients import value_and_grad
from babel_dl_jax.loops import CompiledSteps
from babel_dl_jax.programs import Compiled, latest
from babel_dl_jax.tracing import Cell, Frame, muted
from babel_dl_jax.trees import flatten, rebuild


class JaxTransforms(Transforms):
    """Functions of functions."""

    def stop_gradient(self, x: Native) -> Native:
        """`lax.stop_gradient`; an array with a value is a constant already."""
        return lax.stop_gradient(x) if isinstance(x, Tracer) else x

    def without_gradients(self) -> AbstractContextManager[None]:
        """Results of this backend's functions are constants while it is open; native functions are not reached."""
        return muted()

    def value_and_grad(
        self, fn: Callable[..., tuple[Native, Tree]], storages: Sequence[Cell], inputs: Sequence[Native] = ()
    ) -> tuple[Native, Tree, list[Native | None]]:
        """`jax.value_and_grad` of the function with its cells swapped for tracers. A frozen variable gets None.

        Raises:
            GradientError: The value of `fn` is not one floating number.
        """
        return value_and_grad(fn, storages, inputs)

    def compile(self, fn: Callable[..., Tree], mode: str = "auto") -> Callable[..., Tree]:
        """`jax.jit`, with the cells that `fn` reads and writes as further arguments and results.

        At the first call `fn` is run twice: to find its variables, and to be compiled.

        Raises:
            ArgumentError: There is no such mode.
        """
        _check_mode(mode)
        return Compiled(fn, self._receive, is_eager=mode == "off")

    def compile_steps(self, fn: Callable[[Tree, Tree], Tree], mode: str = "auto") -> CompiledSteps | None:
        """A `lax.fori_loop` in one program, see `loops.py`; None for "off".

        Raises:
            ArgumentError: There is no such mode.
        """
        _check_mode(mode)
        return None if mode == "off" else CompiledSteps(fn, self._receive)

    @property
    def compile_modes(self) -> tuple[str, ...]:
        """None: `auto` is XLA."""
        return ()

    def trace_shapes(self, fn: Callable[..., Tree], *arguments: np.ndarray) -> None:
        """`jax.eval_shape`: nothing is computed, and what is written is dropped."""
        leaves: list[Native] = []
        structure = flatten(arguments, leaves)

        def run(natives: list[Native]) -> None:
            with Frame():
                fn(*rebuild(structure, iter(natives)))

        jax.eval_shape(run, [self._receive(leaf) if isinstance(leaf, (np.ndarray, np.generic)) else leaf for leaf in leaves])

    def is_traced(self, x: Any) -> bool:
        """Whether JAX compiles or differentiates at this point."""
        return isinstance(x, Tracer)

    def synchronize(self) -> None:
        """Blocks on every array that is alive on any device, and on the latest compiled call."""
        platforms = {device.platform for device in (*jax.local_devices(), *jax.local_devices(backend="cpu"))}
        alive = [array for platform in platforms for array in jax.live_arrays(platform)]
        jax.block_until_ready([array for array in [*alive, latest.result] if array is not None and not array.is_deleted()])
        jax.effects_barrier()

    def _receive(self, leaf: np.ndarray | np.generic) -> Native:
        return receive(leaf, place_in_force(self))


def _check_mode(mode: str) -> None:
    if mode not in ("auto", "off"):
        raise ArgumentError(f"JAX cannot compile with mode {mode!r}.{did_you_mean(mode, ('auto', 'off'))}")
