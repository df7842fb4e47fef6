"""Differentiates a function that reads and writes cells."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from babel_dl.backend.contract import Native, Tree
from babel_dl.errors import GradientError
from babel_dl_jax.tracing import Cell, Frame, open_frame, read, write
from babel_dl_jax.trees import Structure, flatten, rebuild


@dataclass
class _Record:
    """What one run of the function tells beside its arrays."""

    structure: Structure = None
    written: list[Cell] = field(default_factory=list)
    reached: list[bool] = field(default_factory=list)


def value_and_grad(
    fn: Callable[..., tuple[Native, Tree]], cells: Sequence[Cell], inputs: Sequence[Native] = ()
) -> tuple[Native, Tree, list[Native | None]]:
    """See `Transforms.value_and_grad`. A cell that is frozen or not floating is a constant: its gradient is None.

    Raises:
        GradientError: The value of `fn` is not one floating number.
    """
    tracked = [cell for cell in dict.fromkeys(cells) if cell.trainable]
    record = _Record()
    pure = jax.value_and_grad(partial(_run, fn, tracked, record), has_aux=True)
    (value, (leaves, states)), gradients = pure([*[read(cell) for cell in tracked], *inputs])
    if (frame := open_frame()) is not None and frame.muted:
        value, leaves, gradients = lax.stop_gradient((value, leaves, gradients))
    for cell, state in zip(record.written, states, strict=True):
        write(cell, state)
    reached = record.reached or [False] * len(gradients)
    found = [gradient if hit else None for gradient, hit in zip(gradients, reached, strict=True)]
    by_cell = dict(zip(tracked, found, strict=False))
    return value, rebuild(record.structure, iter(leaves)), [*[by_cell.get(cell) for cell in cells], *found[len(tracked) :]]


def _run(
    fn: Callable[..., tuple[Native, Tree]], cells: list[Cell], record: _Record, values: list[Native]
) -> tuple[Native, tuple[list[Native], list[Native]]]:
    with Frame() as frame:
        noted: Any = _noting(record, values)
        for cell, value in zip(cells, noted, strict=False):
            frame.swap(cell, value)
        value, others = fn(*noted[len(cells) :])
        _check_value(value)
        leaves: list[Native] = []
        record.structure = flatten(others, leaves)
        record.written = list(frame.written)
        return value, (leaves, [cell.value for cell in record.written])


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _noting(record: _Record, values: list[Native]) -> list[Native]:
    """The values themselves. On the way back it notes which of them the result depends on: JAX gives zeros for the others."""
    return values


def _noting_forward(record: _Record, values: list[Any]) -> tuple[list[Native], None]:
    return [value.value for value in values], None


def _noting_backward(record: _Record, _: None, gradients: list[Native | SymbolicZero]) -> tuple[list[Native | None]]:
    record.reached = [not isinstance(gradient, SymbolicZero) for gradient in gradients]
    return ([gradient if hit else None for gradient, hit in zip(gradients, record.reached, strict=True)],)


_noting.defvjp(_noting_forward, _noting_backward, symbolic_zeros=True)


def _check_value(value: Native) -> None:
    is_tensor = isinstance(value, jax.Array)
    if not is_tensor or value.shape or not jnp.issubdtype(value.dtype, jnp.floating):
        came = f"a tensor of shape {value.shape} and type {value.dtype}" if is_tensor else f"a {type(value).__name__}"
        raise GradientError(
            f"value_and_grad differentiates one floating number, and the function returned {came}.\n"
            "  Return the mean or the sum of the losses first, and what else you need in the by-products."
        )
