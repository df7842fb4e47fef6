"""The module: a part of a model that is built once, when it first sees the shapes of its inputs.

    __init__(...)   what does not depend on shapes
    build(...)      runs once, before the first call, with the inputs of that call; makes variables and layers
    call(...)       the computation, nothing else
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from babel_dl.backend import Backend, backend_of, current_backend
from babel_dl.core import logging, precision, weights
from babel_dl.core.building import all_or_nothing, example_arrays
from babel_dl.core.initializers import Initializer, find_initializer
from babel_dl.core.inventory import inventory
from babel_dl.core.logged import collect_logged
from babel_dl.core.native.adoption import adopt_natives
from babel_dl.core.prediction import Predictor
from babel_dl.core.random import current_seed, host_generator, use_seed
from babel_dl.core.structure import name_modules
from babel_dl.core.variable import Variable, dry_run
from babel_dl.errors import ArgumentError, BuildError
from babel_dl.ops import tree
from babel_dl.ops.dispatch import find_backend, narrow, unwrap, wrap, wrap_natives
from babel_dl.ops.tensor import TensorLike

if TYPE_CHECKING:
    from typing_extensions import Self

_caller: ContextVar[Module | None] = ContextVar("babel_dl_caller", default=None)


class Module:
    """A part of a model: variables, other modules, and a computation.

    Modules and variables in attributes, lists, tuples and dicts are found by themselves. A subclass writes `call`, and `build` where
    sizes depend on the inputs. Handles, natives and numpy arrays are accepted; natives are answered with natives.

    Attributes:
        training: Whether dropout drops and batch statistics are used; see `train` and `eval`.
        path: The place in the model it was built in, such as `/encoder/0`; empty for the outermost.
        seed: The seed that was in force when it was made; its initial values and random streams depend on it.
        is_built: Whether the sizes are fixed.

    Example:
        >>> class Double(Module):
        ...     def call(self, x):
        ...         return 2 * x
        >>> Double()(np.ones(2, np.float32)).numpy()
        array([2., 2.], dtype=float32)
    """

    is_babel_module = True
    casts_parameters: ClassVar[bool] = True
    """Whether a narrow precision reads the parameters made by `variable` in the narrow type; normalisations want them whole."""

    _precision: str | None = None  # what it says itself
    _inherited_precision: str | None = None  # what was said above it

    training: bool
    path: str
    seed: int
    is_built: bool
    _has_place: bool

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        module = super().__new__(cls)
        vars(module).update(training=True, path="", seed=current_seed(), is_built=False, _has_place=False)
        return module

    def build(self, *args: Any, **kwargs: Any) -> None:
        """Makes what depends on the shapes of the inputs. Runs once; if it fails, it is undone, and tried again at the next call."""

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation.

        Raises:
            NotImplementedError: The subclass did not write it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no computation. Write: def call(self, ...): ... return result")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.is_built and _are_handles(args) and (not kwargs or _are_handles(kwargs.values())):
            return precision.run(self, self.call, args, kwargs) if precision.in_use else self.call(*args, **kwargs)
        return self._enter(args, kwargs)

    def _enter(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The long way in: for the first call, and for arguments that are not handles."""
        owner, handles, arrays = None, False, False
        for leaf in tree.leaves((args, kwargs)):
            if isinstance(leaf, TensorLike):
                handles = True
            elif isinstance(leaf, np.ndarray):
                arrays = True
            elif owner is None:
                owner = backend_of(leaf)
        if owner is not None:
            args, kwargs = wrap_natives((args, kwargs), owner)
        if arrays:
            args, kwargs = _arrays_to_tensors((args, kwargs), self._home((args, kwargs)))
        function = self.call if self.is_built else self._first_call
        result = precision.run(self, function, args, kwargs) if precision.in_use else function(*args, **kwargs)
        return unwrap(result) if owner is not None and not handles else result

    def _home(self, values: Any) -> Backend:
        """Where numpy inputs go: to the tensors beside them, to the variables of a module that is built, to the backend in force."""
        has_tensors = any(isinstance(leaf, TensorLike) for leaf in tree.leaves(values))
        return find_backend(values) if has_tensors or not self.is_built else self.backend

    def _first_call(self, *args: Any, **kwargs: Any) -> Any:
        caller = _caller.get()
        if not self._has_place and caller is None:
            name_modules(self)
        if not self._has_place and caller is not None and caller._has_place:
            name_modules(caller)
        adopt_natives(self)
        token = _caller.set(self)
        try:
            with all_or_nothing(self), use_seed(self.seed):  # what is made in build gets the seed that this module was made under
                self.build(*args, **kwargs)
                adopt_natives(self)
                if self._has_place:
                    name_modules(self)
                self.is_built = True
            if precision.in_use:
                precision.settle(self)
            return self.call(*args, **kwargs)
        finally:
            _caller.reset(token)

    def variable(
        self,
        name: str,
        shape: tuple[int, ...],
        initializer: str | Initializer = "glorot_uniform",
        trainable: bool = True,
        dtype: str = "float32",
    ) -> Variable:
        """A new variable of this module; keep it in an attribute. Its first value depends on seed, path and shape alone.

        Args:
            name: Its name below the module's path; use that of the attribute.
            shape: The sizes, in canonical layout.
            initializer: A name such as "glorot_uniform", "he_normal", "zeros", or a function of (shape, generator).
            trainable: Whether optimizers change it.
            dtype: Element type.

        Raises:
            BuildError: The module was made inside `call` and is held by nobody.
            ArgumentError: There is no such initializer, a size is not a positive number, or the values have the wrong shape.
        """
        if not self._has_place:
            raise BuildError(
                f"A {type(self).__name__} is made inside call() and forgotten after it, so it could never be trained.\n"
                f"  Make it in __init__ or build, and keep it: self.layer = {type(self).__name__}(...)"
            )
        path = f"{self.path}/{name}"
        if any(not isinstance(size, (int, np.integer)) or size < 0 for size in shape):
            raise ArgumentError(f"Variable {path!r} cannot have the shape {shape}: sizes are whole numbers, known when it is built.")
        value = np.asarray(find_initializer(initializer)(tuple(shape), host_generator(self.seed, "variable", path, *shape)))
        if value.shape != tuple(shape):
            raise ArgumentError(f"The initializer of {path!r} made values of shape {value.shape}, and the variable has shape {shape}.")
        variable = Variable(value, trainable=trainable, path=path, dtype=dtype)
        variable.is_cast = trainable and self.casts_parameters
        return variable

    # ---------------------------------------------------------------- building without a call of one's own

    def initialize(self, dataset: Any) -> Self:
        """Builds the module from the first sample of a dataset; the inputs' fields are passed by name.

        Args:
            dataset: `dataset[0]` is `(input, output)`; both are named tuples of arrays without a batch axis.
        """
        sample = dataset[0][0]
        if not self.is_built:
            logging.info("Build Model")
        return self._build_on(tree.map_leaves(lambda array: np.asarray(array)[None], sample._asdict()), ())

    def build_from(self, *specs: Any, **named_specs: Any) -> Self:
        """Builds the module from shapes alone.

        Args:
            specs: `TensorSpec(shape, dtype)`, or arrays, as `call` takes them.
            named_specs: The same by name.
        """
        return self._build_on(example_arrays(named_specs), example_arrays(specs))

    def _build_on(self, kwargs: dict[str, Any], args: tuple[Any, ...]) -> Self:
        if self.is_built and all(module.is_built for module in self.modules.values()):
            return self
        backend = current_backend()

        def run(*natives: Any) -> None:
            handles = iter(natives)
            wrapped = tree.map_leaves(lambda leaf: wrap(next(handles), backend), (args, kwargs))
            self(*wrapped[0], **wrapped[1])

        with dry_run(), collect_logged():
            backend.trace_shapes(run, *tree.leaves(narrow((args, kwargs))))
        return self

    # ---------------------------------------------------------------- what it holds

    @property
    def modules(self) -> dict[str, Module]:
        """This module and all below it, by path."""
        return dict(inventory(self).modules)

    @property
    def named_variables(self) -> dict[str, Variable]:
        """All variables by path, each once: `/linear/0/weight`."""
        return dict(inventory(self).variables)

    @property
    def variables(self) -> list[Variable]:
        """All variables."""
        return list(self.named_variables.values())

    @property
    def trainable_variables(self) -> list[Variable]:
        """The variables that optimizers may change."""
        return [variable for variable in self.variables if variable.trainable]

    @property
    def untrainable_variables(self) -> list[Variable]:
        """Frozen parameters, running statistics and counters."""
        return [variable for variable in self.variables if not variable.trainable]

    @property
    def backend(self) -> Backend:
        """Where its variables live; the backend in force if it has none."""
        return next((variable.backend for variable in self.variables), None) or current_backend()

    def train(self, mode: bool = True) -> Self:
        """Switches this module and all below it to training, or to evaluation with `mode=False`."""
        for module in self.modules.values():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Switches this module and all below it to evaluation: no dropout, running statistics."""
        return self.train(False)

    def freeze(self, pattern: str = "*", frozen: bool = True) -> Self:
        """Excludes parameters from training, or takes them back in.

        Args:
            pattern: Which paths, with `*` and `?`: `/encoder/*`.
            frozen: False thaws them.

        Raises:
            ArgumentError: No parameter's path fits the pattern.
        """
        parameters = {path: variable for path, variable in self.named_variables.items() if variable.is_parameter}
        chosen = [path for path in parameters if fnmatch.fnmatchcase(path, pattern)]
        if not chosen:
            raise ArgumentError(f"No parameter's path fits {pattern!r}. Paths: {', '.join(parameters) or 'none, build the module first'}.")
        for path in chosen:
            parameters[path].trainable = not frozen
        return self

    @property
    def precision(self) -> str:
        """In which type it computes: "float32", "bfloat16" or "float16"; see `babel_dl.core.precision`. Variables are kept in float32."""
        return self._precision or self._inherited_precision or precision.FLOAT32

    @precision.setter
    def precision(self, name: str | int | None) -> None:
        """Sets it for this module and all below it that do not say otherwise; None says nothing, so that the module above decides.

        Raises:
            ArgumentError: There is no such precision.
        """
        precision.set_precision(self, name)

    def set_precision(self, name: str | int | None, pattern: str = "*") -> Self:
        """Sets the precision of parts by path, and of all below them that do not say otherwise.

        Args:
            name: "float32", "bfloat16" or "float16", by any of its names; None says nothing.
            pattern: Which paths, with `*` and `?`: `/encoder/*`. Of parts within one another the outermost takes it.

        Raises:
            ArgumentError: There is no such precision, or no module's path fits the pattern.
        """
        precision.set_by_path(self.modules, name, pattern)
        return self

    # ---------------------------------------------------------------- what it is used for

    def predict(self, *unnamed: Any, **sample: Any) -> Any:
        """The answer to one sample, in evaluation mode and without gradients.

        Args:
            unnamed: Refused: inputs are passed by name, so that no two are confused.
            sample: The inputs by name, numpy arrays or numbers, without a batch axis.

        Returns:
            What `call` returns, as numpy arrays without a batch axis.

        Raises:
            ArgumentError: There is no input, or one without a name.
        """
        if unnamed:
            raise ArgumentError(f"{type(self).__name__}.predict needs its inputs by name: model.predict(image=array).")
        return Predictor.of(self).predict_sample(sample)

    def state_dict(self) -> dict[str, np.ndarray]:
        """All values by path, in canonical layout, on the host."""
        return weights.read(self.named_variables)

    def load_state_dict(self, values: dict[str, np.ndarray]) -> Self:
        """Takes over all values; the module must be built.

        Raises:
            CheckpointError: Names are missing or left over, or shapes differ; every one is listed, and nothing is changed.
        """
        weights.write(self.named_variables, values, type(self).__name__)
        return self

    def to_native(self) -> Any:
        """This module as the framework's own: a `torch.nn.Module`, a `tf.Module`, or for JAX a pure function with its parameters.

        The module must be built. The result takes and returns natives, channels last as here. On PyTorch and TensorFlow both share their
        parameters and statistics: train either, and the other has learnt it. The same module gives the same result each time.

        Returns:
            On PyTorch an `nn.Module` whose parameters and buffers are named as the variables are (`linear.0.weight`). On TensorFlow a
            `tf.Module`, called with `training=True` or `False` if not in the mode of this module. On JAX `fn`, with `fn, params =
            model.to_native()`: `fn(params, x)` for the result, `fn.apply(params, fn.state, x)` for the result and the new statistics.

        Raises:
            BuildError: The module or a part of it is not built.
            BackendError: The backend has no modules of its own.
        """
        from babel_dl.core.native.exporting import to_native

        return to_native(self)

    def summary(self) -> str:
        """A table of the modules that hold variables, with their shapes and counts."""
        return weights.summarize(type(self).__name__, self.modules)


def _are_handles(values: Iterable[Any]) -> bool:
    for value in values:
        if not isinstance(value, TensorLike) and not (isinstance(value, tuple) and value and isinstance(value[0], TensorLike)):
            return False
    return True


def _arrays_to_tensors(values: Any, backend: Backend) -> Any:
    from babel_dl.ops.creation import asarray

    return tree.map_leaves(lambda leaf: asarray(leaf, backend=backend) if isinstance(leaf, np.ndarray) else leaf, values)


