"""Optimizer rules by PyTorch's fused kernels, and by its list functions where those cannot be used.

The fused kernels of the CPU walk through raw memory: parameter, gradient and moments must have the same strides and the same type.
"""

from collections.abc import Sequence
from itertools import cycle
from typing import Any

import torch
from torch import Tensor

from babel_dl_torch.state import Cell, replace
from babel_dl_torch.tracing import is_tracing

lists: Any = torch
"""Where the fused and the list functions are. PyTorch exports them under private names, without types."""


def sgd(
    parameters: Sequence[Cell],
    gradients: Sequence[Tensor],
    momenta: Sequence[Cell] | None,
    learning_rate: Tensor,
    momentum: float | Tensor,
    nesterov: bool,
    weight_decay: float,
) -> None:
    """The rule `sgd` of `babel_dl.backend.contract.KERNELS`."""
    leaves, kept = _leaves(parameters), _leaves(momenta or ())
    with torch.no_grad():
        aligned = _aligned(leaves, gradients, kept)
        if aligned is None and _lay_out(leaves, momenta or ()):
            kept = _leaves(momenta or ())
            aligned = _aligned(leaves, gradients, kept)
        waits = isinstance(momentum, Tensor) and not momentum.is_cpu  # reading it would wait for the GPU
        if aligned is None or waits or (kept and float(momentum) == 0):  # the fused kernel refuses momenta beside a momentum of 0
            _sgd_by_lists(leaves, gradients, kept, learning_rate, momentum, nesterov, weight_decay)
            return
        lists._fused_sgd_(
            leaves, aligned, kept, weight_decay=weight_decay, momentum=float(momentum), lr=learning_rate, dampening=0.0,
            nesterov=nesterov, maximize=False, is_first_step=False,
        )


def adam(
    parameters: Sequence[Cell],
    gradients: Sequence[Tensor],
    first_moments: Sequence[Cell],
    second_moments: Sequence[Cell],
    step: Tensor,
    learning_rate: Tensor,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
) -> None:
    """The rule `adam` of `babel_dl.backend.contract.KERNELS`."""
    leaves, firsts, seconds = _leaves(parameters), _leaves(first_moments), _leaves(second_moments)
    with torch.no_grad():
        aligned = _aligned(leaves, gradients, firsts, seconds)
        if aligned is None and _lay_out(leaves, [*first_moments, *second_moments]):
            firsts, seconds = _leaves(first_moments), _leaves(second_moments)
            aligned = _aligned(leaves, gradients, firsts, seconds)
        if aligned is None:
            _adam_by_lists(leaves, gradients, firsts, seconds, step, learning_rate, beta1, beta2, eps, weight_decay, decoupled)
            return
        fused = lists._fused_adamw_ if decoupled else lists._fused_adam_
        fused(
            leaves, aligned, firsts, seconds, [], [step] * len(leaves), lr=learning_rate, beta1=beta1, beta2=beta2,
            weight_decay=weight_decay, eps=eps, amsgrad=False, maximize=False,
        )


def average(averages: Sequence[Cell], values: Sequence[Tensor], weight: Tensor) -> None:
    """The rule `average` of `babel_dl.backend.contract.KERNELS`."""
    kept = _leaves(averages)
    with torch.no_grad():
        steps = lists._foreach_sub([value.detach() for value in values], kept)
        lists._foreach_mul_(steps, weight)
        lists._foreach_add_(kept, steps)


def track(counter: Cell, averages: Sequence[Cell], values: Sequence[Tensor], factors: Sequence[float], weight: float) -> None:
    """The rule `track` of `babel_dl.backend.contract.KERNELS`: new leaves, and no copies of them."""
    with torch.no_grad():
        scaled = [value.detach() if factor == 1 else value.detach() * factor for value, factor in zip(values, factors, strict=True)]
        replace(counter, counter.tensor + 1)
        for cell, value in zip(averages, lists._foreach_lerp(_leaves(averages), scaled, weight), strict=True):
            replace(cell, value)


def _leaves(cells: Sequence[Cell]) -> list[Tensor]:
    return [cell.tensor for cell in cells]


def _aligned(parameters: list[Tensor], gradients: Sequence[Tensor], *moments: list[Tensor]) -> list[Tensor] | None:
    """The gradients with the strides of their parameters; None where no fused kernel takes these lists."""
    if not parameters or is_tracing():
        return None
    aligned, dtype = list(gradients), parameters[0].dtype
    for place, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
        if parameter.dtype is not dtype or gradient.dtype is not dtype:
            return None
        if gradient.stride() != parameter.stride():  # e.g. the gradient of a sum, one number seen many times
            aligned[place] = torch.empty_like(parameter).copy_(gradient)
    for kept in moments:
        for parameter, moment in zip(parameters, kept, strict=bool(kept)):
            if moment.dtype is not dtype or moment.stride() != parameter.stride():
                return None
    return aligned


def _lay_out(parameters: list[Tensor], kept: Sequence[Cell]) -> bool:
    """Lays moments out in the memory order of their parameters, which in a PyTorch module is the module's own; once and for all.

    Returns:
        Whether one lay otherwise before.
    """
    if is_tracing():
        return False
    found = False
    for parameter, cell in zip(cycle(parameters), kept, strict=False):  # the moments of one kind come behind those of the other
        if cell.tensor.dtype is parameter.dtype and cell.tensor.stride() != parameter.stride():
            cell.tensor = torch.empty_like(parameter).copy_(cell.tensor)
            found = True
    return found


def _sgd_by_lists(
    parameters: list[Tensor],
    gradients: Sequence[Tensor],
    momenta: list[Tensor],
    learning_rate: Tensor,
    momentum: float | Tensor,
    nesterov: bool,
    weight_decay: float,
) -> None:
    if not parameters:
        return
    if weight_decay:
        gradients = lists._foreach_add(gradients, parameters, alpha=weight_decay)
    if momenta:
        lists._foreach_mul_(momenta, momentum)
        lists._foreach_add_(momenta, gradients)
        gradients = lists._foreach_add(gradients, lists._foreach_mul(momenta, momentum)) if nesterov else momenta
    lists._foreach_sub_(parameters, lists._foreach_mul(gradients, learning_rate))


def _adam_by_lists(
    parameters: list[Tensor],
    gradients: Sequence[Tensor],
    first_moments: list[Tensor],
    second_moments: list[Tensor],
    step: Tensor,
    learning_rate: Tensor,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
) -> None:
    if not parameters:
        return
    if weight_decay and decoupled:
        lists._foreach_mul_(parameters, 1 - learning_rate * weight_decay)
    elif weight_decay:
        gradients = lists._foreach_add(gradients, parameters, alpha=weight_decay)
    lists._foreach_lerp_(first_moments, gradients, 1 - beta1)
    lists._foreach_mul_(second_moments, beta2)
    lists._foreach_addcmul_(second_moments, gradients, gradients, 1 - beta2)
    divisors = lists._foreach_div(second_moments, 1 - beta2**step)
    lists._foreach_sqrt_(divisors)
    lists._foreach_add_(divisors, eps)
    updates = lists._foreach_div(first_moments, divisors)
    lists._foreach_mul_(updates, learning_rate / (1 - beta1**step))
    lists._foreach_sub_(parameters, updates)
