"""Fused rules of optimisers: one kernel for each variable, which updates it and its moments in place."""

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from babel_dl.backend.contract import Native, Storage
from babel_dl_tensorflow.constants import scalar

raw: Any = tf.raw_ops

_FUSED_ADAM_FROM = 2**16
"""Elements from which the kernel is faster. Four variables of 65,536: 282 against 549 us; of 4,096, which it spreads over threads already:
163 against 58 us."""


def sgd(
    parameters: Sequence[Storage],
    gradients: Sequence[Native],
    momenta: Sequence[Storage] | None,
    learning_rate: Native,
    momentum: float | Native,
    nesterov: bool,
    weight_decay: float,
) -> None:
    """`contract.KERNELS["sgd"]` by `ResourceApplyMomentum`, which has the same rule."""
    for position, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
        dtype = parameter.dtype
        rate = _as(dtype, learning_rate)
        gradient = _decayed(gradient, parameter, weight_decay)
        if momenta is None:
            raw.ResourceApplyGradientDescent(var=parameter.handle, alpha=rate, delta=gradient)
        else:
            raw.ResourceApplyMomentum(
                var=parameter.handle, accum=momenta[position].handle, lr=rate, grad=gradient, momentum=_as(dtype, momentum),
                use_nesterov=nesterov,
            )


def adam(
    parameters: Sequence[Storage],
    gradients: Sequence[Native],
    first_moments: Sequence[Storage],
    second_moments: Sequence[Storage],
    step: Native,
    learning_rate: Native,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
) -> None:
    """`contract.KERNELS["adam"]` by `ResourceApplyAdam` for large variables, and by the arithmetic of the rule for small ones."""
    corrections = (_correction(beta1, step), _correction(beta2, step))
    kept = 1.0 - learning_rate * weight_decay
    for parameter, gradient, first, second in zip(parameters, gradients, first_moments, second_moments, strict=True):
        if decoupled and weight_decay:
            parameter.assign(parameter.value() * _as(parameter.dtype, kept), read_value=False)
        elif weight_decay:
            gradient = _decayed(gradient, parameter, weight_decay)
        update = _fused_adam if parameter.shape.num_elements() >= _FUSED_ADAM_FROM else _plain_adam
        update(parameter, gradient, first, second, corrections, learning_rate, (beta1, beta2), eps)


def _correction(beta: float, step: Native) -> Native:
    """1 - beta**step. By expm1, because beta**step is near 1 at first and its rounding would be all that is left."""
    return -raw.Expm1(x=step * scalar(math.log(beta), tf.float32)) if beta > 0 else scalar(1.0, tf.float32)


def _fused_adam(
    parameter: Storage, gradient: Native, first: Storage, second: Storage, corrections: tuple[Native, Native], learning_rate: Native,
    betas: tuple[float, float], eps: float,
) -> None:
    dtype = parameter.dtype
    # The kernel would form 1 - power in float32, and adds its epsilon to the square root before that is corrected: so the corrections go
    # into the learning rate and the epsilon, and the powers are 0.
    root, zero = raw.Sqrt(x=corrections[1]), scalar(0.0, dtype)
    rate, small = learning_rate * root / corrections[0], eps * root
    raw.ResourceApplyAdam(
        var=parameter.handle, m=first.handle, v=second.handle, beta1_power=zero, beta2_power=zero,
        lr=_as(dtype, rate), beta1=scalar(betas[0], dtype), beta2=scalar(betas[1], dtype), epsilon=_as(dtype, small),
        grad=gradient,
    )


def _plain_adam(
    parameter: Storage, gradient: Native, first: Storage, second: Storage, corrections: tuple[Native, Native], learning_rate: Native,
    betas: tuple[float, float], eps: float,
) -> None:
    dtype = parameter.dtype
    new_first = scalar(betas[0], dtype) * first.value() + scalar(1.0 - betas[0], dtype) * gradient
    new_second = scalar(betas[1], dtype) * second.value() + scalar(1.0 - betas[1], dtype) * raw.Square(x=gradient)
    # Both corrections become factors, so that one root and one quotient is all that is formed for each element.
    rate = _as(dtype, learning_rate / corrections[0])
    root = raw.Sqrt(x=new_second) * _as(dtype, raw.Rsqrt(x=corrections[1])) + scalar(eps, dtype)
    first.assign(new_first, read_value=False)
    second.assign(new_second, read_value=False)
    parameter.assign_sub(rate * new_first / root, read_value=False)


def _as(dtype: tf.DType, value: float | Native) -> Native:
    if isinstance(value, float | int):
        return scalar(value, dtype)
    return value if value.dtype is dtype else raw.Cast(x=value, DstT=dtype)


def _decayed(gradient: Native, parameter: Storage, weight_decay: float) -> Native:
    """gradient + weight_decay * parameter."""
    return gradient + scalar(weight_decay, parameter.dtype) * parameter.value() if weight_decay else gradient
