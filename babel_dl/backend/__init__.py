"""The contract with the frameworks, and the choice between them. Names no framework's functions, imports none."""

from babel_dl.backend.contract import Backend
from babel_dl.backend.discovery import backend_of, find_plugin, installed_backends, list_backends, load_backend, on_load
from babel_dl.backend.names import AUTO_BACKEND, JAX_BACKEND, PYTORCH_BACKEND, TF_BACKEND
from babel_dl.backend.plugin import Plugin
from babel_dl.backend.recognition import is_native_module, native_owner
from babel_dl.backend.selection import (
    Choice,
    current_backend,
    current_choice,
    device_in_force,
    get_backend,
    get_device,
    is_backend,
    set_backend,
    use_backend,
)

__all__ = [
    "AUTO_BACKEND",
    "JAX_BACKEND",
    "PYTORCH_BACKEND",
    "TF_BACKEND",
    "Backend",
    "Choice",
    "Plugin",
    "backend_of",
    "current_backend",
    "current_choice",
    "device_in_force",
    "find_plugin",
    "get_backend",
    "get_device",
    "installed_backends",
    "is_backend",
    "is_native_module",
    "list_backends",
    "load_backend",
    "native_owner",
    "on_load",
    "set_backend",
    "use_backend",
]
