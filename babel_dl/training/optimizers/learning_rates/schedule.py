"""What a learning-rate schedule is, and the table of those that a file may name."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, TypeVar

from babel_dl.core.registry import SCHEDULES
from babel_dl.errors import ArgumentError, did_you_mean


class LearningRateSchedule(ABC):
    """A learning rate as a pure function of the training step.

        optimizer.lr = schedule(step)      # step = 0, 1, 2, ...: calls of the trainer's step so far; validation does not count

    A schedule holds settings and no state, needs no framework, and computes in float64 on the host. So it can live in a configuration, and
    a resumed run only has to know its step. Write your own as a frozen dataclass; `@register` it if it shall be saved.

    Attributes:
        initial_lr: The rate to create an optimizer with.

    Example:
        >>> import dataclasses
        >>> @register
        ... @dataclasses.dataclass(frozen=True)
        ... class Halving(LearningRateSchedule):
        ...     initial_lr: float
        ...     def __call__(self, step: int) -> float:
        ...         return self.initial_lr * 0.5**step
        >>> Halving(0.8)(2)
        0.2
        >>> Halving(0.8).to_dict()
        {'kind': 'Halving', 'initial_lr': 0.8}
    """

    initial_lr: float

    @abstractmethod
    def __call__(self, step: int) -> float:
        """The learning rate of one training step.

        Args:
            step: Training steps done before this one; 0 for the first. Beyond the end of a schedule its last value holds.

        Returns:
            The rate.

        Raises:
            ArgumentError: The step is negative or no whole number.
        """

    def momentum(self, step: int) -> float | None:
        """The momentum of one training step (the first beta of an Adam), or None to leave the optimizer's own alone.

        Args:
            step: Training steps done before this one; 0 for the first.

        Returns:
            The momentum, or None.

        Raises:
            ArgumentError: The step is negative or no whole number.
        """
        return None

    def to_dict(self) -> dict[str, Any]:
        """The schedule as plain data: its registered name under `kind`, and its settings.

        Returns:
            A dictionary that JSON can hold; `from_dict` reads it back.

        Raises:
            ArgumentError: The class is not registered, so no file could name it.
        """
        kind = type(self).__name__
        if SCHEDULES.known(kind) is not type(self):
            raise ArgumentError(f"Schedule {kind} is not registered, so no file can hold it. Put `@learning_rates.register` above it.")
        return {"kind": kind, **{name: _plain(getattr(self, name)) for name in _settings(type(self))}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "LearningRateSchedule":
        """Makes a schedule from what `to_dict` gave. Looks the name up in the table of registered schedules, and imports nothing.

        Args:
            data: `kind` and the settings; settings with a default may be missing.

        Returns:
            The schedule; of this class or of a child of it.

        Raises:
            ArgumentError: `kind` is missing, unknown or of another class; a setting is unknown, missing, or outside of its range.
        """
        values = dict(data)
        found = _named(cls, values.pop("kind", None))
        settings = _settings(found)
        for name in values:
            if name not in settings:
                raise ArgumentError(f"Schedule {found.__name__} has no setting {name!r}.{did_you_mean(name, settings)}")
        missing = [name for name, is_required in settings.items() if is_required and name not in values]
        if missing:
            raise ArgumentError(f"Schedule {found.__name__} lacks the setting {', '.join(missing)}. It has: {', '.join(settings)}.")
        inner = LearningRateSchedule.from_dict
        return found(**{name: inner(value) if isinstance(value, Mapping) else value for name, value in values.items()})


ScheduleClass = TypeVar("ScheduleClass", bound=type[LearningRateSchedule])


def register(schedule_class: ScheduleClass) -> ScheduleClass:
    """Lets configurations and checkpoints hold schedules of a class, under its own name; a decorator, above `@dataclass(frozen=True)`.

    Args:
        schedule_class: A dataclass that derives from `LearningRateSchedule`.

    Returns:
        The same class.

    Raises:
        ArgumentError: The class is no such dataclass, or another class has its name.
    """
    if not dataclasses.is_dataclass(schedule_class) or not issubclass(schedule_class, LearningRateSchedule):
        advice = "It takes a dataclass that derives from LearningRateSchedule; put it above `@dataclass(frozen=True)`."
        raise ArgumentError(f"register got {schedule_class.__name__}. {advice}")
    return SCHEDULES.register(schedule_class.__name__)(schedule_class)


def _named(parent: type[LearningRateSchedule], kind: object) -> type[LearningRateSchedule]:
    classes = [found for found in SCHEDULES.registered().values() if isinstance(found, type) and issubclass(found, parent)]
    known = {found.__name__: found for found in classes if SCHEDULES.known(found.__name__) is found}
    if not isinstance(kind, str):
        raise ArgumentError(f"A stored schedule has kind {kind!r}. It must name one of: {', '.join(sorted(known))}.")
    if kind not in known:
        raise ArgumentError(f"There is no {parent.__name__} of kind {kind!r}.{did_you_mean(kind, known)}")
    return known[kind]


def _settings(schedule_class: Any) -> dict[str, bool]:
    """The names of the constructor's arguments, each with whether it must be given."""
    missing = dataclasses.MISSING
    fields = [field for field in dataclasses.fields(schedule_class) if field.init]
    return {field.name: field.default is missing and field.default_factory is missing for field in fields}


def _plain(value: Any) -> Any:
    return value.to_dict() if isinstance(value, LearningRateSchedule) else value
