"""Named tuples of arrays: reaching a field of a sample by name, wherever it stands."""

from collections.abc import Callable, Sequence
from typing import Any

from babel_dl.errors import ArgumentError, did_you_mean

NamedTupleType = type[Any]
"""A class made by `collections.namedtuple` or `typing.NamedTuple`."""


def check_names(fields: Sequence[str], owner: str) -> tuple[str, ...]:
    """The names as a tuple; a single text counts as one name.

    Raises:
        ArgumentError: There is no name.
    """
    names = (fields,) if isinstance(fields, str) else tuple(fields)
    if not names:
        raise ArgumentError(f"{owner}: fields is empty. Name at least one field of the sample, such as fields=('image',).")
    return names


def replace_fields(inp: Any, outp: Any, fields: Sequence[str], change: Callable[[Any], Any], owner: str) -> tuple[Any, Any]:
    """A sample with some fields changed; a name that stands in input and output is changed in both.

    Args:
        inp: Named tuple with the input.
        outp: Named tuple with the output.
        fields: The names.
        change: From the old value to the new one.
        owner: Who asks, for the message.

    Raises:
        ArgumentError: Neither named tuple has a field of that name; the nearest name is offered.
    """
    for name in fields:
        if name not in inp._fields and name not in outp._fields:
            raise ArgumentError(f"{owner}: the sample has no field {name!r}.{did_you_mean(name, {*inp._fields, *outp._fields})}")
    return _changed(inp, fields, change), _changed(outp, fields, change)


def _changed(part: Any, fields: Sequence[str], change: Callable[[Any], Any]) -> Any:
    present = {name: change(getattr(part, name)) for name in fields if name in part._fields}
    return part._replace(**present) if present else part


def check_named_tuple_type(kind: Any, owner: str, argument: str) -> NamedTupleType:
    """The class itself.

    Raises:
        ArgumentError: It is no named tuple class.
    """
    if isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return kind
    raise ArgumentError(
        f"{owner}: {argument} is {kind!r}, and must be a named tuple class.\n"
        f'  Make one: NetworkInput = namedtuple("NetworkInput", ["image"])'
    )
