"""Modules that were written for the framework itself, taken in as they are; and ours, given out as the framework's own."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from babel_dl.errors import BackendError

if TYPE_CHECKING:
    import numpy as np

Storage = Any
Tree = Any


@dataclass(frozen=True)
class NativeTensor:
    """A tensor that a native module holds, or one of ours on its way out.

    Attributes:
        name: Its place in the module, in the module's own words: `/conv/weight`, `/0/running_mean`.
        storage: As `State.variable` makes it, over the module's own memory. One tensor has one storage, however often it is found.
        is_parameter: Whether it was made to be trained; running statistics, counters and random states were not.
    """

    name: str
    storage: Storage
    is_parameter: bool


@dataclass(frozen=True)
class NativeOptions:
    """How a native module is to be called.

    Attributes:
        channels_first: Whether it gets tensors with the channels in the second place: True for 3 to 5 axes, False for never, None for
            what the framework's own layers expect of tensors with 4 and 5 axes.
        per_sample: Whether it takes one sample and not a batch; None for the framework's habit.
        state: The framework's own container of state that is passed beside the inputs; None where there is none.
        draw_key: Gives the number that seeds the draws for which a module wants a key from its caller.
    """

    channels_first: bool | None = None
    per_sample: bool | None = None
    state: Any = None
    draw_key: Callable[[], int] = int


class Adopted(ABC):
    """A native module that was taken in: its tensors, and a way to run it.

    Attributes:
        tensors: What it holds, each once.
    """

    tensors: Sequence[NativeTensor]

    @property
    @abstractmethod
    def native(self) -> Any:
        """The framework's object, with the values of now. The one that was adopted, where such objects can change."""

    @property
    @abstractmethod
    def training(self) -> bool:
        """Whether it trains, as it says itself where it has a word for it."""

    @abstractmethod
    def set_training(self, mode: bool) -> None:
        """Switches it, and all below it, to training or to evaluation, by its own means."""

    @abstractmethod
    def prepare(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Looks at the arguments of the first call, before it. Leaves no trace in the module.

        Args:
            args: Trees of natives.
            kwargs: The same by name.
        """

    @abstractmethod
    def run(self, part: tuple[str | int, ...], args: tuple[Any, ...], kwargs: dict[str, Any], dtype: str | None = None) -> Tree:
        """Calls it on natives. Reads its tensors by `State.read`, and keeps what it writes to them.

        Args:
            part: Which part of it to call, by attributes and indices from the module on; empty for itself.
            args: Trees of natives.
            kwargs: The same by name.
            dtype: The narrow type that it is asked to compute in, in which floating natives come; None for its own. A module that
                has its own ways of that may compute wider.

        Returns:
            What it returned: channels last again, with the batch axis where it was.
        """


class NativeModules:
    """The way in and the way out. A framework without modules of its own needs none of it: everything here refuses by default."""

    name: ClassVar[str]

    def adopt(
        self, module: Any, options: NativeOptions, examples: tuple[tuple[Any, ...], dict[str, Any]] | None = None
    ) -> Adopted | None:
        """Takes in a module of one of the classes that the plug-in's card lists.

        Args:
            module: The native module.
            options: How to call it.
            examples: Arguments of its first call, natives; they may be symbolic. A module whose tensors depend on shapes is completed
                with them; nothing else changes, neither its statistics nor a random state.

        Returns:
            None if the module is not complete, and there are no examples.

        Raises:
            BackendError: This backend adopts no such module; the message says what to do.
        """
        kind = f"{type(module).__module__}.{type(module).__qualname__}"
        raise BackendError(
            f"backend {self.name!r} cannot run a {kind}: its plug-in adopts no native modules.\n"
            "  Write the layer with babel_dl.model.layers, or choose the backend that it was made for."
        )

    def native_signature(self, module: Any) -> inspect.Signature:
        """What a native module takes: the signature of the function that a call ends in (`forward`, `call`, `__call__`), without `self`."""
        return inspect.signature(module)

    def is_trainable(self, storage: Storage) -> bool:
        """Whether gradients may be asked for a native module's tensor: what `set_trainable` set, or the framework's own way since."""
        raise BackendError(f"backend {self.name!r} adopts no native modules, so it has no tensor of one.")

    def export(
        self, module: Any, run: Callable[..., Tree], tensors: Sequence[NativeTensor], natives: Mapping[str, Any]
    ) -> Any:
        """One of our modules as the framework's own, over the same memory where the framework can share it.

        Args:
            module: Ours. The result has it in the attribute `babel_module`; it has `train(mode)`, `training` and `title`.
            run: Calls it: `run(args, kwargs, training)` with trees of natives; `training` True or False for this call alone, None for the
                mode it is in.
            tensors: All its variables by path, those of native modules inside of it as well.
            natives: These native modules by path.

        Raises:
            BackendError: The backend has no modules of its own.
        """
        raise BackendError(f"backend {self.name!r} has no modules of its own, so {type(module).__name__} cannot become one.")

    def random_state(self) -> np.ndarray | None:
        """The state of the framework's global generators, which native modules draw from; None where they keep states of their own."""
        return None

    def set_random_state(self, state: np.ndarray) -> None:
        """Puts back what `random_state` gave."""
