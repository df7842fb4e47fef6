"""The trainer: owns modules, optimizers and callbacks, and runs the loop over steps that its subclass defines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from babel_dl.backend import Backend, current_backend
from babel_dl.core import logging
from babel_dl.core.compilation import check_mode
from babel_dl.core.logged import log_value
from babel_dl.core.native.adoption import adopt_natives
from babel_dl.core.precision import FLOAT32, find_precision, inherit_precision, policies_of, release_precision, uses_float16
from babel_dl.core.random import current_seed
from babel_dl.core.variable import Variable
from babel_dl.errors import ArgumentError
from babel_dl.ops.tensor import TensorLike
from babel_dl.training import loop, rehearsal, state
from babel_dl.training.callbacks.base import Callback
from babel_dl.training.callbacks.dispatch import CallbackList
from babel_dl.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from babel_dl.training.checkpoint.store import LATEST
from babel_dl.training.diagnosis import explain_non_finite
from babel_dl.training.holding import PartsHolder
from babel_dl.training.inputs import as_loader, example_batch
from babel_dl.training.limits import Limits
from babel_dl.training.loss_scaling import DynamicLossScale
from babel_dl.training.metrics.streaming import StreamingMeans
from babel_dl.training.optimizers.base import Optimizer
from babel_dl.training.pace import AUTO, check_steps_per_call
from babel_dl.training.phases import Phases
from babel_dl.training.progress import Progress
from babel_dl.training.scopes import Scope
from babel_dl.training.steps import CompiledStep, advised_mode, build_by_step, missing_evaluation
from babel_dl.training.times import Times
from babel_dl.training.updates import Updates

if TYPE_CHECKING:
    from babel_dl.core.config import Config


class Trainer(PartsHolder, ABC):
    """Runs steps over data. A subclass keeps modules and optimizers in attributes, and writes `train_step`; for dev data `evaluate_step`.

    Args:
        callbacks: What is told of the events; None for `default_callbacks()`, made anew for each trainer.
        log_every: After how many steps numbers are read from the device; at least 1.
        compile: "auto", "off", or a mode of the backend; see `babel_dl.compile`.
        config: Kept in checkpoints, for the record.
        optimizers: By name, for `minimize(..., using=name)`. They may as well be kept in attributes.
        accumulate: Over how many steps gradients are averaged before an optimizer moves; 1 for every step.
        precision: In which type its modules compute, where they do not say otherwise: "float32", "bfloat16" or "float16".
        steps_per_call: How many steps a backend that can may run in one call. "auto" finds out; nothing else changes with it: numbers,
            logs, checkpoints and callbacks are those of 1.

    Attributes:
        progress: Where training stands.
        metrics: Means over the current epoch so far.
        usual_batch: Samples in a batch of its training loader; 0 where the loader does not say.
        epoch_times: How long the training part of the current epoch waited for data, computed, and told callbacks.
        accumulated: Sums of gradients that wait for their optimizer, by name; empty without `accumulate`.
        loss_scale: What keeps gradients in the range of float16; None while no module computes in it. A `DynamicLossScale` of one's
            own may be set before training.

    Raises:
        ArgumentError: `log_every`, `accumulate` or `steps_per_call` is below 1, an optimizer is none, or there is no such precision.
        CallbackError: A callback is none.
    """

    def __init__(
        self,
        callbacks: Sequence[Callback] | None = None,
        log_every: int = 100,
        compile: str = "auto",
        config: Config | None = None,
        optimizers: Mapping[str, Optimizer] | None = None,
        accumulate: int = 1,
        precision: str | int = FLOAT32,
        steps_per_call: int | str = AUTO,
    ) -> None:
        for name, count in (("log_every", log_every), ("accumulate", accumulate)):
            if not isinstance(count, int) or count < 1:
                raise ArgumentError(f"{type(self).__name__} needs {name} of at least 1, and got {count!r}.")
        from babel_dl.training.callbacks import default_callbacks

        self.callbacks = CallbackList(default_callbacks() if callbacks is None else callbacks)
        self.log_every = log_every
        self.steps_per_call = check_steps_per_call(type(self).__name__, steps_per_call)
        self.compile_mode = compile
        self.config = config
        self.usual_batch = 0
        self._advised = compile
        self.seed = current_seed()
        self.progress = Progress()
        self.metrics = StreamingMeans()
        self.epoch_times = Times()
        self.compiled_train_step: Callable[[Any], dict[str, Any]] = self._not_ready
        self.compiled_evaluate_step: Callable[[Any], dict[str, Any]] = self._not_ready
        self.accumulate = accumulate
        self.accumulated: dict[str, Variable] = {}
        self.precision = find_precision(precision)
        self.loss_scale: DynamicLossScale | None = None
        self.optimizers = optimizers or {}
        self.phases = Phases()
        self._updates = Updates(self)
        self._plan: object = None
        self._train_loader: Any = None

    # ---------------------------------------------------------------- what a subclass writes

    @abstractmethod
    def train_step(self, batch: Any) -> Any:
        """One training step on a batch of tensors, for all backends, compiled by each. Only `minimize` in it lets something learn.

        Returns:
            What is reported: the total loss as a scalar tensor, a dict of named scalars, or None. What was logged is added to it.
        """

    def evaluate_step(self, batch: Any) -> Any:
        """The same numbers without learning, for dev data; runs in evaluation mode. Without dev data it need not be written."""
        raise ArgumentError(missing_evaluation(self))

    # ---------------------------------------------------------------- what a step uses

    def minimize(
        self, fn: Callable[[], Any], over: Scope | None = None, using: Optimizer | str | None = None, has_aux: bool = False
    ) -> Any:
        """Computes a loss, its gradients with respect to the variables of `over`, and makes one step of the optimizer.

        Two optimizers may work on one variable: each has its own state, and the updates are made in the order of the calls.

        Args:
            fn: Takes nothing, returns the loss, a scalar; with `has_aux` a pair of the loss and any nest of tensors.
            over: Whose trainable variables learn; others are constants here. A module, a variable, a list of these, an attribute path
                (`"generator"`, `"critics/0"`) or a pattern over variable paths (`"generator/*/weight"`). None for what `using` names,
                or, where that is no name, for all that the trainer holds.
            using: The optimizer or its name. None for the one of the name in `over`, or of its beginning (`"generator"` for
                `"generator/*/weight"`); where `over` is no name, for the only one.

        Returns:
            The loss before the step; with `has_aux` the pair.

        Raises:
            ArgumentError: A name or pattern means nothing here, `using` is no optimizer, `fn` is no function, or the loss is no tensor.
            GradientError: Nothing of `over` can learn, or the loss does not depend on one of its variables; it is named.
            ShapeError: The loss is not a scalar.

        Example: `self.minimize(lambda: self.loss(self.critic(x)), over="critic")` in a trainer that was made with
        `optimizers={"critic": Adam(1e-4)}`.
        """
        return self._updates.minimize(fn, over, using, has_aux)

    def log(self, name: str, value: TensorLike | float) -> None:
        """Reports a scalar beside what the step returns. It stays on the device until numbers are read.

        Args:
            name: Its name, such as "metrics/distance".
            value: The mean over the samples of the batch.

        Raises:
            ShapeError: The value is not a scalar.
        """
        log_value(name, value)

    def every(self, period: int, offset: int = 0) -> bool:
        """Whether this step is one of every `period` steps: a Python bool, for an `if` in `train_step`. In evaluation always true.

            if self.every(5):       # one step of the generator for five of the critic
                numbers["loss/generator"] = self.minimize(...)

        Args:
            period: How many steps from one to the next; at least 1.
            offset: Which of them, from 0: the first step is 0.

        Raises:
            ArgumentError: `period` is below 1, or the trainer accumulates gradients over steps, which would not fit.
        """
        if self.accumulate > 1:
            raise ArgumentError("every(n) and accumulate do not go together: an optimizer that moves seldom would miss its steps.")
        return self.phases.is_due(period, offset)

    # ---------------------------------------------------------------- what it holds

    @property
    def can_evaluate(self) -> bool:
        """Whether `evaluate_step` is written."""
        return type(self).evaluate_step is not Trainer.evaluate_step

    @property
    def backend(self) -> Backend:
        """Where the modules' variables live; the backend in force if they are not built."""
        variables = (variable for module in self.modules.values() for variable in module.variables)
        first = next(variables, None)
        return first.backend if first is not None else current_backend()

    @property
    def train_mode(self) -> str:
        """How the training step is compiled: as was asked for, or, for "auto", in the mode that pays for a run as long as this one."""
        return self._advised if self.compile_mode == "auto" else self.compile_mode

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

    def fit(
        self,
        train_data: Any,
        dev_data: Any | None = None,
        epochs: int | None = None,
        resume: bool | str | Path = False,
        *,
        steps: int | None = None,
        max_time: float | timedelta | None = None,
        debug: bool = False,
    ) -> dict[str, float]:
        """Trains until the first limit is reached. Epochs and steps count from the trainer's first: a second call goes on.

        Args:
            train_data: A loader, or a dataset (which gets one with its default settings).
            dev_data: The same for evaluation after each epoch; None for none.
            epochs: At which epoch to end; at least 1. Without any limit it is 1.
            resume: A checkpoint's path to go on from; True for the latest one of this trainer's `CheckpointCallback`.
            steps: At which step to end, in the middle of an epoch as well; the dev data are evaluated then.
            max_time: How long this call may train, in seconds or as a `timedelta`; looked at after each step.
            debug: Whether to try one step of each phase and a checkpoint first. It leaves no trace in the numbers.

        Returns:
            The means of the last epoch: on the dev data, or else on the training data. If nothing is left, those of an evaluation.

        Raises:
            ArgumentError: A limit is out of its range, there is no checkpoint callback to resume from, or there are dev data and
                `evaluate_step` is not written.
            DataError: A dataset is empty, or training stands in the middle of an epoch that has another number of batches.
            NonFiniteError: A number became NaN or infinite.
            CheckpointError: The checkpoint to resume from cannot be used; with True a damaged one is replaced by the one before.
            CallbackError: A callback failed whose failure stops the run.
            KeyboardInterrupt: Ctrl-C; callbacks were told, and a checkpoint was written if there is a callback for it.
        """
        limits = Limits.of(epochs, steps, max_time)
        train_loader, dev_loader = as_loader(train_data), None if dev_data is None else as_loader(dev_data)
        if dev_loader is not None and not self.can_evaluate:
            raise ArgumentError(missing_evaluation(self))
        self._train_loader = train_loader
        self.prepare(example_batch(train_loader))
        if resume:
            state.restore(self, self._checkpoint_to_resume(resume))
        self.progress.enter(limits, len(train_loader))
        self._choose_mode(example_batch(train_loader), train_loader)
        if debug:
            rehearsal.rehearse(self, train_loader, dev_loader)
        if self.progress.is_over:
            done = f"{self.progress.epoch} epochs ({self.progress.step} steps) are done"
            logging.info(f"Nothing to train: {done}, and {limits} were asked for in all.")
            if not self.can_evaluate:
                return {}
            return loop.evaluate(self, train_loader if dev_loader is None else dev_loader)
        return loop.run_fit(self, train_loader, dev_loader)

    def _choose_mode(self, batch: Any, loader: Any) -> None:
        """Asks the backend what pays for the whole run, from its first step on, so that a resumed run is compiled alike."""
        progress = self.progress
        ends = [end for end in (progress.last_step, progress.num_epochs * progress.steps_per_epoch) if end]
        self.usual_batch = getattr(loader, "batch_size", 0)
        before, mode = self.train_mode, advised_mode(self, batch, self.usual_batch, min(ends, default=0) if self.usual_batch else 0)
        if mode not in (before, "auto"):
            logging.info(
                f"Compiles the training step with {mode!r}: its operations are short, and {min(ends)} steps repay it. "
                f'To leave it off: compile="off".'
            )
        self._advised = mode

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
        adopt_natives(self)
        self.place_parts()
        backend = self.backend
        check_mode(backend, self.compile_mode)
        for optimizer in self.optimizers.values():
            optimizer.leader = optimizer.schedule
        self.callbacks.tell("on_prepare", self)
        if not any(module.variables for module in self.modules.values()):
            logging.info("Build Model")
        if self.precision != FLOAT32:
            inherit_precision(self.modules.values(), self.precision)
        else:
            release_precision(self.modules.values())
        build_by_step(self, batch, backend)
        self.compile_steps()

    def compile_steps(self) -> None:
        """Compiles the steps, again only if something was frozen, thawed, set moving or given another precision since.

        The loop asks before each epoch.
        """
        backend, modules = self.backend, self.modules.values()
        if self.loss_scale is None and uses_float16(modules):
            self.loss_scale = DynamicLossScale(backend=backend)
            modules = self.modules.values()
        learning = [(id(variable), variable.trainable) for module in modules for variable in module.variables]
        moving = [optimizer.moving_names for optimizer in self.optimizers.values()]
        parts = [*self.optimizers.values(), *(inner for module in modules for inner in module.modules.values())]
        modes = (self.compile_mode, self.train_mode, self.usual_batch)
        plan = (backend, modes, self.accumulate, parts, learning, moving, policies_of(modules))
        if plan == self._plan:
            return
        self._plan = plan
        self._updates.forget()
        self.compiled_train_step = CompiledStep(self, self.train_step, in_training=True)
        self.compiled_evaluate_step = CompiledStep(self, self.evaluate_step, in_training=False)

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
        """Takes everything over from a checkpoint, written on any backend. `fit(resume=path)` does it before training; to evaluate or
        predict, prepare the trainer first: `trainer.prepare(next(iter(loader)))`.

        Raises:
            ArgumentError: The trainer is not prepared.
            CheckpointError: The file is damaged, or does not fit; nothing is changed then.
        """
        if self._plan is None:
            raise ArgumentError(
                f"{type(self).__name__} is not prepared, so there is nothing to load into. Call prepare(next(iter(loader))) first, or go "
                f"on training from the file: fit(..., resume={str(path)!r})."
            )
        state.restore(self, read_checkpoint(path))

    def _checkpoint_to_resume(self, resume: bool | str | Path) -> Checkpoint:
        if resume is not True:
            return read_checkpoint(str(resume))
        from babel_dl.training.callbacks.checkpoint_callback import CheckpointCallback

        for callback in self.callbacks.callbacks:
            if isinstance(callback, CheckpointCallback):
                return callback.store.load(LATEST)
        raise ArgumentError("fit(resume=True) looks for a CheckpointCallback among the callbacks, and there is none. Give a path instead.")
