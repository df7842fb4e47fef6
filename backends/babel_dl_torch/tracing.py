"""Whether a function is being run for its values, or to be written down by a compiler."""

from contextvars import ContextVar

import torch

TRACING: ContextVar[bool] = ContextVar("babel_dl_torch_tracing", default=False)
"""True while `inductor.py` writes down what a function does."""


def is_tracing() -> bool:
    """Whether what is computed now stands for other values later."""
    return TRACING.get() or torch.compiler.is_compiling()
