"""The variables of Keras layers and `tf.Module` by their place in the model.

Keras' own names count up through the process (`dense_7/kernel`): the second model of a class has others than the first. Here a variable is
named by attributes, by indices in lists and models, and last by what its layer calls it: `/encoder/0/kernel`.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import tensorflow as tf

_COUNTED_NAME = re.compile(r"variable(_\d+)?")
_NOTES = ("_layers", "_tracked", "_inbound_nodes")
_NOTES_OF_TENSORFLOW = "_self_"
"""Attributes in which Keras and TensorFlow list what is in other attributes."""


def is_keras_layer(value: Any) -> bool:
    """Whether it is a layer or model of Keras, which need not be imported for it."""
    return any(f"{base.__module__.partition('.')[0]}.{base.__qualname__}" == "keras.Layer" for base in type(value).__mro__)


class Found(NamedTuple):
    """A variable in a module: a `tf.Variable`, or Keras' own class around one.

    Attributes:
        name: Its place.
        variable: The variable.
        is_parameter: Whether it was made to be trained; a layer that is frozen keeps it.
    """

    name: str
    variable: Any
    is_parameter: bool


def is_complete(module: Any) -> bool:
    """Whether a module has its variables: all Keras layers in it are built, and a `tf.Module` has some."""
    layers = list(_layers_in(module, set()))
    return all(layer.built for layer in layers) and (bool(layers) or bool(named_variables(module)))


def _layers_in(value: Any, seen: set[int]) -> Iterator[Any]:
    if id(value) in seen:
        return
    seen.add(id(value))
    if is_keras_layer(value):
        yield value
        inner: Any = value._flatten_layers(include_self=False, recursive=False)
    elif isinstance(value, tf.Module):
        inner = vars(value).values()
    elif isinstance(value, (list, tuple, dict)):
        inner = value.values() if isinstance(value, dict) else value
    else:
        return
    for item in inner:
        yield from _layers_in(item, seen)


def named_variables(module: Any) -> list[Found]:
    """All variables, each once.

    Args:
        module: A Keras layer, a model, or a `tf.Module`.
    """
    found: dict[int, Found] = {}
    names: set[str] = set()
    for one in _walk(module, "", set()):
        if id(one.variable) not in found:
            unique, count = one.name, 0
            while unique in names:
                count += 1
                unique = f"{one.name}_{count}"
            names.add(unique)
            found[id(one.variable)] = one._replace(name=unique)
    return list(found.values())


def _walk(value: Any, name: str, seen: set[int]) -> Iterator[Found]:
    if id(value) in seen:
        return
    if isinstance(value, tf.Variable):
        yield Found(name, value, value.trainable)
    elif is_keras_layer(value):
        seen.add(id(value))
        yield from _of_layer(value, name, seen)
    elif isinstance(value, tf.Module):
        seen.add(id(value))
        for attribute, item in vars(value).items():
            if not attribute.startswith(_NOTES_OF_TENSORFLOW):
                yield from _walk(item, f"{name}/{attribute}", seen)
    elif isinstance(value, (list, tuple, dict)):
        seen.add(id(value))
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _walk(item, f"{name}/{key}", seen)


def _of_layer(layer: Any, name: str, seen: set[int]) -> Iterator[Found]:
    """The layer's own variables by their names, then those of the layers inside by attribute, or by index in a model that is a list."""
    inner = layer._flatten_layers(include_self=False, recursive=False)
    below = {id(variable) for child in inner for variable in child.variables}
    parameters = {id(variable) for variable in layer._trainable_variables}  # the public list leaves out what is frozen
    for variable in layer.variables:
        if id(variable) not in below:
            yield Found(f"{name}/{_own_name(layer, variable)}", variable, id(variable) in parameters)
    places = {id(child): place for place, child in reversed(list(_places(layer)))}
    for child in inner:
        yield from _walk(child, f"{name}/{places.get(id(child), child.name)}", seen)


def _places(layer: Any) -> Iterator[tuple[str, Any]]:
    if type(layer).__name__ in ("Sequential", "Functional"):
        yield from ((str(index), child) for index, child in enumerate(layer.layers))
        return
    for attribute, value in vars(layer).items():
        if attribute not in _NOTES and not attribute.startswith(_NOTES_OF_TENSORFLOW):
            yield from _inside(value, attribute, set())


def _inside(value: Any, name: str, open_containers: set[int]) -> Iterator[tuple[str, Any]]:
    if is_keras_layer(value):
        yield name, value
    elif isinstance(value, (list, tuple, dict)) and id(value) not in open_containers:
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _inside(item, f"{name}/{key}", open_containers | {id(value)})


def _own_name(layer: Any, variable: Any) -> str:
    if not _COUNTED_NAME.fullmatch(variable.name):
        return variable.name
    return next((attribute for attribute, value in vars(layer).items() if value is variable), variable.name)
