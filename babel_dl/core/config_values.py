"""Values of configuration fields as plain data for JSON, and back by the type of the field."""

import enum
import pathlib
from collections.abc import Mapping
from typing import Annotated, Any, get_args, get_origin

from babel_dl.core.config_types import Misfit, coerce, exact_first, first_fit, is_savable, item_types, union_members

# JSON has no tuple. Where the type of a field does not say that there is one, this key does.
_TUPLE = "__tuple__"


def encode(value: Any, expected: Any = Any) -> Any:
    """A value as JSON can hold it: tuples become lists, paths text, enum members their names, objects what their `to_dict` says.

    Args:
        value: The value of a field.
        expected: The annotation of the field.

    Returns:
        Plain data; `decode` is the way back.
    """
    if isinstance(value, tuple):
        items = [encode(item) for item in value]
        return items if (get_origin(expected) or expected) is tuple else {_TUPLE: items}
    if isinstance(value, list):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, pathlib.PurePath):
        return str(value)
    return value.to_dict() if is_savable(type(value)) else value


def decode(data: Any, expected: Any) -> Any:
    """A value from plain data, or from a value that is no longer plain. Runs no code and imports no names: the type of the field leads.

    Args:
        data: What `encode` gave, a JSON file held, or a caller passed.
        expected: The annotation of the field.

    Returns:
        The value to store.

    Raises:
        Misfit: The data do not fit the type.
        ConfigError: The data of a nested configuration do not fit it.
        ArgumentError: An object such as a schedule refuses its settings.
    """
    members = union_members(expected)
    if len(members) > 1:
        return first_fit(lambda member: decode(data, member), exact_first(members, type(data)))
    origin, arguments = get_origin(expected) or expected, get_args(expected)
    if origin is Annotated:
        return decode(data, arguments[0])
    if origin in (Any, list, tuple, dict):
        return coerce(_untag(data, origin, arguments), expected)
    if isinstance(origin, type) and not isinstance(data, origin):
        if issubclass(origin, enum.Enum):
            return _member(data, origin)
        if issubclass(origin, pathlib.PurePath) and isinstance(data, str):
            return origin(data)
        if is_savable(origin) and isinstance(data, Mapping):
            return origin.from_dict(data)  # type: ignore[attr-defined]
    return coerce(data, expected)


def _untag(data: Any, origin: Any, arguments: tuple[Any, ...]) -> Any:
    if isinstance(data, Mapping) and list(data) == [_TUPLE] and isinstance(data[_TUPLE], (list, tuple)):
        data, origin = tuple(data[_TUPLE]), tuple if origin is Any else origin
    if origin is tuple and isinstance(data, list):
        data = tuple(data)  # A list where a tuple is expected: a JSON file written by hand.
    if isinstance(data, (list, tuple)):
        kinds = item_types(origin, arguments, len(data)) if origin in (list, tuple) else [Any] * len(data)
        return type(data)(decode(item, kind) for item, kind in zip(data, kinds, strict=True))
    if isinstance(data, Mapping):
        kind = arguments[1] if origin is dict and arguments else Any
        return {key: decode(item, kind) for key, item in data.items()}
    return data


def _member(data: Any, kind: type[enum.Enum]) -> enum.Enum:
    if not isinstance(data, str) or data not in kind.__members__:
        raise Misfit(f"Its members are: {', '.join(kind.__members__)}.")
    return kind[data]
