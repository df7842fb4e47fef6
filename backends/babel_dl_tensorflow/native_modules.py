"""Keras layers and models, and `tf.Module`, taken in as they are: their variables are `tf.Variable` already, and so are ours."""

import inspect
import sys
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import tensorflow as tf

from babel_dl.backend.contract import Adopted, NativeModules, NativeOptions, NativeTensor, Tree
from babel_dl.errors import BackendError
from babel_dl_tensorflow.compilation import map_leaves
from babel_dl_tensorflow.creation import TENSORS
from babel_dl_tensorflow.dtypes import NARROW_FLOATS
from babel_dl_tensorflow.exporting import export
from babel_dl_tensorflow.state import KERAS_VARIABLE
from babel_dl_tensorflow.variable_names import Found, is_complete, is_keras_layer, named_variables

_MODE_NAMES = ("training", "is_training")


class AdoptedModule(Adopted):
    """A Keras layer or a `tf.Module`.

    Args:
        module: The module.
        channels_first: Whether tensors of 3 to 5 axes are turned for it.
        tensors: Its variables.
    """

    def __init__(self, module: Any, channels_first: bool, tensors: list[NativeTensor]) -> None:
        self._module = module
        self._channels_first = channels_first
        self._training = True
        self.tensors = tensors

    @property
    def native(self) -> Any:
        """The module itself."""
        return self._module

    @property
    def training(self) -> bool:
        """What was set: neither Keras nor `tf.Module` keeps it, calls are told."""
        return self._training

    def set_training(self, mode: bool) -> None:
        """What calls are told from now on."""
        self._training = mode

    def prepare(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Nothing: what depends on shapes was made when it was taken in."""

    def run(self, part: tuple[str | int, ...], args: tuple[Any, ...], kwargs: dict[str, Any], dtype: str | None = None) -> Tree:
        """Calls the module, or a part or method of it, with `training=...` where it takes that.

        A Keras layer computes in the type of its own `dtype_policy`; a `tf.Module` is given float32 instead of a narrow type.
        """
        function = reduce(_part, part, self._module) if part else self._module
        if dtype is not None and not is_keras_layer(function):
            args, kwargs = map_leaves(_widened, (args, kwargs))
        if self._channels_first:
            args, kwargs = map_leaves(_inwards, (args, kwargs))
        found = function(*args, **_with_mode(function, kwargs, self._training))
        return map_leaves(_outwards, found) if self._channels_first else found


class TensorFlowNativeModules(NativeModules):
    """Keras and `tf.Module` in, `tf.Module` out."""

    def adopt(
        self, module: Any, options: NativeOptions, examples: tuple[tuple[Any, ...], dict[str, Any]] | None = None
    ) -> Adopted | None:
        """A Keras layer, model or `tf.Module`; what is not built yet is called once with zeros, outside of any trace.

        Raises:
            BackendError: Keras runs on another framework in this process, or an option has no meaning for TensorFlow.
        """
        _check(module, options)
        if not is_complete(module):
            if examples is None:
                return None
            _build(module, examples, bool(options.channels_first))
        return AdoptedModule(module, bool(options.channels_first), [_tensor(found) for found in named_variables(module)])

    def native_signature(self, module: Any) -> inspect.Signature:
        """That of a Keras layer's `call`, or of `__call__`."""
        return inspect.signature(module.call if is_keras_layer(module) else module)

    def is_trainable(self, storage: Any) -> bool:
        """`trainable` of the Keras variable, or else of the `tf.Variable`."""
        return bool(getattr(storage, KERAS_VARIABLE, storage).trainable)

    def export(self, module: Any, run: Callable[..., Tree], tensors: Sequence[NativeTensor], natives: Any) -> tf.Module:
        """A `tf.Module`; see `exporting.py`."""
        return export(module, run, tensors)


def _check(module: Any, options: NativeOptions) -> None:
    if is_keras_layer(module) and (found := sys.modules["keras"].config.backend()) != "tensorflow":
        raise BackendError(
            f"{type(module).__name__} is a Keras layer, and Keras runs on {found!r} in this process, not on TensorFlow.\n"
            "  Set the environment variable KERAS_BACKEND=tensorflow before Keras is imported."
        )
    if options.state is not None or options.per_sample:
        word = "state" if options.state is not None else "per_sample"
        raise BackendError(
            f"NativeModule got {word}=... with a {type(module).__name__}, and a TensorFlow module takes batches and keeps its own state.\n"
            f"  Leave {word} out; it is for Equinox modules."
        )


def _build(module: Any, examples: Any, channels_first: bool) -> None:
    with tf.init_scope():  # outside of a function that is being traced: variables are made for real, and once
        args, kwargs = map_leaves(_zeros, examples)
        if channels_first:
            args, kwargs = map_leaves(_inwards, (args, kwargs))
        before = [(variable, variable.value()) for variable in getattr(module, "variables", ()) if isinstance(variable, tf.Variable)]
        module(*args, **_with_mode(module, kwargs, False))
        for variable, value in before:
            variable.assign(value)


def _zeros(leaf: Any) -> Any:
    return tf.zeros([1 if size is None else size for size in leaf.shape], leaf.dtype) if isinstance(leaf, TENSORS) else leaf


def _tensor(found: Found) -> NativeTensor:
    storage = found.variable
    if not isinstance(storage, tf.Variable):
        storage = found.variable.value
        setattr(storage, KERAS_VARIABLE, found.variable)
    return NativeTensor(found.name, storage, found.is_parameter and storage.dtype.is_floating)


def _with_mode(function: Any, kwargs: dict[str, Any], training: bool) -> dict[str, Any]:
    if is_keras_layer(function):
        return {"training": training, **kwargs}  # every Keras layer takes it, and hands it on to those inside
    try:
        known = inspect.signature(function).parameters
    except (TypeError, ValueError):  # a function of TensorFlow's own without a signature
        return kwargs
    return {**{name: training for name in _MODE_NAMES if name in known}, **kwargs}


def _widened(leaf: Any) -> Any:
    return tf.cast(leaf, tf.float32) if isinstance(leaf, TENSORS) and leaf.dtype in NARROW_FLOATS else leaf


def _inwards(leaf: Any) -> Any:
    rank = len(leaf.shape) if isinstance(leaf, TENSORS) else 0
    return tf.transpose(leaf, (0, rank - 1, *range(1, rank - 1))) if 3 <= rank <= 5 else leaf


def _outwards(leaf: Any) -> Any:
    rank = len(leaf.shape) if isinstance(leaf, TENSORS) else 0
    return tf.transpose(leaf, (0, *range(2, rank), 1)) if 3 <= rank <= 5 else leaf


def _part(module: Any, name: str | int) -> Any:
    return getattr(module, name) if isinstance(name, str) else module[name]
