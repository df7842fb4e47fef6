"""Whether a function is being run for its values, or to be written down by a compiler."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import torch

TRACING: ContextVar[bool] = ContextVar("babel_dl_torch_tracing", default=False)
"""True while `inductor.py` writes down what a function does."""


def is_tracing() -> bool:
    """Whether what is computed now stands for other values later."""
    return torch.compiler.is_compiling() or TRACING.get()  # in this order: torch.compile cannot look into a context variable


def taken_as_constant(function: Callable[..., Any]) -> None:
    """Lets `torch.compile` ask a function while it traces, and look no further into it."""
    # What torch.compiler.assume_constant_result does; that would import the compiler, which takes seconds.
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
