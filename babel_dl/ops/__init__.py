"""Tensors and the functions on them, with the names and rules of the Python array API standard, one meaning on every backend."""

from babel_dl.ops.creation import arange, asarray, from_dlpack, full, ones, ones_like, zeros, zeros_like
from babel_dl.ops.elementwise import (
    abs, add, astype, bitwise_and, bitwise_left_shift, bitwise_or, bitwise_right_shift, bitwise_xor, ceil, clip, cos, divide, equal, erf,
    exp, expm1, floor, floor_divide, greater, greater_equal, isfinite, isnan, less, less_equal, log, log1p, logical_and, logical_not,
    logical_or, maximum, minimum, multiply, negative, not_equal, power, remainder, round, sign, sin, sqrt, square, stop_gradient,
    subtract, tanh, where,
)
from babel_dl.ops.neural import (
    average_pool, convolution, elu, gelu, hard_sigmoid, leaky_relu, linear, log_softmax, max_pool, one_hot, relu, sigmoid, silu, softmax,
    softplus,
)
from babel_dl.ops.reduction import all, any, argmax, argmin, argsort, cumulative_sum, logsumexp, matmul, max, mean, min, prod, sum, var
from babel_dl.ops.shape import (
    broadcast_to, concat, expand_dims, flip, getitem, pad, permute_dims, reshape, squeeze, stack, take, take_along_axis, tile,
)
from babel_dl.ops.tensor import ITensor, Tensor, TensorLike

__all__ = [
    "ITensor", "Tensor", "TensorLike", "abs", "add", "all", "any", "arange", "argmax", "argmin", "argsort", "asarray", "astype",
    "average_pool", "bitwise_and", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "broadcast_to", "ceil",
    "clip", "concat", "convolution", "cos", "cumulative_sum", "divide", "elu", "equal", "erf", "exp", "expand_dims", "expm1", "flip",
    "floor", "floor_divide", "from_dlpack", "full", "gelu", "getitem", "greater", "greater_equal", "hard_sigmoid", "isfinite", "isnan",
    "leaky_relu", "less", "less_equal", "linear", "log", "log1p", "log_softmax", "logical_and", "logical_not", "logical_or",
    "logsumexp", "matmul", "max", "max_pool", "maximum", "mean", "min", "minimum", "multiply", "negative", "not_equal", "one_hot",
    "ones", "ones_like", "pad", "permute_dims", "power", "prod", "relu", "remainder", "reshape", "round", "sigmoid", "sign", "silu",
    "sin", "softmax", "softplus", "sqrt", "square", "squeeze", "stack", "stop_gradient", "subtract", "sum", "take", "take_along_axis",
    "tanh", "tile", "var", "where", "zeros", "zeros_like",
]
