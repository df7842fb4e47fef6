"""How inputs that have names of their own reach a native module, whose arguments are named as its author liked."""

from __future__ import annotations

import inspect
from typing import Any

from babel_dl.errors import ArgumentError, did_you_mean

_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def arranged(title: str, signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """The arguments as the module takes them: by name where it knows the names; a single input that it knows by another name by position.

    Args:
        title: Who, for the message.
        signature: What the module takes.
        args: By position.
        kwargs: By name; a trainer passes the fields of a dataset so.

    Raises:
        ArgumentError: A name is unknown, and it is not the only input.
    """
    parameters = signature.parameters
    known = [name for name, parameter in parameters.items() if parameter.kind in _BY_NAME]
    unknown = [name for name in kwargs if name not in known]
    if not unknown:
        return args, kwargs
    if len(kwargs) == 1 and not args and next(iter(parameters.values())).kind in _BY_POSITION:
        return tuple(kwargs.values()), {}
    if _binds(signature, args, kwargs):  # it takes what it does not name: **kwargs
        return args, kwargs
    raise ArgumentError(
        f"{title} takes no argument {unknown[0]!r}.{did_you_mean(unknown[0], known)} It takes: {', '.join(known) or 'none by name'}.\n"
        f"  Name the inputs as it does, or call it inside a module of your own: def call(self, {', '.join(kwargs)}): ..."
    )


def _binds(signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        return False
    return True
