"""Values of configuration fields from the text of a command line. The type of the field says how to read it; nothing is evaluated."""

import ast
import dataclasses
import enum
import pathlib
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from babel_dl.core.config_types import Misfit, coerce, describe, first_fit, is_savable, item_types, union_members
from babel_dl.core.config_values import decode
from babel_dl.errors import did_you_mean

_BOOL_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_NONE_WORDS = ("none", "null")
_BRACKETS = ("()", "[]")
_OBJECT_FORM = "Write it as Name(field=value, ...), with the names of its fields, or change one field of it: name.field=value."


def parse(text: str, expected: Any) -> Any:
    """Reads a value of a type from text.

    Args:
        text: `3`, `1e-4`, `yes`, `none`, `a word`, `(3, 3)`, `3,3`, `{'a': 1}`, a path, the name of an enum member, or an object such as
            `Exponential(initial_lr=0.1, k=0.001)`.
        expected: The annotation of the field.

    Returns:
        The value to store.

    Raises:
        Misfit: The text is no such value.
        ConfigError: A nested configuration refuses its fields.
        ArgumentError: An object such as a schedule refuses its settings.
    """
    text = text.strip()
    members = union_members(expected)
    if len(members) > 1:  # Text fits always, so it comes last; None needs its word, so it comes first.
        ranked = sorted(members, key=lambda member: 0 if member is type(None) else 2 if member is str else 1)
        return first_fit(lambda member: parse(text, member), ranked)
    origin, arguments = get_origin(expected) or expected, get_args(expected)
    if origin is Annotated:
        return parse(text, arguments[0])
    if origin is Literal:
        return _choice(text, arguments)
    if origin in (list, tuple):
        return _items(text, expected, origin, arguments)
    if origin is dict:
        return decode(_literal(text), expected)
    if origin is Any:
        return coerce(_literal(text), Any)
    return _single(text, origin)


def replace_part(part: Any, path: list[str], text: str) -> Any:
    """An object like another, but for one field that is read from text.

    Args:
        part: A dataclass object, such as a schedule.
        path: The name of the field; more names lead into the objects within.
        text: The value of the field.

    Returns:
        A new object; its constructor has checked it.

    Raises:
        Misfit: The object has no such field, or the text does not fit the type of the field.
        ArgumentError: The constructor refuses the value.
    """
    if not dataclasses.is_dataclass(part) or isinstance(part, type):
        raise Misfit(f"{part!r} has no fields of its own; set it as a whole.")
    name, *rest = path
    names = [field.name for field in dataclasses.fields(part) if field.init]
    if name not in names:
        raise Misfit(f"{type(part).__name__} has no field {name!r}.{did_you_mean(name, names)}")
    if rest:
        return dataclasses.replace(part, **{name: replace_part(getattr(part, name), rest, text)})
    kind = get_type_hints(type(part))[name]
    try:
        value = parse(text, kind)
    except Misfit as error:
        raise Misfit(f"Expected {describe(kind)}. {error}".rstrip()) from error
    return dataclasses.replace(part, **{name: value})


def _single(text: str, kind: Any) -> Any:
    if kind is type(None):
        if text.lower() in _NONE_WORDS:
            return None
        raise Misfit("")
    if kind is bool:
        if text.lower() not in _BOOL_WORDS:
            raise Misfit("Write true or false.")
        return _BOOL_WORDS[text.lower()]
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError as error:
            raise Misfit("") from error
    if kind is str:
        literal = _literal(text) if text[:1] in ("'", '"') else text
        return literal if isinstance(literal, str) else text
    if isinstance(kind, type) and issubclass(kind, (pathlib.PurePath, enum.Enum)):
        return decode(text, kind)
    if is_savable(kind):
        return kind.from_dict(_object(text))
    raise Misfit(f"Text cannot be read as {describe(kind)}.")


def _literal(text: str) -> Any:
    """A Python literal, or, if it is none, the text itself; the words for None and booleans in any case."""
    word = text.lower()
    if word in _NONE_WORDS:
        return None
    if word in ("true", "false"):
        return word == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _choice(text: str, choices: tuple[Any, ...]) -> Any:
    for choice in choices:
        if text in (str(choice), repr(choice)):
            return choice
    raise Misfit("")


def _items(text: str, expected: Any, origin: Any, arguments: tuple[Any, ...]) -> Any:
    """`(1, 2)`, `[1, 2]` and `1,2` are the same; so are `[a, b]` and `a,b`, whose words need no quotes."""
    literal = _literal(text)
    if not isinstance(literal, str):
        return decode(origin(literal if isinstance(literal, (list, tuple)) else [literal]), expected)
    inner = text[1:-1] if text[:1] + text[-1:] in _BRACKETS else text
    parts = [part for part in (part.strip() for part in inner.split(",")) if part]
    return origin(parse(part, kind) for part, kind in zip(parts, item_types(origin, arguments, len(parts)), strict=True))


def _object(text: str) -> dict[str, Any]:
    """`Name(field=value, ...)` as the plain data that `from_dict` takes: only read, never called."""
    try:
        call = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise Misfit(_OBJECT_FORM) from error
    return _call_as_data(call)


def _call_as_data(call: ast.expr) -> dict[str, Any]:
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
        raise Misfit(_OBJECT_FORM)
    data: dict[str, Any] = {"kind": call.func.id}
    for item in call.keywords:
        if item.arg is None:  # `**settings`
            raise Misfit(_OBJECT_FORM)
        if isinstance(item.value, ast.Call):
            data[item.arg] = _call_as_data(item.value)
            continue
        try:
            data[item.arg] = ast.literal_eval(item.value)
        except ValueError as error:
            raise Misfit(f"Its field {item.arg} is no number, text, list or other literal.") from error
    return data
