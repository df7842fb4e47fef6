"""Small constants that operations ask for: shapes, axes, and Python numbers as tensors.

TensorFlow makes a tensor of a tuple in 15 us, three times the cost of the operation that wants it. Eagerly they are made once and kept; in
a graph they are constants of it.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf

Integers = int | tuple[int, ...] | tuple[tuple[int, int], ...]


def integers(values: Integers) -> Any:
    """Sizes, axes or pairs as something an operation takes as an int32 tensor."""
    return _kept_integers(values) if tf.executing_eagerly() else np.asarray(values, np.int32)


def scalar(value: bool | int | float, dtype: tf.DType) -> tf.Tensor:
    """A Python number as a tensor of a type that can hold it."""
    if not tf.executing_eagerly():
        return tf.constant(_rounded(value, dtype))
    negative_zero = value == 0 and np.signbit(value)
    return _kept_scalar(value, dtype, negative_zero)


@lru_cache(maxsize=4096)
def _kept_integers(values: Integers) -> tf.Tensor:
    with tf.device("/device:CPU:0"):
        return tf.constant(np.asarray(values, np.int32))


@lru_cache(maxsize=1024)
def _kept_scalar(value: bool | int | float, dtype: tf.DType, negative_zero: bool) -> tf.Tensor:
    # `negative_zero` tells -0.0 from 0.0, which are equal as keys.
    del negative_zero
    with tf.device("/device:CPU:0"):
        return tf.constant(_rounded(value, dtype))


def _rounded(value: bool | int | float, dtype: tf.DType) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.asarray(value).astype(dtype.as_numpy_dtype)
