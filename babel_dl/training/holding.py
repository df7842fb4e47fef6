"""What a trainer holds: parts in its attributes, and in lists, tuples and dicts of them, each found once and named by its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, TypeVar

from babel_dl.core.module import Module
from babel_dl.core.native.adoption import as_module
from babel_dl.core.random_stream import RandomStream
from babel_dl.core.structure import name_modules
from babel_dl.core.variable import Variable
from babel_dl.errors import ArgumentError
from babel_dl.training.optimizers.base import Optimizer
from babel_dl.training.scopes import find_optimizer

Part = TypeVar("Part")

NOTES = ("_updates", "_plan")
"""Attributes in which a holder keeps notes about its parts; these are not searched for parts."""

ROOT = "model"
"""The attribute whose module keeps the paths that it has without a trainer, so that it may be built before or after."""


class PartsHolder:
    """Finds modules, optimizers and variables in its attributes, and tells modules their place when they are put there."""

    _optimizers: dict[str, Optimizer]

    def __setattr__(self, name: str, value: Any) -> None:
        """Adopts native modules, and tells modules their place, so that two alike ones start differently."""
        value = as_module(value)
        super().__setattr__(name, value)
        if name != ROOT and not name.startswith("_"):
            self._place(name, value)

    def place_parts(self) -> None:
        """Tells modules their place that were put into lists and dicts after these became attributes."""
        for name, value in list(vars(self).items()):
            if name != ROOT and not name.startswith("_"):
                self._place(name, value)

    def _place(self, name: str, value: Any) -> None:
        for path, module in parts_inside(name, value):
            if isinstance(module, Module) and not module._has_place:
                module.path = f"/{path}"
                name_modules(module)

    @property
    def modules(self) -> dict[str, Module]:
        """The modules in attributes and in lists, tuples and dicts there, by name: `model`, `critics/0`."""
        return self._held(Module)

    @property
    def optimizers(self) -> dict[str, Optimizer]:
        """The optimizers in attributes and in lists, tuples and dicts there, by name; those given as `optimizers` are `optimizers/name`."""
        return {name.removeprefix("_"): part for name, part in self._held(Optimizer).items()}

    @optimizers.setter
    def optimizers(self, optimizers: Mapping[str, Optimizer]) -> None:
        """Takes optimizers by name."""
        if not isinstance(optimizers, Mapping):
            example = 'optimizers={"model": Adam(1e-3)}'
            raise ArgumentError(f"{type(self).__name__} takes optimizers by name, and got {type(optimizers).__name__}. Write: {example}")
        for name, optimizer in optimizers.items():
            if not isinstance(optimizer, Optimizer):
                hint = f" Make one: {optimizer.__name__}(...)." if isinstance(optimizer, type) else ""
                hint = " Names go with babel_dl.fit; here hand over an object: Adam(1e-3)." if isinstance(optimizer, str) else hint
                raise ArgumentError(f"{type(self).__name__} needs optimizers by name, and {name!r} is {optimizer!r}.{hint}")
        self._optimizers = dict(optimizers)

    def named_optimizer(self, name: str) -> Optimizer:
        """The optimizer of this name; the last part of a name will do where it is the only one that ends so.

        Raises:
            ArgumentError: There is none, or there are several.
        """
        return find_optimizer(self.optimizers, name)

    @property
    def variables(self) -> dict[str, Variable]:
        """The variables in attributes and in lists, tuples and dicts there that belong to no module, by name."""
        return self._held(Variable)

    @cached_property
    def random(self) -> RandomStream:
        """Random numbers for steps, the same on every backend: `self.random.normal((len(x), 128))`. Checkpoints keep its counter."""
        stream = RandomStream()
        self._place("random", stream)
        return stream

    def _held(self, kind: type[Part]) -> dict[str, Part]:
        found: dict[str, Part] = {}
        seen: set[int] = set()
        for name, value in vars(self).items():
            if name not in NOTES:
                for path, part in parts_inside(name, value):
                    if isinstance(part, kind) and id(part) not in seen:
                        seen.add(id(part))
                        found[path] = part
        return found


def parts_inside(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """A value, or what is in its lists, tuples and dicts, each with its path."""
    if isinstance(value, (list, tuple, dict)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from parts_inside(f"{path}/{key}", item)
    else:
        yield path, value
