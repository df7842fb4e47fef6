"""The configuration of an experiment: a plain Python class whose fields have types."""

import copy
import inspect
import os
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, TypeVar, get_origin, get_type_hints

from babel_dl.core.config_file import read_config, write_config
from babel_dl.core.config_text import parse, replace_part
from babel_dl.core.config_types import Misfit, coerce, describe, type_of
from babel_dl.core.config_values import decode, encode
from babel_dl.errors import ArgumentError, ConfigError, did_you_mean

ConfigType = TypeVar("ConfigType", bound="Config")
_METHOD_KINDS = (types.FunctionType, classmethod, staticmethod)


class Config:
    """All choices of an experiment in one object. Inherit, and fill it with attributes; it can be printed, saved, loaded and overridden.

    Public attributes are fields, in the order in which they are set; names that begin with an underscore, and properties, are not. A field
    has the type of its annotation in the class, or of its first value, and refuses others. An int is welcome where a float is expected.
    None is welcome if the annotation says so or the first value was None; then the first value that is not None sets the type. A
    learning-rate schedule may be replaced by any other.

    Fields hold None, bool, int, float, str, list, tuple, dict with text keys, paths, enum members, and objects with `to_dict` and a class
    method `from_dict`, such as schedules and other configurations.

    Raises:
        ConfigError: A value does not fit the type of its field, cannot be saved, or has the name of a method.

    Example:
        >>> class BaseConfig(Config):
        ...     train_clip_norm: float | None = None
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.train_epochs = 10
        ...         self.problem_base_dir = ".datasets"
        >>> class LongConfig(BaseConfig):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.train_epochs = 100
        >>> print(LongConfig().override(["train_clip_norm=1"]))
        LongConfig:
          train_clip_norm = 1.0
          train_epochs    = 100
        <BLANKLINE>
          problem_base_dir = '.datasets'
    """

    _types: dict[str, Any]

    def __new__(cls, *_arguments: Any, **_named_arguments: Any) -> "Config":
        """Sets the fields that the class body declares; here, so that a class whose `__init__` forgets its parent's works too."""
        self = super().__new__(cls)
        kinds, defaults = _declared(cls)
        object.__setattr__(self, "_types", kinds)
        for name, value in defaults.items():
            setattr(self, name, copy.deepcopy(value))
        return self

    def __init__(self) -> None:
        """Makes a configuration; the fields of a class without an `__init__` come from its body."""

    def __setattr__(self, name: str, value: Any) -> None:
        """Sets a field, after a check of its type."""
        attribute = inspect.getattr_static(type(self), name, None)
        if isinstance(attribute, _METHOD_KINDS):
            raise ConfigError(f"{type(self).__name__} cannot have a field {name!r}: a method has this name. Choose another name.")
        if not name.startswith("_") and not isinstance(attribute, property):
            kind = self._types[name] if name in self._types else type_of(value)
            kind = _settled(kind, value)
            value = self._checked(name, value, kind, coerce)
            self._types[name] = kind
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        """Runs only if there is no such attribute, and says what there is."""
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if name in self._types:
            raise AttributeError(self._unset(name))
        raise AttributeError(f"{type(self).__name__} has no field {name!r}.{did_you_mean(name, self._types)}")

    def override(self: ConfigType, settings: Iterable[str]) -> ConfigType:
        """Changes fields by text, as from a command line. All are checked first: if one is wrong, none is changed.

        Args:
            settings: `name=value` each, the value read by the type of the field: `train_epochs=3`, `train_shuffle=no`, `train_crop=24,24`.
                `train_schedule.initial_lr=0.01` changes one field of an object, `train_schedule=Cosine(initial_lr=0.1, num_steps=500)` all.

        Returns:
            The same object.

        Raises:
            ConfigError: A setting has no `=`, no field has its name, or its value does not fit.
        """
        changed = self.copy()
        for setting in settings:
            path, equals, text = setting.partition("=")
            if not equals:
                raise ConfigError(f"{type(self).__name__} got the setting {setting!r}. Write it as name=value, e.g. train_epochs=3.")
            changed._override(path.strip().split("."), text.strip())
        self.__dict__.update(changed.__dict__)
        return self

    def update(self: ConfigType, values: Mapping[str, Any]) -> ConfigType:
        """Changes fields by plain data, such as `to_dict` gives, or by values. If one is wrong, none is changed.

        Args:
            values: Values by field name; fields that are missing stay as they are.

        Returns:
            The same object.

        Raises:
            ConfigError: No field has the name, or the value does not fit.
        """
        changed = self.copy()
        for name, value in values.items():
            kind = changed._type_of_field(name)
            setattr(changed, name, changed._checked(name, value, Any if kind is type(None) else kind, decode))
        self.__dict__.update(changed.__dict__)
        return self

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data, in their order.

        Returns:
            What JSON can hold: tuples are lists, paths text, objects dictionaries.

        Raises:
            ConfigError: A declared field has no value yet.
        """
        for name in self._types:
            if name not in self.__dict__:
                raise ConfigError(self._unset(name))
        return {name: encode(self.__dict__[name], kind) for name, kind in self._types.items()}

    @classmethod
    def from_dict(cls: type[ConfigType], values: Mapping[str, Any]) -> ConfigType:
        """A configuration of this class with the given fields.

        Args:
            values: Plain data by field name; fields that are missing keep the value that the class gives them.

        Returns:
            A new object.

        Raises:
            ConfigError: The class cannot be made without arguments, no field has the name, or a value does not fit.
        """
        try:
            inspect.signature(cls.__init__).bind(None)
        except TypeError as error:
            advice = "Make the object yourself and call its update(values)."
            raise ConfigError(f"{cls.__name__} cannot be made without arguments ({error}). {advice}") from error
        return cls().update(values)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the fields as JSON, atomically.

        Args:
            path: The file; its folder is made.

        Raises:
            ConfigError: A field has no value yet, or the file cannot be written; a file that was there before is untouched.
        """
        write_config(path, type(self).__name__, self.to_dict())

    @classmethod
    def load(cls: type[ConfigType], path: str | os.PathLike[str]) -> ConfigType:
        """Reads a file that `save` wrote, into the class it is called on. Runs no code of the file, and imports no names from it.

        Args:
            path: The file.

        Returns:
            A new object.

        Raises:
            ConfigError: The file is missing or damaged, or does not fit the class.
        """
        return cls.from_dict(read_config(path))

    def copy(self: ConfigType) -> ConfigType:
        """A copy that shares nothing with this object.

        Returns:
            The copy.
        """
        return copy.deepcopy(self)

    def as_argument_help(self) -> str:
        """One line per field for the help of a command line.

        Returns:
            Lines of `name=value (type)`.
        """
        return "\n".join(f"{name}={self._shown(name)} ({describe(kind)})" for name, kind in self._types.items())

    def __eq__(self, other: object) -> bool:
        """Whether the other is of the same class and has the same fields with the same values."""
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    __hash__ = None  # type: ignore[assignment]  # Fields may change.

    def __repr__(self) -> str:
        """All fields in one line."""
        return f"{type(self).__name__}({', '.join(f'{name}={self._shown(name)}' for name in self._types)})"

    def __str__(self) -> str:
        """One field per line, grouped and aligned by prefix: `problem_`, `train_`, ..."""
        groups: dict[str, list[str]] = {}
        for name in self._types:
            prefix, underscore, _ = name.partition("_")
            groups.setdefault(prefix if underscore else "", []).append(name)
        blocks = []
        for names in groups.values():
            width = max(map(len, names))
            blocks.append("\n".join(f"  {name:<{width}} = {self._shown(name)}" for name in names))
        return "\n".join([f"{type(self).__name__}:", "\n\n".join(blocks)]).rstrip("\n")

    def _values(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in self._types if name in self.__dict__}

    def _shown(self, name: str) -> str:
        return repr(self.__dict__[name]) if name in self.__dict__ else "(no value yet)"

    def _unset(self, name: str) -> str:
        return f"{type(self).__name__}.{name} ({describe(self._types[name])}) has no value yet. Set it, or give it a default."

    def _type_of_field(self, name: str) -> Any:
        if name not in self._types:
            raise ConfigError(f"{type(self).__name__} has no field {name!r}.{did_you_mean(name, self._types)}")
        return self._types[name]

    def _checked(self, path: str, value: Any, kind: Any, convert: Callable[[Any, Any], Any]) -> Any:
        """What `convert(value, kind)` returns; a refusal becomes an error that names the field."""
        try:
            return convert(value, kind)
        except Misfit as error:
            message = f"{type(self).__name__}.{path} got {value!r} ({type(value).__name__}), expected {describe(kind)}."
            raise ConfigError(" ".join(filter(None, [message, _advice(value, kind), str(error)]))) from error
        except ArgumentError as error:
            raise ConfigError(f"{type(self).__name__}.{path}: {error}") from error

    def _override(self, path: list[str], text: str) -> None:
        name, *rest = path
        kind = self._type_of_field(name)
        if not rest:
            setattr(self, name, self._checked(name, text, Any if kind is type(None) else kind, parse))
            return
        if name not in self.__dict__:
            raise ConfigError(self._unset(name))
        part = self.__dict__[name]
        if isinstance(part, Config):
            part._override(rest, text)
            return
        try:
            setattr(self, name, replace_part(part, rest, text))
        except (Misfit, ArgumentError) as error:
            raise ConfigError(f"{type(self).__name__}.{'.'.join(path)} got {text!r}. {error}") from error


def _settled(kind: Any, value: Any) -> Any:
    """The type of a field; where the first value was None, the first other value settles it."""
    return type_of(value) | None if kind is type(None) and value is not None else kind


def _declared(config_class: type[Config]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The types and the default values of the fields in the bodies of a class and its parents, oldest first."""
    try:
        hints = get_type_hints(config_class, include_extras=True)
    except (NameError, AttributeError, TypeError) as error:
        raise ConfigError(f"The annotations of {config_class.__name__} cannot be read: {error}. Import the names that they use.") from error
    class_only = {name for name, hint in hints.items() if ClassVar in (hint, get_origin(hint))}
    kinds = {name: hint for name, hint in hints.items() if name not in class_only and not name.startswith("_")}
    defaults: dict[str, Any] = {}
    for parent in reversed(config_class.__mro__):
        for name, value in vars(parent).items():
            is_behaviour = hasattr(type(value), "__get__") or isinstance(value, type)  # Methods, properties, and classes within the class.
            if parent not in (object, Config) and name not in class_only and not name.startswith("_") and not is_behaviour:
                defaults[name] = value
    return kinds, defaults


def _advice(value: Any, kind: Any) -> str:
    if kind is int and type(value) is float:
        return "If fractions are meant, write its first value with a point (1.0), or annotate it as float."
    if value is None:
        return f"If None shall be allowed, annotate it in the class: `name: {describe(kind)} | None`."
    return ""
