"""bfloat16 and float16: sums are formed in float32, and rounded once.

TensorFlow's CPU kernels add up in the type they are given: a mean of float16 lost seven times what its rounding loses, the gradient of an
offset a quarter of itself. Its own convolutions lose as much, and take ten times as long as in float32; oneDNN does the types that it
knows there right.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from babel_dl.backend.contract import Native
from babel_dl_tensorflow.convolution import groups_have_gradients
from babel_dl_tensorflow.creation import TENSORS, device_names
from babel_dl_tensorflow.dtypes import NARROW_FLOATS

raw: Any = tf.raw_ops


def in_float32(function: Callable[..., Native], *arguments: Any) -> Native:
    """The function of its narrow tensors in float32, in the type of the first of them."""
    return raw.Cast(x=function(*map(widened, arguments)), DstT=arguments[0].dtype)


def lacks_kernels(x: Native) -> bool:
    """Whether convolutions and windows of its type are better computed in float32: where neither oneDNN nor a GPU has them."""
    return x.dtype in NARROW_FLOATS and not groups_have_gradients(x.dtype)


def with_bias(product: Native, bias: Native | None) -> Native:
    """The sum with an offset of the last axis."""
    if bias is None:
        return product
    if product.dtype in NARROW_FLOATS and len(device_names()) == 1:  # a GPU's kernel adds up its gradient in float32
        return in_float32(with_bias, product, bias)
    return raw.BiasAdd(value=product, bias=bias) if len(product.shape) > 1 else raw.AddV2(x=product, y=bias)


def widened(argument: Any) -> Any:
    """A narrow tensor in float32; anything else as it is."""
    is_narrow = isinstance(argument, TENSORS) and argument.dtype in NARROW_FLOATS
    return raw.Cast(x=argument, DstT=tf.float32) if is_narrow else argument
