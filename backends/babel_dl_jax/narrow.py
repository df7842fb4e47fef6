"""bfloat16 and float16: sums are formed in float32, and rounded once.

XLA adds up in the type it is given, also where a gradient adds up what was broadcast: in bfloat16 ones stop counting at 256, and the
gradient of an offset was a quarter off. Under `jax.jit` the casts vanish into the loops around them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from babel_dl.backend.contract import Native

_NARROW = frozenset(("bfloat16", "float16"))
_FLOAT32 = np.dtype(np.float32)


def is_narrow(x: Native) -> bool:
    """Whether it is bfloat16 or float16."""
    dtype = x.dtype
    return dtype.itemsize == 2 and dtype.name in _NARROW


def in_float32(function: Callable[..., Native], *arguments: Any) -> Native:
    """The function of its narrow tensors in float32, in the type of the first of them."""
    return function(*map(_widened, arguments)).astype(arguments[0].dtype)


def broadcasts_narrow(x: Any, y: Any) -> bool:
    """Whether both are narrow tensors, of different shapes."""
    dtype = getattr(x, "dtype", _FLOAT32)
    return dtype.itemsize == 2 and getattr(y, "dtype", _FLOAT32) == dtype and x.shape != y.shape and dtype.name in _NARROW


def with_bias(product: Native, bias: Native | None) -> Native:
    """The sum with an offset of the last axis."""
    if bias is None:
        return product
    return in_float32(lambda wide, offset: wide + offset, product, bias) if is_narrow(product) else product + bias


def _widened(argument: Any) -> Any:
    return argument.astype(_FLOAT32) if hasattr(argument, "dtype") and is_narrow(argument) else argument
