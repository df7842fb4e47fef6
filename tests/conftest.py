"""Which backends the tests run on.

    pytest                                 every backend: torch, tensorflow and jax
    pytest --backend jax                   one of them; may be repeated, and takes aliases and names of other plug-ins
    pytest --backend jax tests/conformance the contract on one backend
    pytest --part rest                     only the tests that belong to no single backend; --part backends: only the others

A test that asks for the fixture `backend_name` runs once for each requested backend; one that asks for `backend` too, with that backend in
force; `backend_names` is the tuple of all that are requested. Tests with none of these run always. With `--backend`, tests of the other
backends (a class or a parameter `backend_name` says whose they are) are deselected. A requested backend that is missing ends the run as a
failure, and is never skipped.

Hypothesis draws the same examples in every run and writes no folder of its own.
"""

from collections.abc import Iterator

import hypothesis
import pytest

from babel_dl.backend import Backend, find_plugin, use_backend
from babel_dl.backend.names import AUTO_ORDER, canonical_name
from babel_dl.errors import BackendError

hypothesis.settings.register_profile("babel_dl", derandomize=True, database=None, deadline=None, print_blob=False)
hypothesis.settings.load_profile("babel_dl")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--backend`."""
    parser.addoption("--backend", action="append", default=[], metavar="NAME", help="run the tests of this backend only; may be repeated")
    parser.addoption("--part", choices=("all", "backends", "rest"), default="all", help="only tests of single backends, or only the rest")


def pytest_configure(config: pytest.Config) -> None:
    """Ends the run at once if a backend that was asked for by name does not exist or is not installed.

    Raises:
        UsageError: It is missing.
    """
    for name in _given(config):
        try:
            plugin = find_plugin(canonical_name(name))
        except (BackendError, ImportError) as error:
            raise pytest.UsageError(f"--backend {name}: {error}") from error
        if not plugin.is_installed():
            raise pytest.UsageError(f'--backend {name}: {plugin.framework} is not installed. Run: pip install "{plugin.install}"')


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test with the argument `backend_name` once for each requested backend, unless it brings its own values."""
    marks = metafunc.definition.iter_markers("parametrize")
    if "backend_name" in metafunc.fixturenames and not any("backend_name" in _names(mark) for mark in marks):
        metafunc.parametrize("backend_name", requested_backends(metafunc.config))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselects the tests of backends that were not requested, and of the part that was not."""
    wanted = requested_backends(config) if _given(config) else None
    part = config.getoption("--part")
    dropped = []
    for item in items:
        owner = _backend_of(item)
        is_in_part = part == "all" or (part == "rest") == (owner is None)
        if not is_in_part or (wanted is not None and owner is not None and owner not in wanted):
            dropped.append(item)
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if item not in set(dropped)]


def requested_backends(config: pytest.Config) -> tuple[str, ...]:
    """The names given with `--backend`, aliases resolved, each once; without any, all three backends of this repository."""
    return tuple(dict.fromkeys(canonical_name(name) for name in _given(config))) or AUTO_ORDER


@pytest.fixture(scope="session")
def backend_names(pytestconfig: pytest.Config) -> tuple[str, ...]:
    """The requested backends, for tests that compare them with one another."""
    return requested_backends(pytestconfig)


@pytest.fixture
def backend(backend_name: str) -> Iterator[Backend]:
    """The backend of this name, in force while the test runs."""
    with use_backend(backend_name) as opened:
        yield opened


def _given(config: pytest.Config) -> list[str]:
    return config.getoption("--backend") or []


def _names(mark: pytest.Mark) -> list[str]:
    names = mark.args[0] if mark.args else mark.kwargs["argnames"]
    return [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)


def _backend_of(item: pytest.Item) -> str | None:
    callspec = getattr(item, "callspec", None)
    if callspec is not None and "backend_name" in callspec.params:
        return callspec.params["backend_name"]
    return getattr(getattr(item, "cls", None), "backend_name", None)
