"""Variables, gradients, and functions made fast: what turns tensor arithmetic into training."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

Native = Any
Storage = Any
"""What a backend keeps a variable in: a leaf tensor, a framework's variable, or a cell with an immutable array."""
Tree = Any
"""Natives in tuples, lists and dicts, nested, with None, numbers and strings as constants."""


class State(ABC):
    """Variables: values that outlive a step. Shapes and values are canonical (channels last) whatever lies in memory.

    A value that was read stays what it was when the variable is assigned to later, inside a function and outside.
    """

    @abstractmethod
    def variable(self, value: np.ndarray, dtype: str, trainable: bool, name: str) -> Storage:
        """A new variable on the device in force. It is created for real, even while a function is traced."""

    @abstractmethod
    def read(self, storage: Storage) -> Native:
        """The value now. Inside a traced function: the value at this point of the function."""

    @abstractmethod
    def assign(self, storage: Storage, value: Native) -> None:
        """Replaces the value; shape and dtype are those of the variable. No gradient flows into the past of `value`.

        Inside a traced function the write happens when the function runs, at this point, every time.
        """

    @abstractmethod
    def fill(self, storage: Storage, number: float) -> None:
        """Sets every element to a number that the host knows; the cheap way to move a learning rate. Never inside a traced function."""

    @abstractmethod
    def set_trainable(self, storage: Storage, trainable: bool) -> None:
        """Whether gradients may be asked for it."""


class Transforms(ABC):
    """Functions of functions. The functions they receive take and return natives, and read variables through `read`."""

    @abstractmethod
    def stop_gradient(self, x: Native) -> Native:
        """The value, as a constant."""

    @abstractmethod
    def without_gradients(self) -> AbstractContextManager[None]:
        """While it is open, nothing is recorded for gradients."""

    @abstractmethod
    def value_and_grad(
        self, fn: Callable[..., tuple[Native, Tree]], storages: Sequence[Storage], inputs: Sequence[Native] = ()
    ) -> tuple[Native, Tree, list[Native | None]]:
        """Runs `fn` once, and differentiates its value with respect to variables and to its own arguments.

        It can be called inside of itself: the value and the gradients of the inner call may be used in the function of the outer one,
        and carry on to whatever `inputs` and variables were computed from.

        Args:
            fn: Takes as many natives as there are inputs; returns a scalar to differentiate and a tree of by-products. Writes to
                variables made inside hold afterwards.
            storages: The variables. Others are constants, at no cost.
            inputs: Floating tensors, given to `fn` as its arguments. Only through these is there a gradient: what `fn` computes from
                the same tensor by another way, a closure or another of the inputs, is a constant.

        Returns:
            The scalar, the by-products, and a gradient for each variable, then for each input; None for one that the scalar does not
            depend on.
        """

    @abstractmethod
    def compile(self, fn: Callable[..., Tree], mode: str = "auto") -> Callable[..., Tree]:
        """The same function, fast: traced once for each structure, shape and dtype of its arguments.

        Variables that `fn` reads and writes are found by the backend and stay variables: none is baked in as a constant. Variables
        created while it is traced are created once. Arguments are trees of natives or numpy arrays; other leaves are constants
        that lead to a new trace when they change: the order of a dict and the type of a number (`1`, `True`, `1.0`) count.

        An error in `fn` comes through as it is, and what `fn` assigned before it is undone. Arrays may be refilled after the call.

        Args:
            fn: Takes and returns trees.
            mode: "auto" for what is fastest as a rule, "off" for none, or a word that this backend lists in `compile_modes`.
        """

    @abstractmethod
    def compile_steps(self, fn: Callable[[Tree, Tree], Tree], mode: str = "auto") -> Callable[[Tree, int, int, Tree], Tree | None] | None:
        """Many runs of `fn` in one call, for steps so short that the call costs as much as the work.

            run(stacked, start, stop, constants):   for i in range(start, stop): fn(slice i of stacked, constants)

        What a run assigns the next one reads. A run gives the same bits however many of them a call makes. Variables and errors are as
        with `compile`. Arrays in `stacked` must not be refilled as long as they are passed.

        Args:
            fn: Takes a tree of natives and a tree of hashable constants; returns a tree whose natives keep their shapes.
            mode: As for `compile`.

        Returns:
            None where a call costs next to nothing, or nothing is compiled. Else a function of a tree of arrays with a leading axis of
            one length, two positions on it, and the constants. It returns the results along a new first axis, in the order of the runs;
            behind them it may be longer. It returns None, and has done nothing, for a function that is slower in a loop: call that
            one by one.
        """

    @property
    @abstractmethod
    def compile_modes(self) -> tuple[str, ...]:
        """The modes of `compile` besides "auto" and "off"."""

    def advise_mode(self, fn: Callable[..., Tree], arguments: Sequence[np.ndarray], scale: int, num_runs: int) -> str:
        """The mode of `compile` that pays for a function that runs often. By default "auto".

        It is found by counting and never by the clock, so that the same run is compiled alike, and gives the same bits.

        Args:
            fn: As for `trace_shapes`; what it assigns is thrown away.
            arguments: A small batch.
            scale: How many times larger the real ones are.
            num_runs: How often it will run.
        """
        return "auto"

    @abstractmethod
    def trace_shapes(self, fn: Callable[..., Tree], *arguments: np.ndarray) -> None:
        """Runs `fn` on natives like the arguments so that its variables come to be, at the least cost; results and assignments are
        thrown away.

        Whether the values are computed is the backend's choice, so `fn` must not look at them.
        """

    @abstractmethod
    def is_traced(self, x: Native) -> bool:
        """Whether the tensor is symbolic and has no values yet."""

    @abstractmethod
    def synchronize(self) -> None:
        """Waits until everything that was asked for is computed (for timings)."""
