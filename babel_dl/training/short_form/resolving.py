"""From what a user names to the object that is meant: a name, a class, a dict of name and arguments, or the object itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from babel_dl.core.registry import Registry
from babel_dl.errors import ArgumentError, did_you_mean
from babel_dl.training.optimizers.learning_rates import LearningRateSchedule

NAME = "name"
"""The key of a dict under which the name may stand; the kind itself ("optimizer", "loss") will do as well."""


class Made(NamedTuple):
    """An object, and how it came to be.

    Attributes:
        part: The object.
        title: How it is called: the name that was given, or that of its class.
        settings: The arguments it was made with, defaults included, as plain data.
    """

    part: Any
    title: str
    settings: dict[str, Any]


def take_apart(registry: Registry, spec: Any) -> tuple[Any, str, dict[str, Any]]:
    """What is meant, its title, and the arguments that came with it. Names are looked up.

    Args:
        registry: Where names are looked up.
        spec: A name, a class, a function, an object, or a dict of one of these, under the registry's kind or "name", and arguments.

    Raises:
        ArgumentError: There is no such name, or a dict has none.
    """
    options: dict[str, Any] = {}
    if isinstance(spec, Mapping):
        options = dict(spec)
        key = NAME if NAME in options else registry.kind
        if key not in options:
            form, keys = f"{{{registry.kind!r}: 'a name', 'argument': value}}", ", ".join(map(repr, options)) or "none"
            article = "An" if registry.kind[0] in "aeiou" else "A"
            raise ArgumentError(f"{article} {registry.kind} as a dict says which one: {form}. This one has the keys {keys}.")
        spec = options.pop(key)
    if isinstance(spec, str):
        return registry.find(spec), spec, options
    return spec, title_of(spec), options


def make(registry: Registry, spec: Any, fill: Mapping[str, Any] | None = None, advice: str = "") -> Made:
    """The object that is meant: a class is made, with the arguments that came with it; an object is taken as it is.

    Args:
        registry: Where names are looked up.
        spec: See `take_apart`.
        fill: Values for parameters of these names, where nothing was given.
        advice: What to do if an argument is missing.

    Raises:
        ArgumentError: There is no such name, an argument is unknown or missing, or arguments came with a finished object.
    """
    thing, title, options = take_apart(registry, spec)
    if isinstance(thing, type):
        return construct(thing, options, f"The {registry.kind} {title!r}", title, fill, advice)
    if options:
        given = ", ".join(options)
        raise ArgumentError(f"The {registry.kind} {title!r} is made already, and cannot take {given}. Give its class or its name.")
    return Made(thing, title, {})


def construct(
    maker: Callable[..., Any], options: Mapping[str, Any], who: str, title: str, fill: Mapping[str, Any] | None = None, advice: str = ""
) -> Made:
    """Calls a class or a function with arguments by name, after a look at what it takes.

    Args:
        maker: What makes the object.
        options: Arguments by name.
        who: How messages call it: "The model 'simple_conv'".
        title: How the result is called.
        fill: Values for parameters of these names, where nothing was given.
        advice: What to do if an argument is missing.

    Raises:
        ArgumentError: An argument is unknown (the nearest name is offered) or missing; all that it takes are listed.
    """
    parameters = parameters_of(maker)
    if parameters is None:
        return Made(maker(**options), title, plain(options))
    arguments = {**{name: value for name, value in (fill or {}).items() if name in parameters and name not in options}, **options}
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        for name in arguments:
            if name not in parameters:
                hint = did_you_mean(str(name), parameters) if parameters else ""
                raise ArgumentError(f"{who} has no argument {name!r}.{hint}\n  It takes: {_listed(parameters)}.")
    needed = [name for name, p in parameters.items() if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    missing = [name for name in needed if name not in arguments]
    if missing:
        raise ArgumentError(f"{who} needs {', '.join(missing)}.\n  It takes: {_listed(parameters)}.{advice}")
    in_order = {name: arguments.get(name, p.default) for name, p in parameters.items() if name in arguments or p.default is not p.empty}
    return Made(maker(**arguments), title, plain({**in_order, **arguments}))


def title_of(thing: Any) -> str:
    """How messages and metrics call an object: the name of a class or function, else that of its class."""
    return str(getattr(thing, "__name__", type(thing).__name__))


def plain(value: Any) -> Any:
    """The value as JSON can hold it: objects that it cannot hold become the text that describes them."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (np.generic, np.ndarray)) and value.size == 1:
        return value.item()
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, LearningRateSchedule):
        try:
            return value.to_dict()
        except ArgumentError:  # one that is not registered has no plain form
            return repr(value)
    has_no_words = isinstance(value, type) or inspect.isroutine(value) or type(value).__repr__ is object.__repr__
    return title_of(value) if has_no_words else repr(value)


def parameters_of(maker: Callable[..., Any]) -> dict[str, inspect.Parameter] | None:
    """What a class or function takes by name; None if that cannot be known.

    Args:
        maker: Of a class the constructor is looked at. `__new__` may let everything pass, as that of modules does.
    """
    is_plain_class = isinstance(maker, type) and maker.__init__ is object.__init__
    if is_plain_class and maker.__new__ is not object.__new__:
        return {}
    try:
        parameters = list(inspect.signature(maker.__init__ if isinstance(maker, type) and not is_plain_class else maker).parameters.items())
    except (TypeError, ValueError):
        return None
    if isinstance(maker, type) and not is_plain_class:
        parameters = parameters[1:]  # without self
    return {name: p for name, p in parameters if p.kind is not p.VAR_POSITIONAL}


def _listed(parameters: Mapping[str, inspect.Parameter]) -> str:
    """What is taken, as it stands in the source: `num_classes: int, width: int = 5`."""
    return ", ".join(str(p).replace(f": {p.annotation!r}", f": {p.annotation}", 1) for p in parameters.values()) or "nothing"
