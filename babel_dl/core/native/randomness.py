"""The random states that frameworks keep for themselves, for checkpoints: native modules may draw from them.

Our own draws need none of this. Keras, Flax nnx and Equinox keep the state of a draw in variables, which are found like all others.
PyTorch has one generator for the whole process, which belongs to no module: so it belongs to the run.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np

from babel_dl.backend import Backend
from babel_dl.core.module import Module
from babel_dl.core.native.module import NativeModule


def native_random_state(modules: Iterable[Module]) -> str | None:
    """The state of the framework's global generators as text; None if no native module is among these, or there are no such generators.

    Args:
        modules: The modules of a trainer.
    """
    backend = _native_backend(modules)
    state = None if backend is None else backend.random_state()
    return None if state is None else base64.b64encode(state.tobytes()).decode()


def restore_native_random_state(modules: Iterable[Module], text: str | None) -> None:
    """Puts back what `native_random_state` gave; nothing if it gave None, or no native module is among these.

    Args:
        modules: The modules of a trainer.
        text: What was stored.
    """
    backend = _native_backend(modules)
    if backend is not None and text is not None:
        backend.set_random_state(np.frombuffer(base64.b64decode(text), np.uint8))


@contextmanager
def unchanged_native_random_state(modules: Iterable[Module]) -> Iterator[None]:
    """Takes back, when it is closed, what the block drew from the framework's global generators."""
    held = list(modules)
    state = native_random_state(held)
    try:
        yield
    finally:
        restore_native_random_state(held, state)


def _native_backend(modules: Iterable[Module]) -> Backend | None:
    parts = (part for module in modules for part in module.modules.values())
    return next((part.backend for part in parts if isinstance(part, NativeModule)), None)
