"""Finds plug-ins: by entry point, and in a bare checkout by the name `babel_dl_<name>`. Listing imports none of them."""

import importlib
import importlib.util
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points

from babel_dl.backend.contract import Backend
from babel_dl.backend.names import AUTO_ORDER
from babel_dl.backend.plugin import Plugin
from babel_dl.errors import BackendError, BackendNotInstalledError, BrokenBackendError, UnknownBackendError, did_you_mean

GROUP = "babel_dl.backends"

_loaded: dict[str, Backend] = {}
_told: list[Callable[[Backend], None]] = []


def on_load(tell: Callable[[Backend], None]) -> None:
    """Calls `tell` with every backend: now with those that are loaded, and with each other one when it is loaded."""
    _told.append(tell)
    for backend in _loaded.values():
        tell(backend)


@lru_cache(maxsize=1)
def _entries() -> dict[str, EntryPoint]:
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    for name in AUTO_ORDER:
        module = f"babel_dl_{name}"
        if name not in found and importlib.util.find_spec(module) is not None:
            found[name] = EntryPoint(name, f"{module}:backend", GROUP)
    return found


def list_backends() -> tuple[str, ...]:
    """The names of all plug-ins, the order of `auto` first. Whether their frameworks are installed is not asked."""
    names = _entries()
    return (*(n for n in AUTO_ORDER if n in names), *sorted(n for n in names if n not in AUTO_ORDER))


def installed_backends() -> tuple[str, ...]:
    """The names of the plug-ins whose frameworks are installed. None is imported."""
    return tuple(name for name in list_backends() if find_plugin(name).is_installed())


def find_plugin(name: str) -> Plugin:
    """The card of a plug-in.

    Raises:
        UnknownBackendError: No plug-in has this name; the nearest one is offered.
        BackendError: The entry point does not lead to a `Plugin`.
    """
    entry = _entries().get(name)
    if entry is None:
        raise UnknownBackendError(
            f"There is no backend {name!r}.{did_you_mean(name, list_backends())}\n"
            f"  Available plug-ins: {', '.join(list_backends()) or 'none'}. A plug-in announces itself by an entry point in {GROUP!r}."
        )
    plugin = entry.load()
    if not isinstance(plugin, Plugin):
        raise BackendError(
            f"The entry point {entry.value!r} of backend {name!r} leads to a {type(plugin).__name__}, and must lead to a "
            f"babel_dl.backend.Plugin."
        )
    return plugin


def load_backend(name: str, chosen_by: str = "") -> Backend:
    """The backend of this name; its framework is imported at the first call.

    Args:
        name: A plug-in's name.
        chosen_by: Where the name came from, for the message.

    Raises:
        UnknownBackendError: No plug-in has this name.
        BackendNotInstalledError: The framework is missing; the message has the pip line.
        BrokenBackendError: The framework is there and fails when imported; its own error is shown and chained.
    """
    if name in _loaded:
        return _loaded[name]
    plugin = find_plugin(name)
    if not plugin.is_installed():
        raise BackendNotInstalledError(_not_installed(plugin, chosen_by))
    try:
        backend = plugin.load()
        for tell in _told:
            tell(backend)
        _loaded[name] = backend
    except Exception as error:
        raise BrokenBackendError(
            f"backend {name!r}: {plugin.framework} is installed, but importing it failed with\n"
            f"  {type(error).__name__}: {error}\n"
            f"  babel_dl does not switch to another framework behind your back. Reinstall it: pip install --force-reinstall "
            f"{plugin.install}"
        ) from error
    return _loaded[name]


def backend_of(value: object) -> Backend | None:
    """The loaded backend that `value` is a native tensor of; `None` for anything else."""
    if isinstance(value, (bool, int, float, str, tuple, list, dict, type(None))) or type(value).__module__ == "numpy":
        return None
    return next((backend for backend in _loaded.values() if backend.is_native(value)), None)


def _not_installed(plugin: Plugin, chosen_by: str) -> str:
    ready = installed_backends()
    chosen = f"  It was chosen by {chosen_by}. " if chosen_by else "  "
    way_out = f'   or: babel_dl.set_backend("{ready[0]}")' if ready else ""
    return (
        f"backend {plugin.name!r} needs {plugin.framework}, which is not installed here.\n"
        f"{chosen}Installed and ready: {', '.join(ready) or 'none'}.\n"
        f'  Run: pip install "{plugin.install}"{way_out}'
    )
