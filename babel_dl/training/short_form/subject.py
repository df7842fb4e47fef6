"""What a training is about: a model or a trainer, from its name, its class, or itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from babel_dl.backend import is_native_module
from babel_dl.core.module import Module
from babel_dl.core.native.adoption import as_module
from babel_dl.core.registry import MODULES
from babel_dl.errors import ArgumentError, did_you_mean
from babel_dl.training.short_form.resolving import construct, parameters_of, title_of
from babel_dl.training.trainer import Trainer


@dataclass(frozen=True)
class Subject:
    """What is trained.

    Attributes:
        part: One of our modules, or a trainer with steps of its own.
        title: How messages call it: the name that was given, or that of its class.
        names: What it is registered as.
        kind: The name of its class.
        config: The arguments it was made with, as plain data.
    """

    part: Module | Trainer
    title: str
    names: list[str]
    kind: str
    config: dict[str, Any]


def make_subject(model: Any, config: Mapping[str, Any] | None) -> Subject:
    """What is trained: one of our modules, or a trainer with steps of its own.

    Args:
        model: A name, a class, a function that makes one, or the object.
        config: The arguments to make it with.

    Raises:
        ArgumentError: There is no such name, an argument is unknown or missing, or what was made is no model.
    """
    if isinstance(model, str) and model not in MODULES:
        raise ArgumentError(f"There is no model {model!r}.{did_you_mean(model, MODULES.names())}")
    if isinstance(model, (list, tuple)) or hasattr(model, "__array__"):
        pair = "For inputs and outputs write a tuple: fit((x, y), model, ...)."
        raise ArgumentError(f"fit takes the model behind the data, and got a {type(model).__name__} there. {pair}")
    thing, title = (MODULES.find(model), model) if isinstance(model, str) else (model, title_of(model))
    if config is not None and not isinstance(config, Mapping):
        raise ArgumentError(f"model_config is a dict of arguments, {_as_dict(thing, config)}, and got {config!r}.")
    who, settings = f"The model {title!r}", {}
    if isinstance(thing, type) or not (isinstance(thing, (Module, Trainer)) or is_native_module(thing)):
        if not callable(thing):
            raise ArgumentError(f"{who} is {thing!r}. It must be a registered name, a class, a Module, a Trainer, or a framework's module.")
        made = construct(thing, config or {}, who, title)
        thing, settings = made.part, made.settings
    elif config:
        raise ArgumentError(f"{who} is made already, and cannot take {', '.join(config)}. Give its class or its name.")
    part = as_module(thing)
    if not isinstance(part, (Module, Trainer)):
        raise ArgumentError(f"{who} makes {part!r}. It must make a Module, a Trainer, or a module of the backend's framework.")
    known = [*MODULES.names_of(model), *MODULES.names_of(type(thing))]
    names = [model, *known] if isinstance(model, str) else known
    return Subject(part, title, list(dict.fromkeys(names)), title_of(type(thing)), settings)


def _as_dict(maker: Any, config: Any) -> str:
    """What was given as it would be written with names: the first that a class takes."""
    names = list(parameters_of(maker) or {}) if isinstance(maker, type) else []
    values = config if isinstance(config, (list, tuple)) else [config]
    shown = [f'"{name}": {value!r}' for name, value in zip(names, values, strict=False)]
    return "{" + (", ".join(shown) or '"num_classes": 2') + "}"
