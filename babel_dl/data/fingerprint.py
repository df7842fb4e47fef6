"""Texts that are equal exactly when the things they stand for are: the parts of a cache's key."""

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import PurePath
from types import CodeType
from typing import Any

import numpy as np

from babel_dl.data.transformer import name_of
from babel_dl.errors import DataError

MAX_DEPTH = 6  # objects inside objects; deeper ones, and circles, count by their class only


def digest(*texts: str) -> str:
    """32 hexadecimal digits from texts; the boundaries between them count."""
    result = hashlib.blake2b(digest_size=16)
    for text in texts:
        encoded = text.encode()
        result.update(len(encoded).to_bytes(8, "little") + encoded)
    return result.hexdigest()


def array_digest(array: np.ndarray) -> str:
    """The SHA-256 of shape, element type and content; memory-mapped arrays are read in pieces."""
    sha = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    rows = max(1, (1 << 24) // max(1, array.nbytes // max(1, len(array)))) if array.ndim else 1
    pieces = (array[start : start + rows] for start in range(0, len(array), rows)) if array.ndim else (array,)
    for piece in pieces:
        sha.update(np.asarray(piece, order="C").tobytes())
    return sha.hexdigest()


def fingerprint(value: Any, depth: int = 0) -> str:
    """A text for numbers, texts, paths, arrays, containers, and objects by class and public fields. It holds no memory address.

    Args:
        value: Anything.
        depth: How many objects it is inside of.
    """
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes, np.generic, PurePath)):
        return repr(value)
    if depth >= MAX_DEPTH:
        return f"<{type(value).__qualname__}>"
    if isinstance(value, np.ndarray):
        return f"array:{array_digest(value)}"
    if isinstance(value, Enum):
        return str(value)
    if isinstance(value, Mapping):
        return f"{{{', '.join(sorted(f'{fingerprint(k, depth + 1)}: {fingerprint(v, depth + 1)}' for k, v in value.items()))}}}"
    if isinstance(value, (set, frozenset)):
        return f"{{{', '.join(sorted(fingerprint(item, depth + 1) for item in value))}}}"
    if isinstance(value, (list, tuple, range)):
        return repr(value) if isinstance(value, range) else f"({', '.join(fingerprint(item, depth + 1) for item in value)})"
    if inspect.isroutine(value) or isinstance(value, type):
        return f"<{value.__module__}.{value.__qualname__}>"
    return f"{type(value).__module__}.{type(value).__qualname__}{fingerprint(public_fields(value), depth + 1)}"


def public_fields(value: Any) -> dict[str, Any]:
    """The fields of an object whose names have no leading underscore."""
    if isinstance(value, Mapping):
        return {str(name): item for name, item in value.items()}
    return {name: item for name, item in getattr(value, "__dict__", {}).items() if not name.startswith("_")}


def fingerprint_arguments(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """What an object was made with: texts, numbers, paths and containers of them. Other things count by their class, so it stays cheap.

    Args:
        args: The arguments by place.
        kwargs: The arguments by name.
    """
    return digest(_plain([*args]), _plain(dict(sorted(kwargs.items()))))


def _plain(value: Any) -> str:
    if value is None or isinstance(value, (bool, int, float, str, bytes, np.generic, PurePath, range)):
        return repr(value)
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {_plain(item)}' for key, item in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"({', '.join(_plain(item) for item in value)})"
    if isinstance(value, np.ndarray):
        return f"array{value.dtype.str}{value.shape}"
    return f"<{type(value).__module__}.{type(value).__qualname__}>"


def code_version(kind: type) -> str:
    """The version of a class that states none: its name and the digest of its compiled methods and constants.

    So an edited getter counts as new, and with another version of Python all do.

    Args:
        kind: A class; what it inherits counts, what it inherits from babel_dl does not.
    """
    texts = []
    for parent in kind.__mro__:
        if parent is object or parent.__module__.startswith("babel_dl."):
            continue
        for name, member in sorted(vars(parent).items()):
            if inspect.isfunction(member):
                texts += [name, _code_text(member.__code__)]
            elif not name.startswith("__"):
                texts += [name, _plain(member)]
    return f"{kind.__qualname__}:{digest(*texts)[:12]}"


def _code_text(code: CodeType) -> str:
    constants = [_code_text(item) if isinstance(item, CodeType) else fingerprint(item) for item in code.co_consts]
    return digest(code.co_code.hex(), repr(code.co_names), *constants)


def transformer_version(transformer: Callable[..., Any]) -> str:
    """Class and version of a transformer.

    Args:
        transformer: One that runs before a cache.

    Raises:
        DataError: It states no version, so nobody could tell when what it made is out of date.
    """
    version = getattr(transformer, "version", None)
    if version is None:
        raise DataError(
            f"The transformer {name_of(transformer)} runs before the cache and has no version, so a change of it would go unnoticed.\n"
            f"  Derive it from babel_dl.data.Transformer and give it a property `version`, or append it to realtime_transformers."
        )
    return f"{name_of(transformer)}:{version}"


def token_text(token: Any) -> str:
    """A token as a text that is the same in every process.

    Args:
        token: A sample's token.

    Raises:
        DataError: It is an object that only its memory address tells from others.
    """
    text = fingerprint(token)
    if type(token).__repr__ is object.__repr__ and not public_fields(token):
        raise DataError(
            f"A cache cannot tell the sample token {token!r} from others: it is a {type(token).__name__} without fields.\n"
            f"  Use numbers, texts, paths or tuples of them as tokens, or leave out cache_dir."
        )
    return text


def tokens_digest(tokens: Sequence[Any]) -> str:
    """One digest for all tokens, in their order.

    Args:
        tokens: All sample tokens.

    Raises:
        DataError: A token has no text that is the same in every process.
    """
    return digest(repr(tokens)) if isinstance(tokens, range) else digest(*(token_text(token) for token in tokens))


def changed_parts(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Names of the entries that differ; for an entry with parts, the names of those."""
    parts = []
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            parts += [f"{name}.{inner}" for inner in changed_parts(before, after)]
        elif json.dumps(before) != json.dumps(after):
            parts.append(name)
    return parts
