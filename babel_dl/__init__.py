"""babel_dl: write a deep-learning project once, run it on PyTorch, TensorFlow and JAX.

Importing it imports no framework. The parts are `babel_dl.data`, `babel_dl.model` and `babel_dl.training`, carried by `babel_dl.core` and
`babel_dl.ops`.
"""

from typing import TYPE_CHECKING, Any

from babel_dl.backend import (
    AUTO_BACKEND,
    JAX_BACKEND,
    PYTORCH_BACKEND,
    TF_BACKEND,
    get_backend,
    get_device,
    installed_backends,
    is_backend,
    list_backends,
    set_backend,
    use_backend,
)
from babel_dl.errors import BabelError

if TYPE_CHECKING:
    from babel_dl import core, data, model, ops, testing, training
    from babel_dl.core import Module, Tensor, Variable, compile, set_seed, use_seed, value_and_grad
    from babel_dl.data.splits import SPLIT_DEV, SPLIT_TEST, SPLIT_TRAIN

__version__ = "0.1.0"

_PARTS = ("core", "data", "model", "ops", "testing", "training")
_ORIGINS = {
    **dict.fromkeys(("Module", "Tensor", "Variable", "compile", "set_seed", "use_seed", "value_and_grad"), "babel_dl.core"),
    **dict.fromkeys(("SPLIT_DEV", "SPLIT_TEST", "SPLIT_TRAIN"), "babel_dl.data.splits"),
}

__all__ = [
    "AUTO_BACKEND", "JAX_BACKEND", "PYTORCH_BACKEND", "SPLIT_DEV", "SPLIT_TEST", "SPLIT_TRAIN", "TF_BACKEND", "BabelError", "Module",
    "Tensor", "Variable", "compile", "core", "data", "get_backend", "get_device", "installed_backends", "is_backend", "list_backends",
    "model", "ops", "set_backend", "set_seed", "testing", "training", "use_backend", "use_seed", "value_and_grad",
]


def __getattr__(name: str) -> Any:
    """Loads the parts at their first use, so that `import babel_dl` stays quick."""
    import importlib

    if name in _PARTS:
        return importlib.import_module(f"babel_dl.{name}")
    if name in _ORIGINS:
        return getattr(importlib.import_module(_ORIGINS[name]), name)
    raise AttributeError(f"module 'babel_dl' has no attribute {name!r}")
