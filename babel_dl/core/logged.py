"""Values that a computation reports beside its result: metrics and parts of a loss. They stay on the device until somebody reads them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from babel_dl.errors import ShapeError
from babel_dl.ops.dispatch import as_tensor
from babel_dl.ops.tensor import Tensor, TensorLike

_collector: ContextVar[dict[str, Tensor] | None] = ContextVar("babel_dl_logged", default=None)


@contextmanager
def collect_logged() -> Iterator[dict[str, Tensor]]:
    """Collects what is logged inside the block, by name; a value logged again replaces the first."""
    collected: dict[str, Tensor] = {}
    token = _collector.set(collected)
    try:
        yield collected
    finally:
        _collector.reset(token)


def logged_value(name: str) -> Tensor | None:
    """What was logged under a name in the block that collects; None if nothing was."""
    collected = _collector.get()
    return None if collected is None else collected.get(name)


def log_value(name: str, value: TensorLike | float) -> None:
    """Reports a scalar to whoever collects; to nobody if nobody does.

    Raises:
        ShapeError: The value is not a scalar.
    """
    value = as_tensor(value)
    if value.shape not in ((), (1,)):
        raise ShapeError(f"log({name!r}, ...) needs a scalar, and got shape {value.shape}. Take its mean() first.")
    collected = _collector.get()
    if collected is not None:
        collected[name] = Tensor(value.native, value.backend)
