"""Variables: values that outlive a step, in `tf.Variable`."""

from typing import Any

import numpy as np
import tensorflow as tf

from babel_dl.backend.contract import Native, State, Storage
from babel_dl_tensorflow.creation import placed
from babel_dl_tensorflow.dtypes import native_dtype

KERAS_VARIABLE = "_babel_dl_keras_variable"
"""The attribute in which a `tf.Variable` of a Keras layer keeps the Keras variable that it belongs to."""


class TensorFlowState(State):
    """Storages are `tf.Variable`; TensorFlow orders reads and writes in a traced function by itself."""

    def variable(self, value: np.ndarray, dtype: str, trainable: bool, name: str) -> Storage:
        """A `tf.Variable` on the device in force."""
        target = native_dtype(dtype)
        initial: Any = np.asarray(value).astype(target.as_numpy_dtype, copy=False)
        with tf.init_scope(), placed(self):  # outside of a function that is being traced
            # Unless lifting is off, tf.function takes the variable for one of its own, and traces a second time.
            return tf.Variable(initial, trainable=trainable, name=name, dtype=target, experimental_enable_variable_lifting=False)

    def read(self, storage: Storage) -> Native:
        """`tf.Variable.value`."""
        return storage.value()

    def assign(self, storage: Storage, value: Native) -> None:
        """`tf.Variable.assign`, without a tensor of the result."""
        storage.assign(value, read_value=False)

    def fill(self, storage: Storage, number: float) -> None:
        """An assignment of `tf.fill`."""
        storage.assign(tf.fill(storage.shape, tf.constant(number, storage.dtype)), read_value=False)

    def set_trainable(self, storage: Storage, trainable: bool) -> None:
        """A private field, for `tf.Variable` has no public way after it is made; and the Keras variable around it, if there is one."""
        # `value_and_grad` watches what it is told to; this is for native tapes, which watch what is trainable.
        storage._trainable = trainable
        keras_variable = getattr(storage, KERAS_VARIABLE, None)
        if keras_variable is not None:
            keras_variable.trainable = trainable
