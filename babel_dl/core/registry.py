"""Things by name: what is registered in this process, and what installed packages announce.

    @register_loss("vae")                  # names may be stacked, or given together
    class VAELoss(Loss): ...

    LOSSES.find("vae")                     # the class; a misspelt name gets "did you mean"

A package announces what it has by entry points, one for each thing. Nothing of it is imported before its name is asked for:

    [project.entry-points."babel_dl.losses"]
    focal = "their_package.losses:FocalLoss"
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from babel_dl.core import logging
from babel_dl.errors import ArgumentError, did_you_mean

Thing = TypeVar("Thing")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]*")


class Registry:
    """The things of one kind by name: classes, or functions.

    A name is letters, digits, `_`, `-`, `.` and `/`. Upper and lower case, `_` and `-` make no difference, so `"one_cycle"` finds what was
    registered as `"OneCycle"`. A name belongs to one thing. The same definition run again (a notebook's cell, a reloaded module) takes its
    own place; another one is refused. What was registered in this process comes before what packages announce.

    Args:
        kind: What messages call a thing: "loss".
        group: The group of entry points in which packages announce such things: "babel_dl.losses".

    Example:
        >>> shapes = Registry("shape", "babel_dl.shapes")
        >>> @shapes.register("square")
        ... @shapes.register("regular_4")
        ... class Square:
        ...     pass
        >>> shapes.find("Square").__name__, shapes.names(), shapes.names_of(Square)
        ('Square', ['regular_4', 'square'], ['regular_4', 'square'])
    """

    def __init__(self, kind: str, group: str) -> None:
        self.kind = kind
        self.title = f"{'An' if kind[0] in 'aeiou' else 'A'} {kind}"
        self.group = group
        self._things: dict[str, Any] = {}
        self._spellings: dict[str, str] = {}
        self._passed_over: set[str] = set()

    def register(self, *names: str) -> Callable[[Thing], Thing]:
        """A decorator that gives a class or a function its names.

        Args:
            names: At least one. More may be given here, or by another `register` above or below.

        Returns:
            A decorator that returns what it is put above.

        Raises:
            ArgumentError: There is no name, one is malformed or belongs to something else, or what is registered is no class or function.
        """
        for name in names:
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise ArgumentError(self._malformed(name))
        if not names:
            raise ArgumentError(f'{self.title} is registered under at least one name, and none came. Write: register("my_{self.kind}").')

        def put(thing: Thing) -> Thing:
            for name in names:
                self._check_free(name, thing)
            for name in names:
                self._put(name, thing)
            return thing

        return put

    def find(self, name: str) -> Any:
        """The thing of this name. Only what a package announces under this very name is imported.

        Raises:
            ArgumentError: There is none, and the nearest name is offered; or a package announces it and it cannot be loaded.
        """
        key = _key(name)
        announced = self._announced().get(key, [])
        if key in self._things:
            self._pass_over(key, announced)
            return self._things[key]
        if not announced:
            raise ArgumentError(f"There is no {self.kind} {name!r}.{did_you_mean(str(name), self.names())}")
        if len({entry.value for entry in announced}) > 1:
            packages = ", ".join(f"{_package(entry)} ({entry.value})" for entry in announced)
            advice = "Uninstall one, or import what you mean and pass it instead of its name."
            raise ArgumentError(f"Several packages announce the {self.kind} {name!r}: {packages}.\n  {advice}")
        return self._load(announced[0])

    def names(self) -> list[str]:
        """All names in alphabetical order, with those that packages announce. Nothing is imported for it."""
        announced = {key: entries[0].name for key, entries in self._announced().items()}
        return sorted({**announced, **self._spellings}.values())

    def names_of(self, thing: Any) -> list[str]:
        """The names of something that is registered in this process, in alphabetical order; empty if it is not."""
        return sorted(self._spellings[key] for key, known in self._things.items() if known is thing)

    def registered(self) -> dict[str, Any]:
        """What is registered in this process, by name. Entry points are left out."""
        return {self._spellings[key]: thing for key, thing in self._things.items()}

    def known(self, name: str) -> Any | None:
        """What is registered in this process under a name; None if nothing is. Entry points are left out."""
        return self._things.get(_key(name))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (_key(name) in self._things or _key(name) in self._announced())

    def _put(self, name: str, thing: Any) -> None:
        self._things[_key(name)], self._spellings[_key(name)] = thing, spelled(name)

    def _check_free(self, name: str, thing: Any) -> None:
        if not callable(thing):
            raise ArgumentError(f"{self.title} is a class or a function, and {thing!r}, registered as {name!r}, is neither.")
        known = self._things.get(_key(name), thing)
        if known is not thing and not _is_run_again(known, thing):
            raise ArgumentError(f"{self.title} named {name!r} is registered already, by {_owner(known)}. Choose another name.")

    def _announced(self) -> dict[str, list[EntryPoint]]:
        found: dict[str, list[EntryPoint]] = {}
        for entry in entry_points(group=self.group):
            found.setdefault(_key(entry.name), []).append(entry)
        return found

    def _load(self, entry: EntryPoint) -> Any:
        try:
            thing = entry.load()
        except Exception as error:
            raise ArgumentError(
                f"The {self.kind} {entry.name!r} comes from the package {_package(entry)} ({entry.value}), and loading it failed:\n"
                f"  {type(error).__name__}: {error}\n"
                f"  Repair or uninstall that package; others are not affected."
            ) from error
        if not callable(thing):
            raise ArgumentError(
                f"The package {_package(entry)} announces the {self.kind} {entry.name!r} as {entry.value}, which is a "
                f"{type(thing).__name__}.\n  An entry point leads to the class or function itself: 'package.module:Name'."
            )
        if _key(entry.name) not in self._things:  # its module may have registered it on the way
            self._put(entry.name, thing)
        return self._things[_key(entry.name)]

    def _pass_over(self, key: str, announced: list[EntryPoint]) -> None:
        """Says once that a package's thing is not the one that is used, because its name was taken."""
        owner = _owner(self._things[key])
        others = [entry for entry in announced if entry.module.partition(".")[0] != owner.partition(".")[0]]
        if others and key not in self._passed_over:
            self._passed_over.add(key)
            package = _package(others[0])
            logging.warn(f"The {self.kind} {others[0].name!r} of the package {package} is not used: {owner} has registered that name.")

    def _malformed(self, name: object) -> str:
        if callable(name):
            called = getattr(name, "__name__", type(name).__name__)
            return f'A decorator for a {self.kind} takes names, and got {called} itself. Write one in brackets: @...("a_name").'
        return f"{self.title} cannot be called {name!r}. A name begins with a letter or digit; '_', '-', '.' and '/' may follow."


def _key(name: str) -> str:
    return str(name).lower().replace("_", "").replace("-", "")


def spelled(name: str) -> str:
    """A name as it is listed: `OneCycle` as `one_cycle`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()


def _is_run_again(known: Any, thing: Any) -> bool:
    """Whether two objects come from one definition that ran twice. Of functions without a name nobody can tell."""
    places = [(getattr(each, "__module__", None), getattr(each, "__qualname__", "<lambda>")) for each in (known, thing)]
    return places[0] == places[1] and "<lambda>" not in places[0][1]


def _owner(thing: Any) -> str:
    return str(getattr(thing, "__module__", None) or type(thing).__module__)


def _package(entry: EntryPoint) -> str:
    return repr(entry.dist.name) if entry.dist is not None else "of unknown name"


# What comes with babel_dl is registered where it is defined, in `babel_dl.data` and `babel_dl.training`, when these are imported.
MODULES = Registry("module", "babel_dl.modules")
"""Models and their parts, and trainers with steps of their own."""

LOSSES = Registry("loss", "babel_dl.losses")
METRICS = Registry("metric", "babel_dl.metrics")
OPTIMIZERS = Registry("optimizer", "babel_dl.optimizers")
SCHEDULES = Registry("schedule", "babel_dl.schedules")
CALLBACKS = Registry("callback", "babel_dl.callbacks")
TRANSFORMERS = Registry("transform", "babel_dl.transformers")

register_module = MODULES.register
register_loss = LOSSES.register
register_metric = METRICS.register
register_optimizer = OPTIMIZERS.register
register_schedule = SCHEDULES.register
register_callback = CALLBACKS.register
register_transformer = TRANSFORMERS.register
