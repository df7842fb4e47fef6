"""The trainer: owns modules, optimizers and callbacks, and runs the loop over steps that its subclass defines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from babel_dl.backend import Backend, current_backend
from babel_dl.core import logging
from babel_dl.core.compilation import check_mode
from babel_dl.core.gradients import trainable_variables, value_and_grad
from babel_dl.core.module import Module
from babel_dl.core.random import current_seed
from babel_dl.core.variable import Variable, dry_run, is_dry_run
from babel_dl.data import Dataset
from babel_dl.errors import ArgumentError, DataError
from babel_dl.ops import tree
from babel_dl.ops.dispatch import narrow, wrap_natives
from babel_dl.ops.tensor import Tensor
from babel_dl.training import loop, state
from babel_dl.training.callbacks.base import Callback
from babel_dl.training.callbacks.dispatch import CallbackList
from babel_dl.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from babel_dl.training.checkpoint.store import LATEST
from babel_dl.training.diagnosis import explain_non_finite
from babel_dl.training.holding import held_parts
from babel_dl.training.metrics.streaming import StreamingMeans
from babel_dl.training.optimizers.base import Optimizer
from babel_dl.training.progress import Progress
from babel_dl.training.steps import compile_step, run_step

if TYPE_CHECKING:
    from babel_dl.core.config import Config

_OWN_NOTES = ("_scopes", "_plan")
"""Attributes in which a trainer keeps notes about its parts; these are not searched for parts."""


class Trainer(ABC):
    """Runs steps over data. A subclass keeps modules and optimizers in attributes, and writes `train_step` and `evaluate_step`.

    Args:
        callbacks: What is told of the events; None for `default_callbacks()`, made anew for each trainer.
        log_every: After how many steps numbers are read from the device; at least 1.
        compile: "auto", "off", or a mode of the backend; see `babel_dl.compile`.
        config: Kept in checkpoints, for the record.

    Attributes:
        progress: Where training stands.
        metrics: Means over the current epoch so far.

    Raises:
        ArgumentError: `log_every` is below 1.
        CallbackError: A callback is none.
    """

    def __init__(
        self,
        callbacks: Sequence[Callback] | None = None,
        log_every: int = 100,
        compile: str = "auto",
        config: Config | None = None,
    ) -> None:
        if not isinstance(log_every, int) or log_every < 1:
            raise ArgumentError(f"{type(self).__name__} needs log_every of at least 1, and got {log_every!r}.")
        from babel_dl.training.callbacks import default_callbacks

        self.callbacks = CallbackList(default_callbacks() if callbacks is None else callbacks)
        self.log_every = log_every
        self.compile_mode = compile
        self.config = config
        self.seed = current_seed()
        self.progress = Progress()
        self.metrics = StreamingMeans()
        self.compiled_train_step: Callable[[Any], dict[str, Any]] = self._not_ready
        self.compiled_evaluate_step: Callable[[Any], dict[str, Any]] = self._not_ready
        self._scopes: dict[tuple[int, ...], tuple[list[Module | Variable], list[Variable]]] = {}
        self._plan: object = None
        self._train_loader: Any = None

    # ---------------------------------------------------------------- what a subclass writes

    @abstractmethod
    def train_step(self, batch: Any) -> Any:
        """One training step on a batch of tensors, for all backends, compiled by each.

        Returns:
            The total loss as a scalar tensor, or a dict of named scalars. Values logged in losses are added to them.
        """

    @abstractmethod
    def evaluate_step(self, batch: Any) -> Any:
        """The same numbers without learning; runs in evaluation mode."""

    # ---------------------------------------------------------------- what a step uses

    def minimize(self, fn: Callable[[], Tensor], over: Module | Sequence[Module | Variable], using: Optimizer) -> Tensor:
        """Computes a loss, its gradients with respect to the variables of `over`, and makes one step of the optimizer.

        Args:
            fn: Takes nothing, returns the loss, a scalar.
            over: Whose trainable variables learn. Others are constants here.
            using: The optimizer.

        Returns:
            The loss before the step.

        Raises:
            GradientError: Nothing of `over` can learn, or the loss does not depend on one of its variables; it is named.
        """
        holders: list[Module | Variable] = [over] if isinstance(over, (Module, Variable)) else list(over)
        if is_dry_run():
            value = fn()
            using.prepare(_named(holders))
            return value
        key = (id(using), *map(id, holders))
        if key not in self._scopes:
            using.prepare(_named(holders))
            self._scopes[key] = (holders, trainable_variables(holders))  # with the holders, so that their ids stay theirs
        variables = self._scopes[key][1]
        value, gradients = value_and_grad(fn, variables)
        using.apply(gradients, variables)
        return value

    # ---------------------------------------------------------------- what it holds

    @property
    def modules(self) -> dict[str, Module]:
        """The modules in attributes and in lists, tuples and dicts there, by name: `model`, `critics/0`."""
        return held_parts(self, Module, _OWN_NOTES)

    @property
    def optimizers(self) -> dict[str, Optimizer]:
        """The optimizers in attributes and in lists, tuples and dicts there, by name."""
        return held_parts(self, Optimizer, _OWN_NOTES)

    @property
    def variables(self) -> dict[str, Variable]:
        """The variables in attributes and in lists, tuples and dicts there that belong to no module, by name."""
        return held_parts(self, Variable, _OWN_NOTES)

    @property
    def backend(self) -> Backend:
        """Where the modules' variables live; the backend in force if they are not built."""
        variables = (variable for module in self.modules.values() for variable in module.variables)
        first = next(variables, None)
        return first.backend if first is not None else current_backend()

    @property
    def step(self) -> int:
        """Training steps made so far."""
        return self.progress.step

    @property
    def epoch(self) -> int:
        """Epochs finished so far; the number of the current one, counted from 0."""
        return self.progress.epoch

    def stop(self, reason: str) -> None:
        """Asks the loop to end after the step in work, as a callback does.

        Args:
            reason: For the log.
        """
        self.progress.stop_reason = reason

    def read_metrics(self) -> None:
        """Fetches the numbers of the last steps from the device.

        Raises:
            NonFiniteError: One is NaN or infinite; epoch, step and part are named, and the cause where the batch shows it.
        """
        bad = self.metrics.flush()
        if bad is not None:
            raise explain_non_finite(self, self._train_loader, *bad)

    # ---------------------------------------------------------------- what it is used for

    def fit(self, train_data: Any, dev_data: Any | None = None, epochs: int = 1, resume: bool | str | Path = False) -> dict[str, float]:
        """Trains until `epochs` epochs are done, counted from the trainer's first: a second call goes on, it does not start over.

        Args:
            train_data: A loader, or a dataset (which gets one with its default settings).
            dev_data: The same for evaluation after each epoch; None for none.
            epochs: At which epoch to end; at least 1.
            resume: A checkpoint's path to go on from; True for the latest one of this trainer's `CheckpointCallback`.

        Returns:
            The means of the last epoch: on the dev data, or else on the training data. If no epoch is left, those of an evaluation.

        Raises:
            ArgumentError: `epochs` is below 1, or there is no checkpoint callback to resume from.
            DataError: A dataset is empty, or training stands in the middle of an epoch that has another number of batches.
            NonFiniteError: A number became NaN or infinite.
            CheckpointError: The checkpoint to resume from cannot be used; with True a damaged one is replaced by the one before.
            CallbackError: A callback failed whose failure stops the run.
            KeyboardInterrupt: Ctrl-C; callbacks were told, and a checkpoint was written if there is a callback for it.
        """
        if not isinstance(epochs, int) or epochs < 1:
            raise ArgumentError(f"fit needs epochs of at least 1, and got {epochs!r}.")
        train_loader, dev_loader = as_loader(train_data), None if dev_data is None else as_loader(dev_data)
        self._train_loader = train_loader
        self.prepare(example_batch(train_loader))
        if resume:
            state.restore(self, self._checkpoint_to_resume(resume))
        self.progress.enter(epochs, len(train_loader))
        if self.progress.epoch >= epochs:
            logging.info(f"Nothing to train: {self.progress.epoch} epochs are done, and {epochs} were asked for in all.")
            return loop.evaluate(self, train_loader if dev_loader is None else dev_loader)
        return loop.run_fit(self, train_loader, dev_loader)

    def evaluate(self, data: Any) -> dict[str, float]:
        """The means of all numbers over all samples of a loader or dataset, in evaluation mode.

        Raises:
            DataError: The dataset is empty.
            NonFiniteError: A number is NaN or infinite.
        """
        loader = as_loader(data)
        self.prepare(example_batch(loader))
        return loop.evaluate(self, loader)

    def prepare(self, batch: Any) -> None:
        """Builds what is not built, and compiles the steps.

        Args:
            batch: Arrays as a loader gives them; only shapes and types matter.
        """
        backend = self.backend
        check_mode(backend, self.compile_mode)
        self.callbacks.tell("on_prepare", self)
        if not any(module.variables for module in self.modules.values()):
            logging.info("Build Model")
        self._build(batch, backend)
        self.compile_steps()

    def compile_steps(self) -> None:
        """Compiles the steps, again only if something was frozen, thawed or set moving since. The loop asks before each epoch."""
        backend = self.backend
        learning = [(id(v), v.trainable) for module in self.modules.values() for v in module.variables]
        plan = (backend, learning, [optimizer.moving_names for optimizer in self.optimizers.values()])
        if plan == self._plan:
            return
        self._plan = plan
        self._scopes.clear()
        self.compiled_train_step = compile_step(self.train_step, backend, self.compile_mode)
        self.compiled_evaluate_step = compile_step(self.evaluate_step, backend, self.compile_mode)

    def _build(self, batch: Any, backend: Backend) -> None:
        leaves = [leaf[:1] if isinstance(leaf, np.ndarray) else leaf for leaf in tree.leaves(narrow(batch))]

        def run(*natives: Any) -> None:
            handles = iter(natives)
            run_step(self.train_step, wrap_natives(tree.map_leaves(lambda leaf: next(handles), batch), backend))

        with dry_run():
            backend.trace_shapes(run, *leaves)

    def _not_ready(self, batch: Any) -> dict[str, Any]:
        raise ArgumentError(f"{type(self).__name__} is not prepared. Call fit, evaluate, or prepare(batch) first.")

    # ---------------------------------------------------------------- checkpoints

    def save(self, path: str | Path) -> None:
        """Writes all that is needed to go on, on any backend, into one file; the file before stays until the new one is whole.

        Raises:
            CheckpointError: The file cannot be written.
        """
        self.metrics.flush()
        write_checkpoint(path, *state.capture(self))

    def load(self, path: str | Path) -> None:
        """Takes everything over from a checkpoint, written on any backend. The trainer must be prepared; `fit(resume=path)` does both.

        Raises:
            CheckpointError: The file is damaged, or does not fit; nothing is changed then.
        """
        state.restore(self, read_checkpoint(path))

    def _checkpoint_to_resume(self, resume: bool | str | Path) -> Checkpoint:
        if resume is not True:
            return read_checkpoint(str(resume))
        from babel_dl.training.callbacks.checkpoint_callback import CheckpointCallback

        for callback in self.callbacks.callbacks:
            if isinstance(callback, CheckpointCallback):
                return callback.store.load(LATEST)
        raise ArgumentError("fit(resume=True) looks for a CheckpointCallback among the callbacks, and there is none. Give a path instead.")


def as_loader(data: Any) -> Any:
    """A loader for a dataset; a loader is returned as it is.

    Raises:
        DataError: It is neither.
    """
    if isinstance(data, Dataset):
        return data.to_dataloader()
    if not hasattr(data, "batches"):
        raise DataError(f"A trainer needs a Dataset or its loader, and got {type(data).__name__}. Make one: dataset.to_dataloader().")
    return data


def example_batch(loader: Any) -> Any:
    """A batch of one sample, to build modules with; read in this process, whatever workers the loader has.

    Raises:
        DataError: The dataset is empty, or the sample cannot be made.
    """
    if isinstance(getattr(loader, "dataset", None), Dataset):
        loader = loader.dataset.to_dataloader(batch_size=1, shuffle=False, prefetch=0)
    return next(iter(loader.batches(0, 0)))


def _named(scope: Sequence[Module | Variable]) -> dict[str, Variable]:
    """The trainable variables of a scope by the names under which an optimizer keeps their state."""
    named: dict[str, Variable] = {}
    for index, holder in enumerate(scope):
        below = holder.named_variables if isinstance(holder, Module) else {holder.path: holder}
        for path, variable in below.items():
            if variable.trainable:
                named[path if named.get(path, variable) is variable else f"/{index}{path}"] = variable
    return named
