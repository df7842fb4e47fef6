"""The backend, put together from its families."""

from typing import final

from babel_dl.backend import Backend
from babel_dl.backend.contract import Elementwise, Neural, Reduction, Shape
from babel_dl_jax.creation import JaxCreation, JaxDevices
from babel_dl_jax.datasets import JaxDatasets
from babel_dl_jax.elementwise import JaxElementwise
from babel_dl_jax.neural import JaxNeural
from babel_dl_jax.reduction import JaxReduction
from babel_dl_jax.shape import JaxShape
from babel_dl_jax.state import JaxState
from babel_dl_jax.tracing import constant_if_muted
from babel_dl_jax.transforms import JaxTransforms


@final
class JaxBackend(JaxCreation, JaxDevices, JaxElementwise, JaxShape, JaxReduction, JaxNeural, JaxState, JaxTransforms, JaxDatasets, Backend):
    """JAX: pure functions on immutable arrays, compiled by XLA."""

    name = "jax"


def _respect_without_gradients() -> None:
    """All arithmetic goes through `constant_if_muted`: what a `without_gradients` block computes is a constant, whatever went in."""
    names = ["astype", *(name for family in (Elementwise, Shape, Reduction, Neural) for name in family.__abstractmethods__)]
    for name in names:
        function = getattr(JaxBackend, name)
        is_static = any(isinstance(vars(base).get(name), staticmethod) for base in JaxBackend.__mro__[1:])
        setattr(JaxBackend, name, staticmethod(constant_if_muted(function)) if is_static else constant_if_muted(function))


_respect_without_gradients()
