"""Which backend and device new things are made on. The choice is a context variable: threads and tasks do not disturb each other.

A call wins over the environment: `set_backend(...)`, else `BABEL_DL_BACKEND`, else the first installed framework.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from babel_dl.backend.contract import Backend
from babel_dl.backend.discovery import installed_backends, list_backends, load_backend
from babel_dl.backend.names import AUTO_BACKEND, BACKEND_VARIABLE, DEVICE_VARIABLE, canonical_name
from babel_dl.errors import BackendNotInstalledError, DeviceError


class Choice(NamedTuple):
    """A backend and the device on which it makes new tensors and variables."""

    backend: Backend
    device: str


_LOGGER = logging.getLogger("babel_dl")  # silent until `babel_dl.core.logging` or the user gives it a handler
_default: list[Choice] = []
_current: ContextVar[Choice | None] = ContextVar("babel_dl_backend", default=None)


def set_backend(name: str = AUTO_BACKEND, device: str | None = None) -> Backend:
    """Chooses the backend for everything that is made from now on, in all threads.

    Args:
        name: `"torch"`, `"tensorflow"`, `"jax"`, an alias (`"pytorch"`, `"tf"`, `"tf2"`), another plug-in's name, or `"auto"` for
            `BABEL_DL_BACKEND` and else the first framework that is installed.
        device: `"cpu"`, `"cuda:0"`, ...; `None` for `BABEL_DL_DEVICE`, and else the first device the framework offers.

    Returns:
        The backend.

    Raises:
        UnknownBackendError: No plug-in has this name. The choice stays as it was.
        BackendNotInstalledError: Its framework is missing. The choice stays as it was.
        BrokenBackendError: Its framework cannot be imported. The choice stays as it was.
        DeviceError: The backend has no such device. The choice stays as it was.
    """
    choice = _choose(name, device, "set_backend")
    _LOGGER.info("Using backend: %s-%s", choice.backend.name, choice.device)
    _default[:] = [choice]
    _current.set(None)
    return choice.backend


@contextmanager
def use_backend(name: str, device: str | None = None) -> Iterator[Backend]:
    """Chooses the backend inside a `with` block, in this thread or task.

    Raises:
        BackendError: As `set_backend`.

    Example:
        >>> with use_backend("jax") as backend:
        ...     backend.name
        'jax'
    """
    token = _current.set(_choose(name, device, "use_backend"))
    try:
        yield current_choice().backend
    finally:
        _current.reset(token)


def current_choice() -> Choice:
    """The backend and device in force; at the first call they are chosen as `set_backend("auto")` would."""
    choice = _current.get()
    if choice is not None:
        return choice
    if not _default:
        _default[:] = [_choose(AUTO_BACKEND, None, "")]
    return _default[0]


def current_backend() -> Backend:
    """The backend in force."""
    return current_choice().backend


def get_backend() -> str:
    """The name of the backend in force."""
    return current_choice().backend.name


def get_device() -> str:
    """The device in force: `"cpu"`, `"cuda:0"`, ..."""
    return current_choice().device


def device_in_force(backend: Any) -> str:
    """Where `backend` makes new tensors and variables: the chosen device if it is the chosen backend, else its first device."""
    choice = _current.get() or (_default[0] if _default else None)
    return choice.device if choice is not None and choice.backend is backend else backend.devices()[0]


def is_backend(name: str) -> bool:
    """Whether the backend in force has this name or alias; for the few places where a project touches a framework itself."""
    return get_backend() == canonical_name(name)


def _choose(name: str, device: str | None, caller: str) -> Choice:
    wanted, chosen_by = canonical_name(name), f'{caller}("{name}")'
    if wanted == AUTO_BACKEND:
        wanted, chosen_by = _automatic()
    backend = load_backend(wanted, chosen_by)
    available = backend.devices()
    asked = device or os.environ.get(DEVICE_VARIABLE) or available[0]
    resolved = _resolve_device(asked, available)
    if resolved is None:
        raise DeviceError(
            f"Backend {backend.name!r} has no device {asked!r} here. Available: {', '.join(available)}.\n"
            f'  Choose one: babel_dl.set_backend("{backend.name}", device="{available[0]}")   or: {DEVICE_VARIABLE}={available[0]}'
        )
    return Choice(backend, resolved)


def _resolve_device(asked: str, available: tuple[str, ...]) -> str | None:
    wanted = {"gpu": "cuda"}.get(asked.strip().lower(), asked.strip().lower())
    return next((name for name in available if wanted in (name, name.split(":")[0])), None)


def _automatic() -> tuple[str, str]:
    from_environment = canonical_name(os.environ.get(BACKEND_VARIABLE, ""))
    if from_environment and from_environment != AUTO_BACKEND:
        return from_environment, f"{BACKEND_VARIABLE}={os.environ[BACKEND_VARIABLE]}"
    ready = installed_backends()
    if not ready:
        raise BackendNotInstalledError(
            "No framework is installed that babel_dl can run on.\n"
            f"  Run one of: {'   '.join(_pip_line(name) for name in list_backends())}"
        )
    return ready[0], "being the first one installed"


def _pip_line(name: str) -> str:
    return f'pip install "babel_dl[{name}]"'
