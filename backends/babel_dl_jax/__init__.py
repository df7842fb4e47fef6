"""The plug-in for JAX. Importing it imports no framework."""

from babel_dl.backend.contract import Backend
from babel_dl.backend.plugin import Plugin

__all__ = ["backend"]


def _load() -> Backend:
    from babel_dl_jax.assembly import JaxBackend

    return JaxBackend()


backend = Plugin(
    name="jax",
    framework="JAX",
    module="jax",
    install="babel_dl[jax]",
    load=_load,
    module_classes=("flax.Module", "equinox.Module"),
)
