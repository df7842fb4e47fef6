"""A module of the framework itself as one of ours: its tensors are variables, everything else works as with our own layers."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Iterator
from typing import Any

from babel_dl.backend import Backend, current_backend, native_owner
from babel_dl.backend.contract import Adopted, NativeOptions
from babel_dl.core import precision
from babel_dl.core import variable as variables
from babel_dl.core.module import Module
from babel_dl.core.native.arguments import Arguments, arranged
from babel_dl.core.native.part import NativePart, items_of
from babel_dl.core.native.variable import NativeVariable, variable_over
from babel_dl.core.random import mix_key
from babel_dl.errors import ArgumentError, BackendError, BuildError
from babel_dl.ops import tree
from babel_dl.ops.dispatch import mixed_backends, unwrap, wrap, wrap_natives
from babel_dl.ops.handle import Handle
from babel_dl.ops.tensor import Tensor, TensorLike


class NativeModule(Module):
    """Makes a module of one that was written for the framework in force: `torch.nn.Module`, a Keras layer or model, `tf.Module`, Flax nnx,
    Equinox.

    Native modules in the attributes of our modules, and in lists, tuples and dicts there, become such modules by themselves. Write this
    class where you want to say how the module is to be called.

    Its parameters, running statistics, counters and random states are variables, named as in the native module: `/conv/weight`. Both share
    one memory where the framework lets them: what is written on one side is seen on the other. Attributes of the native module are found
    on this one: tensors as variables, its parts and methods as something to call with our tensors, anything else as it is.

    Args:
        module: The native module.
        state: What `equinox.nn.make_with_state` gives beside the module; None for all others.
        channels_first: Whether the module takes the channels in the second place. None: for tensors with 4 and 5 axes, with PyTorch and
            Equinox. True: also with 3 axes, and for every framework. False: never. Results are turned back.
        per_sample: Whether the module takes single samples, so that it is mapped over the batch. None: with Equinox.

    Raises:
        ArgumentError: `module` is no native module.
    """

    def __init__(
        self, module: Any, state: Any = None, channels_first: bool | None = None, per_sample: bool | None = None
    ) -> None:
        super().__init__()
        owner = native_owner(module)
        if owner is None:
            what = f"the class {module.__name__}; make one: {module.__name__}(...)" if isinstance(module, type) else repr(module)
            raise ArgumentError(f"NativeModule takes a module of a framework, such as torch.nn.Linear(2, 3), and got {what}.")
        self._owner = owner
        self._given = module
        self._options = {"channels_first": channels_first, "per_sample": per_sample, "state": state}
        self._adopted: Adopted | None = None
        self._native_backend: Backend | None = None
        self._signature: inspect.Signature | None = None
        self._variables: dict[str, NativeVariable] = {}

    # ---------------------------------------------------------------- taking in

    @property
    def title(self) -> str:
        """How messages call it: `Conv2d '/encoder/0' (torch)`."""
        place = f" {self.path!r}" if self.path else ""
        return f"{type(self._given).__name__}{place} ({self._owner})"

    @property
    def kind_in_summary(self) -> str:
        """What the summary calls it: the native module's class, and whose it is."""
        return f"{type(self._given).__name__} ({self._owner})"

    @property
    def native(self) -> Any:
        """The native module, with the values of now. It is the one that was given, but for Equinox, whose modules cannot change."""
        return self._given if self._adopted is None else self._adopted.native

    def build(self, *args: Any, **kwargs: Any) -> None:
        """Completes a native module whose tensors depend on shapes.

        Raises:
            BuildError: It was made inside `call` and is held by nobody.
        """
        examples = unwrap(self._arranged(args, kwargs))
        adopted = self._take_in(examples)
        if adopted is not None:
            adopted.prepare(*examples)
        if not self._has_place and self._variables:
            raise BuildError(
                f"A {type(self._given).__name__} is made inside call() and forgotten after it, so it could never be trained.\n"
                f"  Make it in __init__ or build, and keep it: self.layer = {type(self._given).__name__}(...)"
            )

    def _take_in(self, examples: Any = None) -> Adopted | None:
        if self._adopted is None:
            backend = self._settled()
            options = NativeOptions(**self._options, draw_key=lambda: mix_key(self.seed, "native", self.path))
            adopted = backend.adopt(self._given, options, examples)
            if adopted is None:
                return None
            self._variables = {tensor.name: variable_over(tensor, backend, self.path) for tensor in adopted.tensors}
            mode = vars(self).get("_mode")
            if mode is not None:
                adopted.set_training(mode)
            self._adopted = adopted
        return self._adopted

    def _settled(self) -> Backend:
        """The backend, which must be the one in force when it is asked for first."""
        if self._native_backend is None:
            backend = current_backend()
            if backend.name != self._owner:
                raise BackendError(
                    f"{self.title} is a module of backend {self._owner!r}, and backend {backend.name!r} is in force.\n"
                    f"  Choose its backend before the model is made: babel_dl.set_backend({self._owner!r}); or write the layer with "
                    f"babel_dl.model.layers, which run on every backend."
                )
            self._native_backend = backend
        return self._native_backend

    @property
    def backend(self) -> Backend:
        """That of the native module."""
        return self._settled()

    def _arranged(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        if not kwargs:
            return args, kwargs
        if self._signature is None:
            self._signature = self._settled().native_signature(self._given)
        return arranged(self.title, self._signature, args, kwargs)

    def native_members(self) -> Iterator[tuple[str, NativeVariable]]:
        """Its variables with their names below it; none while they depend on the shapes of inputs that nobody has seen."""
        self._take_in()
        yield from self._variables.items()

    # ---------------------------------------------------------------- running

    @property  # type: ignore[override]
    def training(self) -> bool:  # type: ignore[override]
        """Whether it trains; the native module's own word where it has one."""
        adopted = vars(self).get("_adopted")
        return vars(self).get("_mode", True) if adopted is None else adopted.training

    @training.setter
    def training(self, mode: bool) -> None:  # type: ignore[override]
        """Switches the native module and all below it."""
        vars(self)["_mode"] = mode
        if self._adopted is not None:
            self._adopted.set_training(mode)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """What the native module returns, as our tensors.

        Raises:
            ArgumentError: It takes no arguments of these names, or returned no tensor.
        """
        result = self.run_part((), *self._arranged(args, kwargs))
        if not isinstance(result, Tensor) and not any(isinstance(leaf, TensorLike) for leaf in tree.leaves(result)):
            raise ArgumentError(
                f"{self.title} returned {result!r:.80}, which is no tensor and holds none.\n"
                "  A native module that works as a layer returns a tensor, or tensors in tuples, lists and dicts."
            )
        return result

    def run_part(self, part: tuple[str | int, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Calls the native module, or a part or method of it.

        Args:
            part: The attributes and indices that lead to it.
            args: Any nest of tensors.
            kwargs: The same by name.

        Returns:
            What it returned, with our tensors in the place of natives.
        """
        adopted = self._adopted or self._take_in()
        if adopted is None:  # a part that is called before the whole
            raise BuildError(f"{self.title} is not complete: its tensors depend on the shapes of its inputs. Call it as a whole first.")
        if variables.watches:
            for held in self._variables.values():
                variables.note_use(held)
        backend, dtype = self._settled(), precision.compute_dtype()
        natives, named = self._natives_of(args), self._natives_of(kwargs) if kwargs else kwargs
        result = adopted.run(part, natives, named, None if dtype == precision.FLOAT32 else dtype)
        return wrap(result, backend) if backend.is_native(result) else wrap_natives(result, backend)

    def _natives_of(self, values: Any) -> Any:
        """The nest with natives in the place of handles.

        Raises:
            BackendError: One belongs to another backend.
        """
        if type(values) is tuple and len(values) == 1 and isinstance(values[0], Handle):  # nearly every call
            return (self._native_of(values[0]),)
        return tree.map_leaves(self._native_of, values)

    def _native_of(self, leaf: Any) -> Any:
        if not isinstance(leaf, Handle):
            return leaf
        if leaf.backend is not self._native_backend:
            raise BackendError(mixed_backends(self._settled(), leaf.backend))
        return leaf.native

    # ---------------------------------------------------------------- what is inside

    def __getattr__(self, name: str) -> Any:
        held = vars(self)
        if name.startswith("__") or "_given" not in held:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        value = getattr(held["_given"], name)
        if self._adopted is None and current_backend().name == self._owner:
            self._take_in()
        return self.find_part((name,), value)

    def find_part(self, part: tuple[str | int, ...], value: Any) -> Any:
        """What stands for a value inside the native module: a variable for a tensor, something to call for a part or a method.

        Args:
            part: The attributes and indices that lead to it.
            value: What is there.
        """
        variable = self._variables.get("".join(f"/{step}" for step in part))
        if variable is not None:
            return variable
        is_method = getattr(value, "__self__", None) is not None and callable(value)
        return NativePart(self, part, value) if is_method or native_owner(value) is not None else value

    def __getitem__(self, index: int | str) -> Any:
        return self.find_part((index,), self._given[index])

    def __len__(self) -> int:
        return len(self._given)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Any]:
        return items_of(self, self._given)

    def __deepcopy__(self, memo: dict[int, Any]) -> NativeModule:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # frameworks copy in ways that numpy deprecates
            twin = NativeModule(copy.deepcopy(self.native, memo), **copy.deepcopy(self._options, memo))
        memo[id(self)] = twin
        skipped = ("_given", "_options", "_adopted", "_native_backend", "_signature", "_variables")
        vars(twin).update({name: copy.deepcopy(value, memo) for name, value in vars(self).items() if name not in skipped})
        if self._adopted is not None:
            twin._native_backend = self._native_backend
            twin._take_in()
            for name, variable in self._variables.items():
                twin._variables[name].take_after(variable)
        return twin

    def __repr__(self) -> str:
        return f"NativeModule({self._given!r})"
