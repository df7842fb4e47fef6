"""A switch for checks that are too slow for every step: they run when something went wrong, to find the cause."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_is_on: ContextVar[bool] = ContextVar("babel_dl_diagnosing", default=False)


@contextmanager
def diagnosing() -> Iterator[None]:
    """While it is open, computations check their values on the host, and raise where they would give NaN."""
    token = _is_on.set(True)
    try:
        yield
    finally:
        _is_on.reset(token)


def is_diagnosing() -> bool:
    """Whether values should be checked on the host."""
    return _is_on.get()
