"""A trainer's step as one compiled function from a host batch to scalars that stay on the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from babel_dl.backend import Backend
from babel_dl.core.logged import collect_logged
from babel_dl.errors import ArgumentError
from babel_dl.ops.dispatch import narrow, wrap_natives
from babel_dl.ops.tensor import TensorLike

TOTAL_LOSS = "loss/total"

Step = Callable[[Any], dict[str, Any]]


def compile_step(step: Callable[[Any], Any], backend: Backend, mode: str) -> Step:
    """The compiled step.

    Args:
        step: Takes a batch of tensors, returns a scalar (the total loss), a dict of scalars, or None; may log values.
        backend: Where it runs.
        mode: A mode of `babel_dl.compile`.

    Returns:
        A function from a batch of numpy arrays to native scalars by name: what the step logged and returned.
    """

    def run(batch: Any) -> dict[str, Any]:
        return run_step(step, wrap_natives(batch, backend))

    compiled = backend.compile(run, mode)
    return lambda batch: compiled(narrow(batch))


def run_step(step: Callable[[Any], Any], batch: Any) -> dict[str, Any]:
    """One step on tensors: native scalars by name.

    Raises:
        ArgumentError: The step returned something else than a scalar tensor, a dict of such by name, or None.
    """
    with collect_logged() as logged:
        result = step(batch)
    if isinstance(result, TensorLike):
        result = {TOTAL_LOSS: result}
    if result is not None and not isinstance(result, dict):
        raise ArgumentError(f"A step returns a scalar tensor, a dict of scalars or None, and it returned {type(result).__name__}.")
    values = {**logged, **(result or {})}
    for name, value in values.items():
        if not isinstance(name, str):
            raise ArgumentError(f"A step reports scalars by name, and {name!r} is no text. Use {str(name)!r}.")
        if not isinstance(value, TensorLike):
            raise ArgumentError(f"A step reports scalar tensors, and {name!r} is {value!r}. Return what the loss computed.")
        if value.shape not in ((), (1,)):
            raise ArgumentError(f"A step reports scalars, and {name!r} has shape {value.shape}. Take its mean() first.")
    return {name: value.native for name, value in values.items()}
