"""What a plug-in says about itself before its framework is imported."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

from babel_dl.backend.contract import Backend


@dataclass(frozen=True)
class Plugin:
    """The card of a plug-in. Its package exports one under the name `backend`; importing that package must not import the framework.

    Args:
        name: What users write: `set_backend(name)`.
        framework: The framework's name in prose.
        module: The framework's top-level module; its presence means installed.
        install: What to hand to `pip install`.
        load: Imports the framework and returns the backend. Called once in a process.
        module_classes: The classes of modules that the backend adopts, with those below them, as top-level package and class name:
            `("torch.Module",)`. Objects are recognised by these names, so nothing is imported for it.
    """

    name: str
    framework: str
    module: str
    install: str
    load: Callable[[], Backend]
    module_classes: tuple[str, ...] = ()

    def is_installed(self) -> bool:
        """Whether the framework is present, without importing it."""
        try:
            return importlib.util.find_spec(self.module) is not None
        except (ImportError, ValueError):
            return False
