"""What dispatch knows of a tensor: a native and its backend. `Tensor` and the variables of the core are handles."""

from typing import Any

from babel_dl.backend import Backend


class Handle:
    """Carries a native tensor; subclasses provide both."""

    __slots__ = ()

    native: Any
    backend: Backend
