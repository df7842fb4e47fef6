"""Element types: the contract's words, and TensorFlow's objects for them."""

import tensorflow as tf

from babel_dl.backend.dtypes import DTYPES, check_dtype

NATIVE: dict[str, tf.DType] = {name: tf.as_dtype(name) for name in DTYPES}

UNSIGNED = frozenset(NATIVE[name] for name in ("uint8", "uint16", "uint32", "uint64"))
INDICES = frozenset((tf.int32, tf.int64))
"""The types that TensorFlow's kernels take positions in."""
NARROW_FLOATS = frozenset((tf.float16, tf.bfloat16))


def native_dtype(name: str) -> tf.DType:
    """TensorFlow's object for a word.

    Raises:
        DTypeError: There is no such type; the nearest name is offered.
    """
    found = NATIVE.get(name)
    return NATIVE[check_dtype(name)] if found is None else found
