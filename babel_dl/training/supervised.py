"""Training a model on pairs of inputs and outputs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from babel_dl.core.module import Module
from babel_dl.core.prediction import Predictor
from babel_dl.errors import ArgumentError
from babel_dl.ops import tree
from babel_dl.ops.tensor import Tensor
from babel_dl.training.callbacks.base import Callback
from babel_dl.training.optimizers.base import Optimizer
from babel_dl.training.steps import TOTAL_LOSS
from babel_dl.training.trainer import Trainer, as_loader

if TYPE_CHECKING:
    from babel_dl.core.config import Config


class SupervisedTrainer(Trainer):
    """Fits a model to a dataset: the model gets the input's fields by name, the loss gets prediction and truth.

        loss(model(**input), output)

    Args:
        model: What learns.
        loss: Returns the loss, a scalar, and logs metrics. Its own trainable variables, if it has any, learn as well.
        optimizer: How it learns.
        callbacks: What is told of the events; None for `default_callbacks()`, made anew for each trainer.
        log_every: After how many steps numbers are read from the device; at least 1.
        compile: "auto", "off", or a mode of the backend; see `babel_dl.compile`.
        config: Kept in checkpoints, for the record.

    Raises:
        ArgumentError: A part is of the wrong kind; a class where an instance is needed is the usual slip.
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
    ) -> None:
        super().__init__(callbacks, log_every, compile, config)
        for name, part, kind in (("model", model, Module), ("loss", loss, Module), ("optimizer", optimizer, Optimizer)):
            if not isinstance(part, kind):
                hint = f" Make one: {part.__name__}(...)." if isinstance(part, type) else ""
                raise ArgumentError(f"SupervisedTrainer needs {name} of class {kind.__name__}, and got {part!r}.{hint}")
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self._learns: list[Module] = [model, loss]

    def train_step(self, batch: Any) -> dict[str, Tensor]:
        """One step of the optimizer on the loss of a batch."""
        return {TOTAL_LOSS: self.minimize(lambda: self._loss_of(batch), over=self._learns, using=self.optimizer)}

    def evaluate_step(self, batch: Any) -> dict[str, Tensor]:
        """The loss of a batch."""
        return {TOTAL_LOSS: self._loss_of(batch)}

    def _loss_of(self, batch: Any) -> Tensor:
        inputs, outputs = batch
        return self.loss(self.model(**inputs._asdict()), outputs)

    def predict(self, data: Any) -> list[Any]:
        """The model's answers to all samples, in the order of the dataset, as numpy arrays without a batch axis.

        Args:
            data: A dataset, or a loader; the loader's batch size is used, its shuffling is not.
        """
        loader = as_loader(data)
        ordered = loader.dataset.to_dataloader(batch_size=loader.batch_size, shuffle=False)
        predictor = Predictor.of(self.model)
        answers: list[Any] = []
        for inputs, _ in ordered.batches(0, 0):
            batch = predictor.predict_batch(inputs._asdict())
            answers += split_batch(batch)
        return answers


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

