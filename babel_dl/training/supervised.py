"""Training a model on pairs of inputs and outputs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np

from babel_dl.core.module import Module
from babel_dl.core.native.adoption import as_module
from babel_dl.core.precision import FLOAT32
from babel_dl.core.prediction import Predictor
from babel_dl.errors import ArgumentError
from babel_dl.ops import tree
from babel_dl.ops.tensor import Tensor
from babel_dl.training.callbacks.base import Callback
from babel_dl.training.handover import Handover, takes_inputs, total_of
from babel_dl.training.inputs import as_loader
from babel_dl.training.optimizers.base import Optimizer
from babel_dl.training.pace import AUTO
from babel_dl.training.steps import TOTAL_LOSS
from babel_dl.training.trainer import Trainer

if TYPE_CHECKING:
    from babel_dl.core.config import Config


class SupervisedTrainer(Trainer):
    """Fits a model to a dataset: the model gets the input's fields by name, the loss gets prediction and truth.

        loss(model(**input), output)      or, if its `call` has a parameter of this name,      loss(model(**input), output, inputs=input)

    A single input reaches a model of a single parameter whatever the two are called. A loss may return named parts: a dict of scalars, each
    logged as `loss/<name>`, whose entry "loss" is the total; without it the sum is.

    Args:
        model: What learns; ours, or a module of the backend's framework.
        loss: Returns the loss, a scalar or a dict of scalars, and logs metrics. Its own trainable variables, if any, learn as well.
        optimizer: How it learns.
        callbacks: What is told of the events; None for `default_callbacks()`, made anew for each trainer.
        log_every: After how many steps numbers are read from the device; at least 1.
        compile: "auto", "off", or a mode of the backend; see `babel_dl.compile`.
        config: Kept in checkpoints, for the record.
        accumulate: Over how many steps gradients are averaged before the optimizer moves; 1 for every step.
        precision: In which type the model computes, where it does not say otherwise: "float32", "bfloat16" or "float16".
        steps_per_call: How many steps may run in one call, "auto" or a number; see `Trainer`.

    Raises:
        ArgumentError: A part is of the wrong kind; a class where an instance is needed is the usual slip. Or a number is below 1, or there
            is no such precision.
        CallbackError: A callback is none.
    """

    def __init__(
        self,
        model: Module,
        loss: Module,
        optimizer: Optimizer,
        callbacks: Sequence[Callback] | None = None,
        log_every: int = 100,
        compile: str = "auto",
        config: Config | None = None,
        accumulate: int = 1,
        precision: str | int = FLOAT32,
        steps_per_call: int | str = AUTO,
    ) -> None:
        super().__init__(callbacks, log_every, compile, config, accumulate=accumulate, precision=precision, steps_per_call=steps_per_call)
        model, loss = as_module(model), as_module(loss)
        for name, part, kind in (("model", model, Module), ("loss", loss, Module), ("optimizer", optimizer, Optimizer)):
            if not isinstance(part, kind):
                got = f"{_shown(part)}.{_way_out(name, part)}"
                raise ArgumentError(f"SupervisedTrainer needs {name} of class {kind.__name__}, and got {got}")
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self._learns: list[Module] = [model, loss]
        self._loss_takes_inputs = takes_inputs(loss)
        self._handover: Handover | None = None
        self._answering: tuple[Handover, Predictor] | None = None

    def prepare(self, batch: Any) -> None:
        """Builds what is not built, and compiles the steps.

        Args:
            batch: Arrays as a loader gives them; only names, shapes and types matter.

        Raises:
            DataError: The model takes no input of a name that the batch has, or needs another one.
        """
        self._handover = Handover.of(self.model, batch[0]._fields)
        super().prepare(batch)

    def train_step(self, batch: Any) -> dict[str, Tensor]:
        """One step of the optimizer on the loss of a batch."""
        return {TOTAL_LOSS: self.minimize(lambda: self._loss_of(batch), over=self._learns, using=self.optimizer)}

    def evaluate_step(self, batch: Any) -> dict[str, Tensor]:
        """The loss of a batch."""
        return {TOTAL_LOSS: self._loss_of(batch)}

    def _loss_of(self, batch: Any) -> Tensor:
        inputs, outputs = batch
        answer = (self._handover or Handover.of(self.model, inputs._fields))(inputs._asdict())
        return total_of(self.loss(answer, outputs, inputs=inputs) if self._loss_takes_inputs else self.loss(answer, outputs))

    def predict(self, data: Any) -> list[Any]:
        """The model's answers to all samples, in the order of the dataset, as numpy arrays without a batch axis.

        Args:
            data: A dataset, or a loader; the loader's batch size is used, its shuffling is not.

        Raises:
            DataError: The model takes no input of a name that the data has, or needs another one.
        """
        loader = as_loader(data)
        ordered = loader.dataset.to_dataloader(batch_size=loader.batch_size, shuffle=False)
        answers: list[Any] = []
        predictor: Predictor | None = None
        for inputs, _ in ordered.batches(0, 0):
            predictor = predictor or self._predictor_for(inputs._asdict())
            answers += split_batch(predictor.predict_batch(inputs._asdict()))
        return answers

    def _predictor_for(self, inputs: dict[str, Any]) -> Predictor:
        """What answers inputs of these names; kept for the next call, unless the model moved to another backend."""
        handover = Handover.of(self.model, tuple(inputs))
        handover.build(inputs)
        known = self._answering
        if known is None or known[0] != handover or known[1].backend is not self.model.backend:
            known = self._answering = (handover, handover.predictor())
        return known[1]


def split_batch(batch: Any) -> list[Any]:
    """The samples of a batch: arrays in any nest are cut along their first axis; what has none belongs to every sample.

    Raises:
        ArgumentError: The model returned no array with a batch axis, or arrays of different lengths.
    """
    lengths = {len(leaf) for leaf in tree.leaves(batch) if isinstance(leaf, np.ndarray) and leaf.ndim}
    if len(lengths) != 1:
        raise ArgumentError(f"predict cuts what the model returned into samples, and found batch axes of {sorted(lengths) or 'no array'}.")
    return [tree.map_leaves(partial(_sample, index), batch) for index in range(lengths.pop())]


def _sample(index: int, leaf: Any) -> Any:
    return leaf[index] if isinstance(leaf, np.ndarray) and leaf.ndim else leaf


def _shown(part: Any) -> str:
    plain = part is None or isinstance(part, (str, type, int, float, FunctionType, Module, Optimizer))
    return repr(part) if plain else f"an object of {type(part).__module__}.{type(part).__qualname__}"


def _way_out(name: str, part: Any) -> str:
    """What to hand over instead of a part of the wrong kind, by the kind that came."""
    if isinstance(part, type):
        return f" Make one: {part.__name__}(...)."
    if isinstance(part, str):
        return f" Names go with babel_dl.fit(data, model, {name}={part!r}); here hand over an object."
    if name == "optimizer":
        return " Give one of babel_dl.training.optimizers, such as Adam(1e-3); it moves the weights of native modules, too."
    if name == "loss" and callable(part):
        return " Derive from babel_dl.training.losses.Loss, and write call(self, y_pred, y_true); babel_dl.fit takes functions, too."
    return ""
