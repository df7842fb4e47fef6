"""What all optimizers share: a learning rate that can move, state for each variable, clipping, a step count."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from babel_dl.core.variable import Variable, is_dry_run
from babel_dl.errors import ArgumentError
from babel_dl.ops.tensor import Tensor
from babel_dl.training.optimizers.clipping import clip_by_global_norm, clip_by_value
from babel_dl.training.optimizers.learning_rates.schedule import LearningRateSchedule
from babel_dl.training.optimizers.spelling import check_names

if TYPE_CHECKING:
    from typing_extensions import Self


class Optimizer(ABC):
    """Changes variables by their gradients.

    A subclass names its `slots` (a variable of state for each parameter), says with `counts_steps` whether its rule depends on the number
    of the step, and writes `update`.

    One optimizer may serve several scopes: each has its state, and its count of steps.

    Args:
        initial_lr: Learning rate; at least 0. Or a schedule, which trainers follow from step to step.
        clip_norm: Scale all gradients down together so that their joint norm is at most this; None for no limit.
        clip_value: Cut each element of the gradients to [-clip_value, clip_value]; None for no limit. Applied before `clip_norm`.

    Attributes:
        schedule: What moves the learning rate; None where it stands still, or where somebody else moves it.

    Raises:
        ArgumentError: A number is out of its range.
    """

    slots: tuple[str, ...] = ()
    counts_steps: bool = False

    def __new__(cls, *args: Any, **options: Any) -> Self:
        """Sees the arguments first, to say how a misspelt one is called here."""
        check_names(cls, options)
        return super().__new__(cls)

    def __init__(
        self, initial_lr: float | LearningRateSchedule, clip_norm: float | None = None, clip_value: float | None = None
    ) -> None:
        self.schedule, rate = (initial_lr, initial_lr(0)) if isinstance(initial_lr, LearningRateSchedule) else (None, initial_lr)
        self._leader = self.schedule
        self.initial_lr = self.checked("initial_lr", rate)
        self.clip_norm = None if clip_norm is None else self.checked("clip_norm", clip_norm, open_low=True)
        self.clip_value = None if clip_value is None else self.checked("clip_value", clip_value, open_low=True)
        self._moving: dict[str, float] = {"learning_rate": self.initial_lr}
        self._state: dict[str, Variable] = {}
        self._of: dict[int, dict[str, Variable]] = {}
        self._prepared: dict[str, Variable] = {}
        self._names: dict[int, str] = {}
        self._counter_of: dict[int, Variable] = {}

    @classmethod
    def checked(
        cls, name: str, value: float, low: float = 0.0, high: float = math.inf, open_low: bool = False, open_high: bool = False
    ) -> float:
        """The number as a float, if it is from `low` to `high` (not `low` itself with `open_low`, nor `high` with `open_high`).

        Raises:
            ArgumentError: It is not.
        """
        is_number = isinstance(value, (int, float, np.floating, np.integer)) and not isinstance(value, bool)
        if not is_number or not low <= value <= high or (open_low and value == low) or (open_high and value == high):
            begin = "above" if open_low else "of at least"
            end = f" and {'below' if open_high else 'at most'} {high:g}" if high < math.inf else ""
            raise ArgumentError(f"{cls.__name__} needs {name} {begin} {low:g}{end}, and got {value!r}.")
        return float(value)

    def prepare(self, variables: dict[str, Variable]) -> None:
        """Makes the state for these variables; those it has state for already keep it. What is new counts its steps together.

        Args:
            variables: By the name under which checkpoints keep their state. A name that another variable has already gets a number.
        """
        new = [(path, variable) for path, variable in variables.items() if id(variable) not in self._of]
        if new:
            self._make_state(new)

    def _make_state(self, new: list[tuple[str, Variable]]) -> None:
        backend = new[0][1].backend
        if self.schedule is not None and self.schedule.momentum(0) is not None and self.momentum_name is not None:
            self.let_move(self.momentum_name)
        for name in self._moving:
            if name not in self._state:
                self._state[name] = Variable(np.float32(self._moving[name]), False, f"/{name}", backend=backend)
        counter = self._new_counter(backend) if self.counts_steps else None
        for path, variable in new:
            if id(variable) in self._of:  # one variable under two paths
                continue
            name = self._free_name(path)
            zeros = np.zeros(variable.shape, np.float32)
            slots = {s: Variable(zeros, False, f"/{s}{name}", variable.dtype, backend) for s in self.slots}
            self._of[id(variable)] = slots
            self._prepared[name] = variable
            self._names[id(variable)] = name
            self._state.update({f"{slot}{name}": value for slot, value in slots.items()})
            if counter is not None:
                self._counter_of[id(variable)] = counter

    def _new_counter(self, backend: Any) -> Variable:
        count = sum(name == "step" or name.startswith("step/") for name in self._state)
        name = f"step/{count}" if count else "step"
        self._state[name] = Variable(np.float32(0.0), False, f"/{name}", backend=backend)
        return self._state[name]

    def _free_name(self, path: str) -> str:
        place, count = f"/{path.lstrip('/')}", 0
        name = place
        while name in self._prepared:  # one optimizer for two models: both may have a `/linear/weight`
            count += 1
            name = f"/{count}{place}"
        return name

    def name_of(self, variable: Variable) -> str:
        """The name under which checkpoints keep the state of a variable that was prepared: `linear/0/weight`."""
        return self._names[id(variable)].lstrip("/")

    @property
    def is_in_use(self) -> bool:
        """Whether it was given variables to move."""
        return bool(self._of)

    def apply(self, gradients: Sequence[Tensor], variables: Sequence[Variable]) -> None:
        """One step: changes the variables by their gradients. Works inside compiled functions.

        Args:
            gradients: One for each variable.
            variables: What to change.
        """
        for variable in variables:
            if id(variable) not in self._of:
                self._make_state([(other.path, other) for other in variables if id(other) not in self._of])
                break
        if is_dry_run():  # a kernel would write all the same
            return
        if self.clip_value is not None:
            gradients = clip_by_value(gradients, self.clip_value)
        if self.clip_norm is not None:
            gradients = clip_by_global_norm(gradients, self.clip_norm)
        if not self.counts_steps:
            self.update(list(gradients), list(variables))
            return
        together: dict[int, tuple[Variable, list[Tensor], list[Variable]]] = {}
        for gradient, variable in zip(gradients, variables, strict=True):
            counter = self._counter_of[id(variable)]
            _, some, others = together.setdefault(id(counter), (counter, [], []))
            some.append(gradient)
            others.append(variable)
        for counter, some, others in together.values():
            counter.assign(counter + 1.0)
            self.update(some, others)

    @abstractmethod
    def update(self, gradients: list[Tensor], variables: list[Variable]) -> None:
        """The rule. `moving(name)` and `state_of(slot, variables)` give hyperparameters and state; a step count is up already."""

    def moving(self, name: str) -> Variable | float:
        """A hyperparameter that may change between steps: a variable once it moves, a number before."""
        return self._state.get(name, self._moving.get(name, getattr(self, name, 0.0)))

    def count_of(self, variables: list[Variable]) -> Variable:
        """The number of the step that is made for these variables, which `apply` passes together; float32, 1 at the first."""
        return self._counter_of[id(variables[0])]

    def state_of(self, slot: str, variables: list[Variable]) -> list[Variable]:
        """The state variables of this slot, one for each variable."""
        return [self._of[id(variable)][slot] for variable in variables]

    def let_move(self, name: str) -> None:
        """Makes a hyperparameter (`momentum`, `beta1`) one that `set` may change.

        A function that was compiled before keeps the number of then; a trainer compiles its steps anew.

        Raises:
            ArgumentError: The optimizer has no such hyperparameter.
        """
        if name in self._moving:
            return
        value = getattr(self, name, None)
        if not isinstance(value, float):
            raise ArgumentError(f"{type(self).__name__} has no hyperparameter {name!r} that could move.")
        self._moving[name] = value
        if self._state:
            backend = self._state["learning_rate"].backend
            self._state[name] = Variable(np.float32(value), trainable=False, path=f"/{name}", backend=backend)

    def set(self, name: str, value: float) -> None:
        """Changes a hyperparameter that moves, such as "learning_rate"; at once, also for compiled steps.

        Raises:
            ArgumentError: It does not move; see `let_move`.
        """
        if name not in self._moving:
            raise ArgumentError(f"{name!r} of {type(self).__name__} does not move. Call optimizer.let_move({name!r}) before training.")
        if self._moving[name] != value:
            self._moving[name] = value
            if name in self._state:
                self._state[name].fill(value)

    @property
    def leader(self) -> LearningRateSchedule | None:
        """The schedule that trainers follow from step to step: the optimizer's own, or the one of a callback."""
        return self._leader

    @leader.setter
    def leader(self, schedule: LearningRateSchedule | None) -> None:
        """For the time of a training; `schedule` stays what it was."""
        self._leader = schedule

    def follow(self, step: int) -> None:
        """Sets what the schedule says for a step: the learning rate, and the momentum where it moves that. Trainers call it.

        Args:
            step: Training steps made before this one.
        """
        for name, value in self._wanted(step).items():
            self.set(name, value)

    def planned(self, steps: range, length: int) -> dict[str, np.ndarray]:
        """What the schedule says for several steps, for a compiled function that makes them all.

        Args:
            steps: Their numbers; a schedule is asked for no other step.
            length: How long the arrays are; what lies behind the last step is not used.

        Returns:
            For each hyperparameter that moves a float32 array of shape (length,).
        """
        wanted = [self._wanted(step) for step in steps]
        wanted += wanted[-1:] * (length - len(wanted))
        return {name: np.array([values[name] for values in wanted], np.float32) for name in wanted[0]}

    def follow_inside(self, values: dict[str, Tensor]) -> None:
        """Sets hyperparameters inside of a compiled function.

        Args:
            values: Scalars by name, from one place of what `planned` returned.
        """
        for name, value in values.items():
            self._state[name].assign(value)

    def note(self, step: int) -> None:
        """Takes note that `follow_inside` set what the schedule says for a step."""
        self._moving.update(self._wanted(step))

    def _wanted(self, step: int) -> dict[str, float]:
        if self._leader is None:
            return {}
        values, momentum = {"learning_rate": self._leader(step)}, self._leader.momentum(step)
        if momentum is not None and self.momentum_name in self._moving:
            values[self.momentum_name] = momentum
        return values

    @property
    def learning_rate(self) -> float:
        """The learning rate in force."""
        return self._moving["learning_rate"]

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        """Changes it at once, also for compiled steps."""
        self.set("learning_rate", value)

    @property
    def moving_names(self) -> tuple[str, ...]:
        """The hyperparameters that may change between steps."""
        return tuple(self._moving)

    @property
    def momentum_name(self) -> str | None:
        """The hyperparameter that schedules with a momentum cycle: "momentum", "beta1", or None."""
        return None

    @property
    def named_variables(self) -> dict[str, Variable]:
        """The state by name, for checkpoints: `learning_rate`, `step`, `momentum/linear/0/weight`."""
        return dict(self._state)

    def take_over(self) -> None:
        """Reads the moving hyperparameters back from the variables, after a checkpoint was loaded into these."""
        for name in self._moving:
            if name in self._state:
                self._moving[name] = float(self._state[name].numpy())

    def settings(self) -> dict[str, Any]:
        """The constructor's arguments, for logs and checkpoints."""
        given = {name: value for name, value in vars(self).items() if not name.startswith("_") and name != "schedule"}
        return given if self.schedule is None else {**given, "initial_lr": self.schedule}
