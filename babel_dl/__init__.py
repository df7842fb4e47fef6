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
    from babel_dl.core import Module, Tensor, Variable, compile, grad, set_seed, use_seed, value_and_grad
    from babel_dl.data import register_transformer
    from babel_dl.data.splits import SPLIT_DEV, SPLIT_TEST, SPLIT_TRAIN
    from babel_dl.model import register_module
    from babel_dl.training import fit
    from babel_dl.training.callbacks import register_callback
    from babel_dl.training.losses import register_loss
    from babel_dl.training.metrics import register_metric
    from babel_dl.training.optimizers import register_optimizer
    from babel_dl.training.optimizers.learning_rates import register_schedule

__version__ = "0.1.0"

_PARTS = ("core", "data", "model", "ops", "testing", "training")
_ORIGINS = {
    **dict.fromkeys(("Module", "Tensor", "Variable", "compile", "grad", "set_seed", "use_seed", "value_and_grad"), "babel_dl.core"),
    **dict.fromkeys(("SPLIT_DEV", "SPLIT_TEST", "SPLIT_TRAIN"), "babel_dl.data.splits"),
    # Each from the part that registers the built-in names first, so that nobody takes one of these by accident.
    "register_callback": "babel_dl.training.callbacks",
    "register_loss": "babel_dl.training.losses",
    "register_metric": "babel_dl.training.metrics",
    "register_module": "babel_dl.model",
    "register_optimizer": "babel_dl.training.optimizers",
    "register_schedule": "babel_dl.training.optimizers.learning_rates",
    "register_transformer": "babel_dl.data",
    "fit": "babel_dl.training",
}

__all__ = [
    "AUTO_BACKEND", "JAX_BACKEND", "PYTORCH_BACKEND", "SPLIT_DEV", "SPLIT_TEST", "SPLIT_TRAIN", "TF_BACKEND", "BabelError", "Module",
    "Tensor", "Variable", "compile", "core", "data", "fit", "get_backend", "get_device", "grad", "installed_backends", "is_backend",
    "list_backends", "model", "ops", "register_callback", "register_loss", "register_metric", "register_module", "register_optimizer",
    "register_schedule", "register_transformer", "set_backend", "set_seed", "testing", "training", "use_backend", "use_seed",
    "value_and_grad",
]


def __getattr__(name: str) -> Any:
    """Loads the parts at their first use, so that `import babel_dl` stays quick."""
    import importlib

    if name in _PARTS:
        return importlib.import_module(f"babel_dl.{name}")
    if name in _ORIGINS:
        return getattr(importlib.import_module(_ORIGINS[name]), name)
    raise AttributeError(f"module 'babel_dl' has no attribute {name!r}")
