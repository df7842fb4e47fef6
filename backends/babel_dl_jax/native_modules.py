"""Modules of Flax nnx and of Equinox, taken in as they are. Neither package is imported unless a module of it comes."""

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

from babel_dl.backend.contract import Adopted, NativeModules, NativeOptions, NativeTensor, Tree
from babel_dl.errors import BackendError
from babel_dl_jax.exporting import JaxFunction
from babel_dl_jax.tracing import Cell


class JaxNativeModules(NativeModules):
    """Flax nnx and Equinox in, pure functions out."""

    def adopt(
        self, module: Any, options: NativeOptions, examples: tuple[tuple[Any, ...], dict[str, Any]] | None = None
    ) -> Adopted | None:
        """A module of either package; both know their arrays when they are made.

        Raises:
            BackendError: It is a module of Flax linen, or an option has no meaning for it.
        """
        if _is_of(module, "equinox"):
            from babel_dl_jax.equinox_modules import adopt_equinox

            return adopt_equinox(module, options)
        if not _is_of(module, "flax") or not isinstance(module, _nnx_class()):
            raise BackendError(
                f"{type(module).__module__}.{type(module).__qualname__} is a Flax linen module, which holds no tensors of its own.\n"
                "  Write it with flax.nnx, or make one of it: nnx.bridge.ToNNX(module, rngs=nnx.Rngs(0)).lazy_init(x)."
            )
        from babel_dl_jax.nnx_modules import adopt_nnx

        return adopt_nnx(module, options)

    def native_signature(self, module: Any) -> inspect.Signature:
        """That of `__call__`."""
        return inspect.signature(module.__call__)

    def is_trainable(self, storage: Cell) -> bool:
        """What was set; neither package has a word for it."""
        return storage.trainable

    def export(self, module: Any, run: Callable[..., Tree], tensors: Sequence[NativeTensor], natives: Any) -> JaxFunction:
        """A pure function; see `exporting.py`."""
        return JaxFunction(module, run, tensors)


def _is_of(module: Any, package: str) -> bool:
    return any(base.__module__.partition(".")[0] == package and base.__qualname__ == "Module" for base in type(module).__mro__)


def _nnx_class() -> type | tuple[()]:
    nnx = sys.modules.get("flax.nnx")
    return () if nnx is None else nnx.Module
