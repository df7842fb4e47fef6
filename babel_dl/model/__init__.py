"""Models: the layers, and the base class of one's own."""

from babel_dl.core.registry import register_module
from babel_dl.model import layers
from babel_dl.model.layer import Layer

__all__ = ["Layer", "layers", "register_module"]
