"""The errors of babel_dl. Each message says who, what came, what was expected, and how to get out.

Every class derives from `BabelError`, and from the builtin that a caller would otherwise have caught, so `except ValueError` keeps working.
"""

import difflib
from collections.abc import Iterable


class BabelError(Exception):
    """The parent of every error that babel_dl raises on purpose."""


class ArgumentError(BabelError, ValueError):
    """An argument has a value outside of what is allowed."""


class ShapeError(BabelError, ValueError):
    """Shapes do not fit: each other, or the sizes a layer was built for."""


class DTypeError(BabelError, TypeError):
    """An element type does not fit, or does not exist on the backend."""


class BuildError(BabelError, RuntimeError):
    """A module is used before its sizes are known, or cannot be built."""


class GradientError(BabelError, RuntimeError):
    """A gradient is asked for that does not exist."""


class SideEffectError(BabelError, RuntimeError):
    """A step changes Python state, which a compiled step would do once and never again; the line is named."""


class StateError(BabelError, RuntimeError):
    """A function reads or writes a variable that nobody declared or holds; the variable is named."""


class ConfigError(BabelError, ValueError):
    """A configuration field is unknown, or its value does not fit its type."""


class BackendError(BabelError, RuntimeError):
    """A backend cannot do what was asked."""


class UnknownBackendError(BackendError, ValueError):
    """No plug-in has the name that was asked for."""


class BackendNotInstalledError(BackendError, ImportError):
    """The plug-in is here, its framework is not."""


class BrokenBackendError(BackendError, ImportError):
    """The framework is installed, and fails while it is imported."""


class MissingPackageError(BabelError, ImportError):
    """An optional package is not installed; the message has the pip line."""


class DeviceError(BackendError, ValueError):
    """The device does not exist on the backend."""


class DataError(BabelError, RuntimeError):
    """A dataset, a source file or a transformer is at fault; the sample is named."""


class CheckpointError(BabelError, RuntimeError):
    """A checkpoint cannot be written, read, or fitted into the objects given."""


class NonFiniteError(BabelError, ArithmeticError):
    """A loss or a metric became NaN or infinite; epoch, step and part are named."""


class OutOfMemoryError(BabelError, MemoryError):
    """A step needs more memory than its device has."""


class CallbackError(BabelError, RuntimeError):
    """A callback is malformed, or failed with the policy to stop the run."""


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """A hint for a misspelt name: ` Did you mean 'x'?`, or the list of what exists.

    Args:
        wrong: The name that was given.
        known: The names that exist.

    Returns:
        A sentence with a leading space.
    """
    names = sorted(known)
    close = difflib.get_close_matches(wrong.lower(), names, n=1, cutoff=0.6)
    if close:
        return f" Did you mean {close[0]!r}?"
    return f" Known: {', '.join(names)}." if names else " None is registered."
