"""The backend, put together from its families."""

from collections.abc import Callable
from typing import Any, final

import jax

from babel_dl.backend import Backend
from babel_dl.backend.contract import Elementwise, Native, Neural, Reduction, Shape
from babel_dl_jax.creation import JaxCreation, JaxDevices
from babel_dl_jax.datasets import JaxDatasets
from babel_dl_jax.elementwise import JaxElementwise
from babel_dl_jax.native_modules import JaxNativeModules
from babel_dl_jax.neural import JaxNeural
from babel_dl_jax.reduction import JaxReduction
from babel_dl_jax.shape import JaxShape
from babel_dl_jax.state import JaxState
from babel_dl_jax.tracing import constant_if_muted
from babel_dl_jax.transforms import JaxTransforms


@final
class JaxBackend(
    JaxCreation, JaxDevices, JaxElementwise, JaxShape, JaxReduction, JaxNeural, JaxState, JaxTransforms, JaxDatasets, JaxNativeModules,
    Backend,
):
    """JAX: pure functions on immutable arrays, compiled by XLA."""

    name = "jax"

    def know_handle(self, kind: type, native_of: Callable[[Any], Native], handle_of: Callable[[Native], Any]) -> None:
        """Registers it as a node of pytrees: that is how functions under `jax.jit`, and so nearly all of `jax.numpy`, take it."""
        jax.tree_util.register_pytree_node(kind, lambda handle: ((native_of(handle),), None), lambda _, natives: handle_of(natives[0]))


def _respect_without_gradients() -> None:
    """All arithmetic goes through `constant_if_muted`: what a `without_gradients` block computes is a constant, whatever went in."""
    names = ["astype", *(name for family in (Elementwise, Shape, Reduction, Neural) for name in family.__abstractmethods__)]
    for name in names:
        function = getattr(JaxBackend, name)
        is_static = any(isinstance(vars(base).get(name), staticmethod) for base in JaxBackend.__mro__[1:])
        setattr(JaxBackend, name, staticmethod(constant_if_muted(function)) if is_static else constant_if_muted(function))


_respect_without_gradients()
