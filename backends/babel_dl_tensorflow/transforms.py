"""Functions of functions: gradients by a tape, speed by tracing."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

# TensorFlow has no public way to pause every open tape, or to ask whether they are; its own custom_gradient uses these.
from tensorflow.python import pywrap_tfe as tapes
from tensorflow.python.eager.record import stop_recording

from babel_dl.backend.contract import Native, Storage, Transforms, Tree
from babel_dl.errors import ArgumentError, did_you_mean
from babel_dl_tensorflow.compilation import Compiled, map_leaves
from babel_dl_tensorflow.creation import EagerTensor, device_names
from babel_dl_tensorflow.loops import CompiledSteps

XLA = "xla"


class TensorFlowTransforms(Transforms):
    """Transforms by `tf.GradientTape` and `tf.function`."""

    def stop_gradient(self, x: Native) -> Native:
        """`tf.stop_gradient`."""
        return tf.stop_gradient(x)

    def without_gradients(self) -> AbstractContextManager[None]:
        """Every open tape pauses, a native one too."""
        return stop_recording()

    def value_and_grad(
        self, fn: Callable[..., tuple[Native, Tree]], storages: Sequence[Storage], inputs: Sequence[Native] = ()
    ) -> tuple[Native, Tree, list[Native | None]]:
        """A `tf.GradientTape` that watches these variables and inputs, and no others."""
        arguments = [tf.identity(native) for native in inputs]  # of their own, so that no other way to the tensor is watched
        sources = [*storages, *arguments]
        with _recording() as was_paused:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                for source in sources:
                    tape.watch(source)
                value, extras = fn(*arguments)
            gradients = [_dense(gradient, source) for gradient, source in zip(tape.gradient(value, sources), sources, strict=True)]
        if was_paused:
            value, extras, gradients = map_leaves(_as_constant, (value, extras, gradients))
        return value, extras, gradients

    def compile(self, fn: Callable[..., Tree], mode: str = "auto") -> Callable[..., Tree]:
        """One `tf.function` for each signature, see `compilation.py`; "off" runs the function as it is.

        Raises:
            ArgumentError: There is no such mode.
        """
        self._check_mode(mode)
        return Compiled(self, fn, mode != "off", mode == XLA)

    def compile_steps(self, fn: Callable[[Tree, Tree], Tree], mode: str = "auto") -> CompiledSteps | None:
        """A `tf.while_loop` over the function that `compile` would call, see `loops.py`; None for "off".

        Raises:
            ArgumentError: There is no such mode.
        """
        self._check_mode(mode)
        return None if mode == "off" else CompiledSteps(Compiled(self, fn, True, mode == XLA), self)

    def _check_mode(self, mode: str) -> None:
        known = ("auto", "off", *self.compile_modes)
        if mode not in known:
            raise ArgumentError(f"compile: backend 'tensorflow' has no mode {mode!r}.{did_you_mean(mode, known)}")

    @property
    def compile_modes(self) -> tuple[str, ...]:
        """`xla`: what was traced is compiled by XLA."""
        return (XLA,)

    def trace_shapes(self, fn: Callable[..., Tree], *arguments: np.ndarray) -> None:
        """`tf.function`, traced and not called."""
        # A trace computes nothing and writes to no variable, and variables are made outside of it.
        specs = [tf.TensorSpec(array.shape, array.dtype) for array in map(np.asarray, arguments)]

        def traced(*natives: Native) -> None:
            fn(*natives)

        tf.function(traced, autograph=False).get_concrete_function(*specs)

    def is_traced(self, x: Native) -> bool:
        """Whether `x` is symbolic; an eager tensor has its values."""
        return isinstance(x, tf.Tensor) and not isinstance(x, EagerTensor)

    def synchronize(self) -> None:
        """Waits for the GPU; on the CPU everything is done when a call returns."""
        if len(device_names()) > 1:
            tf.test.experimental.sync_devices()


@contextmanager
def _recording() -> Iterator[bool]:
    """Tapes record while it is open, although `without_gradients` is around it; tells whether it is."""
    is_paused = tapes.TFE_Py_TapeSetIsStopped()
    if not is_paused:
        yield False
        return
    tapes.TFE_Py_TapeSetRestartOnThread()
    try:
        yield True
    finally:
        tapes.TFE_Py_TapeSetStopOnThread()


def _as_constant(leaf: Any) -> Any:
    return tf.stop_gradient(leaf) if isinstance(leaf, tf.Tensor) else leaf


def _dense(gradient: Any, source: Storage | Native) -> Native | None:
    """The gradient as one tensor: that of a gather comes as rows and their positions."""
    if isinstance(gradient, tf.IndexedSlices):
        rows = source.shape[0]
        return tf.math.unsorted_segment_sum(gradient.values, gradient.indices, tf.shape(source)[0] if rows is None else rows)
    return gradient
