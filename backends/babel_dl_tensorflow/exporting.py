"""Our modules as TensorFlow's own: a `tf.Module` that holds our variables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from babel_dl.backend.contract import NativeTensor, Tree


class BabelModule(tf.Module):
    """One of our modules, for TensorFlow. It takes and returns tensors as ours does: channels last.

    `variables` and `trainable_variables` are our own `tf.Variable`s, frozen ones left out of the latter. It works inside `tf.function`,
    under a `tf.GradientTape`, in other modules, and with optimizers of Keras.

    Args:
        module: Ours; kept as `babel_module`.
        run: Calls it.
        tensors: Its variables by path.
    """

    def __init__(self, module: Any, run: Callable[..., Tree], tensors: Sequence[NativeTensor]) -> None:
        super().__init__(name=type(module).__name__)
        self.babel_module = module
        self.tensors = {tensor.name: tensor.storage for tensor in tensors}
        self._run = run

    def __call__(self, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        """What our module returns.

        Args:
            args: As our module takes them.
            training: The mode for this call; None for the one that our module is in.
            kwargs: By name.
        """
        return self._run(args, kwargs, training)


def export(module: Any, run: Callable[..., Tree], tensors: Sequence[NativeTensor]) -> BabelModule:
    """See `NativeModules.export`."""
    return BabelModule(module, run, tensors)
