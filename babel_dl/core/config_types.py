"""The types of configuration fields: which values fit an annotation, and which type a first value stands for."""

import enum
import inspect
import pathlib
import types
from collections.abc import Callable
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np


class Misfit(Exception):
    """A value does not fit a type. `Config` turns it into a `ConfigError` that names the field; the text is extra advice, or empty."""


def type_of(value: Any) -> Any:
    """The type that a field takes from its first value.

    An object takes its topmost abstract parent, so that one schedule can replace another. None stands for "not known yet".

    Args:
        value: The first value.

    Returns:
        A class.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, pathlib.PurePath):
        return pathlib.Path
    parents = [parent for parent in type(value).__mro__ if inspect.isabstract(parent) and is_savable(parent)]
    return parents[-1] if parents else type(value)


def is_savable(kind: Any) -> bool:
    """Whether objects of a class can be written as plain data and read back: it has `to_dict` and the class method `from_dict`."""
    return isinstance(kind, type) and hasattr(kind, "to_dict") and hasattr(kind, "from_dict")


def union_members(expected: Any) -> tuple[Any, ...]:
    """The alternatives of `A | B`, `Union[A, B]` or `Optional[A]`; a single type is its own only alternative.

    Args:
        expected: An annotation.

    Returns:
        The alternatives.
    """
    return get_args(expected) if get_origin(expected) in (Union, types.UnionType) else (expected,)


def describe(expected: Any) -> str:
    """A type in words, for messages and help: `int or None`.

    Args:
        expected: An annotation.

    Returns:
        The words.
    """
    members = union_members(expected)
    if len(members) > 1:
        return " or ".join(describe(member) for member in members)
    if expected is type(None):
        return "None"
    if get_origin(expected) is Literal:
        return " or ".join(repr(choice) for choice in get_args(expected))
    if isinstance(expected, type) and not get_args(expected):
        return expected.__name__
    return str(expected).replace("typing.", "")


def coerce(value: Any, expected: Any) -> Any:
    """The value as the type wants it: an int becomes a float where a float is expected, a numpy scalar a Python number.

    Args:
        value: The value.
        expected: An annotation: bool, int, float, str, None, Path, an Enum, a class with `to_dict` and `from_dict`, Literal, Any, unions of
            them, and list, tuple and dict (with text keys) of them.

    Returns:
        The value to store; containers are new, so nobody else holds them.

    Raises:
        Misfit: The value is of another type.
    """
    if isinstance(value, np.generic):
        value = value.item()
    members = union_members(expected)
    if len(members) > 1:
        return first_fit(lambda member: coerce(value, member), exact_first(members, type(value)))
    origin, arguments = get_origin(expected) or expected, get_args(expected)
    if origin is Annotated:
        return coerce(value, arguments[0])
    if origin is Literal:
        return _choice(value, arguments)
    if origin is Any:
        return coerce(value, _plain_type(value))
    if origin in (list, tuple, dict):
        return _container(value, origin, arguments)
    if isinstance(origin, type):
        return _single(value, origin)
    raise Misfit(f"Fields cannot be of type {describe(expected)}; annotate it otherwise.")


def exact_first(members: tuple[Any, ...], kind: type) -> list[Any]:
    """The alternatives with the exact type at the front, so that 1 stays an int in `float | int`.

    Args:
        members: The alternatives.
        kind: The type of the value at hand.

    Returns:
        The same alternatives.
    """
    return sorted(members, key=lambda member: member is not kind)


def first_fit(attempt: Callable[[Any], Any], members: list[Any]) -> Any:
    """The result for the first alternative that does not misfit.

    Args:
        attempt: What to try with each alternative.
        members: The alternatives.

    Returns:
        The first result.

    Raises:
        Misfit: None fits; with the first advice that any of them has.
    """
    advice = ""
    for member in members:
        try:
            return attempt(member)
        except Misfit as error:
            advice = advice or str(error)
    raise Misfit(advice)


def item_types(origin: Any, arguments: tuple[Any, ...], length: int) -> list[Any]:
    """The type of each item of a list or tuple.

    Args:
        origin: list or tuple.
        arguments: What stands in the brackets of the annotation.
        length: How many items came.

    Returns:
        One annotation per item.

    Raises:
        Misfit: A tuple of fixed length got another number of items.
    """
    if not arguments:
        return [Any] * length
    if origin is list or (len(arguments) == 2 and arguments[1] is Ellipsis):
        return [arguments[0]] * length
    wanted = [] if arguments == ((),) else list(arguments)
    if len(wanted) != length:
        raise Misfit(f"It has {length} items.")
    return wanted


def _choice(value: Any, choices: tuple[Any, ...]) -> Any:
    for choice in choices:
        if type(choice) is type(value) and choice == value:
            return choice
    raise Misfit("")


def _plain_type(value: Any) -> type:
    for kind in (bool, int, float, str, type(None), list, tuple, dict):
        if type(value) is kind:
            return kind
    raise Misfit(f"It contains {describe(type(value))}, which is not plain data; give the field an annotation that names the type.")


def _container(value: Any, origin: Any, arguments: tuple[Any, ...]) -> Any:
    if type(value) is not origin:
        raise Misfit("")
    if origin is dict:
        if not all(type(key) is str for key in value):
            raise Misfit("The keys of a dict must be text, because it is saved as JSON.")
        kind = arguments[1] if arguments else Any
        return {key: coerce(item, kind) for key, item in value.items()}
    return origin(coerce(item, kind) for item, kind in zip(value, item_types(origin, arguments, len(value)), strict=True))


def _single(value: Any, kind: type) -> Any:
    if kind is float and type(value) is int:
        try:
            return float(value)
        except OverflowError as error:
            raise Misfit("It is too large for a float.") from error
    if kind in (bool, int, float, str, type(None)):
        if type(value) is not kind:
            raise Misfit("")
        return value
    if not (issubclass(kind, (pathlib.PurePath, enum.Enum)) or is_savable(kind)):
        raise Misfit(f"A {kind.__name__} cannot be saved with the run; a field holds plain data, or an object with to_dict and from_dict.")
    if not isinstance(value, kind):
        raise Misfit("")
    return value
