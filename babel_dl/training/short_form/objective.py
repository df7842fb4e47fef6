"""What a training by `babel_dl.fit` makes small and measures: a loss or several, and metrics, each handed what it takes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

from babel_dl.core.module import Module
from babel_dl.core.native.adoption import as_module
from babel_dl.core.registry import LOSSES, METRICS, Registry, spelled
from babel_dl.errors import ArgumentError, did_you_mean
from babel_dl.ops.dispatch import returns_handles
from babel_dl.ops.tensor import TensorLike
from babel_dl.training.handover import TOTAL, mean_of, takes_inputs
from babel_dl.training.losses import Loss
from babel_dl.training.short_form.feeding import ArrayInput, ArrayOutput
from babel_dl.training.short_form.resolving import NAME, make

Pick = Callable[[Any], Any]


class Pair(NamedTuple):
    """How one tensor is taken out of what a model answered, and the one it is compared with out of what the dataset says."""

    predicted: Pick
    true: Pick

    @classmethod
    def of(cls, y_pred: Any, y_true: Any, field: str | None, who: str) -> Pair:
        """The pair of a field of the dataset's output. The model answers it under the same name, or answers one tensor alone.

        Args:
            y_pred: What the model answered; only its structure matters.
            y_true: What the dataset says.
            field: Which field; None for the only one.
            who: Who compares them, for messages.

        Raises:
            ArgumentError: No or several fields could be meant; they are named.
        """
        wanted, answered = fields_of(y_true), fields_of(y_pred)
        if field is None:
            if len(wanted) != 1:
                found = f"has the fields {', '.join(wanted)}" if wanted else "has no field"
                hint = f"Name a field: {{{next(iter(wanted))!r}: {who!r}}}." if wanted else "Write one that needs none, with `inputs`."
                raise ArgumentError(f"{who} compares two tensors, and the dataset's output {found}.\n  {hint}")
            field = next(iter(wanted))
        if field not in wanted:
            raise ArgumentError(f"{who} is to compare {field!r}, which the dataset's output has not.{did_you_mean(field, wanted)}")
        if not answered:
            return cls(_itself, wanted[field])
        if field in answered or len(answered) == 1:
            return cls(answered.get(field, next(iter(answered.values()))), wanted[field])
        raise ArgumentError(
            f"{who} compares {field!r} of the dataset with what the model answers, and the model answers {', '.join(answered)}.\n"
            f"  Call one of them {field!r}, or write a Loss that gets all: def call(self, y_pred, y_true): ..."
        )


class Term:
    """A loss or a metric, handed what it takes, as one scalar: the mean over what it gives. Of named parts the mean of each.

    It gets one tensor of each side if it compares tensors (`compares_tensors`, all of ours), or if a field is named; else all that the
    model answered and the dataset says. `inputs` is handed over where there is a parameter of this name.

    Args:
        function: A module or a function of prediction, truth, and perhaps `inputs`.
        title: What messages call it.
        field: Which field of the dataset's output it is about; None for the only one, or for all.

    Raises:
        ArgumentError: The function needs something else.
    """

    def __init__(self, function: Callable[..., Any], title: str, field: str | None = None) -> None:
        self.function = function if isinstance(function, Module) else returns_handles(function)
        self.title = title
        self.field = field
        self.compares = field is not None or bool(getattr(function, "compares_tensors", False))
        self.takes_inputs = takes_inputs(function)
        self._pair = Pair(_itself, _unwrapped)

    def look(self, y_pred: Any, y_true: Any) -> None:
        """Finds out once which tensors are meant; later batches look the same."""
        if self.compares:
            self._pair = Pair.of(y_pred, y_true, self.field, self.title)

    def __call__(self, y_pred: Any, y_true: Any, inputs: Any) -> Any:
        """The mean."""
        pair = (self._pair.predicted(y_pred), self._pair.true(y_true))
        return mean_of(self.function(*pair, inputs=_unwrapped(inputs)) if self.takes_inputs else self.function(*pair))


class Objective(Loss):
    """A loss with metrics beside it, which are logged as `metrics/<name>`.

    Args:
        losses: One, or one for each of several fields; then their sum is made small, and each is a part of its name.
        metrics: By name.
    """

    def __init__(self, losses: Mapping[str, Term], metrics: Mapping[str, Term]) -> None:
        super().__init__()
        self.losses = {name: term.function for name, term in losses.items()}  # here modules are found, and get their place
        self.metrics = {name: term.function for name, term in metrics.items()}
        self._small, self._measured = dict(losses), dict(metrics)

    def build(self, y_pred: Any, y_true: Any, inputs: Any) -> None:
        """Finds out what each part is to be handed."""
        for term in (*self._small.values(), *self._measured.values()):
            term.look(y_pred, y_true)

    def call(self, y_pred: Any, y_true: Any, inputs: Any) -> Any:
        """The loss, or its named parts."""
        for name, metric in self._measured.items():
            value = metric(y_pred, y_true, inputs)
            parts = value if isinstance(value, dict) else {"": value}
            for part, number in parts.items():
                self.log(f"metrics/{name}/{part}".rstrip("/"), number)
        if len(self._small) == 1:
            return next(iter(self._small.values()))(y_pred, y_true, inputs)
        return {name: self._total(name, loss(y_pred, y_true, inputs)) for name, loss in self._small.items()}

    def _total(self, name: str, value: Any) -> Any:
        """The total of a loss that gives named parts, which are logged below the loss's own name."""
        if not isinstance(value, dict):
            return value
        for part, number in value.items():
            if part != TOTAL:
                self.log(f"loss/{name}/{part}", number)
        return value[TOTAL] if TOTAL in value else sum(value.values())


def fields_of(structure: Any) -> dict[str, Pick]:
    """The fields of a named tuple, a dict or a dataclass, each with the way to it; none of a tensor."""
    if isinstance(structure, Mapping):
        return {name: itemgetter(name) for name in structure}
    if dataclasses.is_dataclass(structure) and not isinstance(structure, TensorLike):
        return {each.name: attrgetter(each.name) for each in dataclasses.fields(structure)}
    names = getattr(structure, "_fields", ())
    if isinstance(structure, (tuple, list)) and not hasattr(structure, "_fields"):
        return {str(place): itemgetter(place) for place in range(len(structure))}
    return {name: attrgetter(name) for name in names}


def _itself(value: Any) -> Any:
    return value


def _unwrapped(part: Any) -> Any:
    """The array itself where the user gave one array without a name."""
    return part[0] if isinstance(part, (ArrayInput, ArrayOutput)) else part



def make_objective(loss: Any, metrics: Any) -> tuple[Objective, dict[str, Any], dict[str, Any]]:
    """A loss and metrics from what a user names.

    Args:
        loss: A name, a class, an object, a function, a dict such as `{"loss": "cross_entropy", "label_smoothing": 0.1}`; or a dict of these
            by fields of the dataset's output.
        metrics: The same, or a list; None for none.

    Returns:
        The objective, and what was chosen as plain data: of the loss, and of the metrics.

    Raises:
        ArgumentError: A name or an argument is unknown, or something cannot be called.
    """
    losses, of_losses = _terms(LOSSES, loss)
    measures, of_metrics = _terms(METRICS, [] if metrics is None else metrics)
    return Objective(losses, measures), of_losses, of_metrics


def _terms(registry: Registry, spec: Any) -> tuple[dict[str, Term], dict[str, Any]]:
    by_field = isinstance(spec, Mapping) and NAME not in spec and registry.kind not in spec
    if by_field:
        wanted = [(field, one) for field, some in spec.items() for one in (some if isinstance(some, (list, tuple)) else [some])]
    else:
        wanted = [(None, one) for one in (spec if isinstance(spec, (list, tuple)) else [spec])]
    terms: dict[str, Term] = {}
    settings: dict[str, Any] = {}
    for field, one in wanted:
        made = make(registry, one)
        function = as_module(made.part)
        if not callable(function):
            raise ArgumentError(f"The {registry.kind} {made.title!r} is {function!r}, which cannot be called with prediction and truth.")
        name = _free(spelled(made.title) if field is None else field if registry is LOSSES else f"{field}/{spelled(made.title)}", terms)
        terms[name] = Term(function, made.title, field)
        settings[name] = {NAME: made.title, **made.settings}
    return terms, settings


def _free(name: str, taken: Mapping[str, Any]) -> str:
    """The name, or the next one that is free: `top_k_2`."""
    numbered = (f"{name}_{count}" for count in range(2, len(taken) + 2))
    return name if name not in taken else next(other for other in numbered if other not in taken)
