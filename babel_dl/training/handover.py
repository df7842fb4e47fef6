"""How a trainer hands a batch to its model and its loss: looked up once in their signatures, and not at every step."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from babel_dl.core.logged import log_value
from babel_dl.core.module import Module
from babel_dl.core.prediction import Predictor
from babel_dl.errors import ArgumentError, DataError, did_you_mean
from babel_dl.ops.tensor import TensorLike

TOTAL = "loss"
"""The key under which a loss with named parts gives their total."""

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_PLACED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)


@dataclass(frozen=True)
class Handover:
    """How the inputs of a batch reach a model.

    Attributes:
        model: Who gets them.
        by_place: Whether the only input is handed over by its place, because the model calls it otherwise; else all go by name.
    """

    model: Module
    by_place: bool

    @classmethod
    def of(cls, model: Module, fields: Sequence[str]) -> Handover:
        """The way for inputs of these names. By name; a single input may have any name if the model takes a single one.

        Raises:
            DataError: The model takes no input of a name, or needs one that is not there; the nearest name is offered.
        """
        parameters = _parameters(model)
        if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
            return cls(model, False)  # it sorts names out by itself, as native modules do
        names = [name for name, parameter in parameters.items() if parameter.kind in _NAMED]
        needed = [name for name, parameter in parameters.items() if parameter.kind in _NAMED and parameter.default is parameter.empty]
        unknown, missing = [name for name in fields if name not in names], [name for name in needed if name not in fields]
        if not unknown and not missing:
            return cls(model, False)
        if len(fields) == 1 and len(needed) <= 1 and parameters and next(iter(parameters.values())).kind in _PLACED:
            return cls(model, True)
        raise DataError(_misfit(model, fields, names, unknown, missing))

    def __call__(self, inputs: Mapping[str, Any]) -> Any:
        """What the model answers.

        Args:
            inputs: By name.
        """
        return self.model(*inputs.values()) if self.by_place else self.model(**inputs)

    def build(self, inputs: Mapping[str, Any]) -> None:
        """Builds the model on arrays by name, if it is not built."""
        if not self.model.is_built:
            self.model.build_from(*inputs.values()) if self.by_place else self.model.build_from(**inputs)

    def predictor(self) -> Predictor:
        """What answers batches of numpy arrays by name."""
        return Predictor(self.model, self) if self.by_place else Predictor.of(self.model)


def takes_inputs(loss: Any) -> bool:
    """Whether the loss asks for the inputs of the batch as well, by a parameter `inputs`.

    Args:
        loss: A module, or a function.

    Raises:
        ArgumentError: It needs something else than prediction, truth and `inputs`.
    """
    parameters = _parameters(loss)
    placed = [p for p in parameters.values() if p.kind in _PLACED and p.name != "inputs"]
    extra = [p for p in [*placed[2:], *(q for q in parameters.values() if q.kind is q.KEYWORD_ONLY)] if p.name != "inputs"]
    for parameter in extra:
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL:
            raise ArgumentError(
                f"The loss {_title(loss)} needs {parameter.name!r}, and a trainer hands over prediction and truth, and the inputs of the "
                f"batch to a parameter called inputs.\n  Write: def call(self, y_pred, y_true, inputs)"
            )
    return "inputs" in parameters


def total_of(value: Any) -> Any:
    """The loss that is made small: a scalar as it is; of named parts the total, after each part was logged as `loss/<name>`.

    Args:
        value: What a loss returned. In a dict, "loss" is the total; without it the total is the sum of the parts.

    Raises:
        ArgumentError: There is no part, or a name is no text, or taken by the total.
        ShapeError: A part is no scalar.
    """
    if not isinstance(value, dict):
        return value
    parts = {name: part for name, part in value.items() if name != TOTAL}
    for name, part in parts.items():
        if not isinstance(name, str) or name == "total":
            raise ArgumentError(f"A part of a loss is named by a text other than 'total', and one is {name!r}. The total is {TOTAL!r}.")
        log_value(f"loss/{name}", part)
    if TOTAL in value:
        return value[TOTAL]
    if not parts:
        raise ArgumentError(f"A loss returned a dict without parts. Return a scalar, or named scalars and their total as {TOTAL!r}.")
    return reduce(lambda total, part: total + part, parts.values())


def mean_of(value: Any) -> Any:
    """A loss or metric of many elements as one scalar: the mean of each tensor, in a dict of each part."""
    if isinstance(value, dict):
        return {name: mean_of(part) for name, part in value.items()}
    return value.mean() if isinstance(value, TensorLike) and value.ndim else value


def _parameters(callee: Any) -> Mapping[str, inspect.Parameter]:
    """What a module's `call`, or a function, takes; nothing is known of a callable written in C."""
    try:
        return inspect.signature(callee.call if isinstance(callee, Module) else callee).parameters
    except (TypeError, ValueError):
        return inspect.signature(lambda *args, **kwargs: None).parameters


def _title(callee: Any) -> str:
    return getattr(callee, "__name__", type(callee).__name__)


def _misfit(model: Module, fields: Sequence[str], names: Sequence[str], unknown: Sequence[str], missing: Sequence[str]) -> str:
    who, taken = f"{type(model).__name__}.call", ", ".join(names) or "nothing"
    if unknown:
        what = f"The dataset's input has the field {unknown[0]!r}, which {who} does not take.{did_you_mean(unknown[0], names)}"
    else:
        what = f"{who} needs {missing[0]!r}, which the dataset's input has not.{did_you_mean(missing[0], fields)}"
    return f"{what}\n  The fields are {', '.join(fields)}; call takes {taken}. Rename a field of the named tuple, or a parameter of call."
