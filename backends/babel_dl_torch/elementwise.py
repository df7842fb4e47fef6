"""Functions of each element: PyTorch's own, bound directly, so that a call costs what it costs there."""

import operator
from typing import Any

import torch
from torch import Tensor

from babel_dl.backend.contract import Elementwise
from babel_dl_torch.binding import bound

Operand = Any


def _tensors(x: Operand, y: Operand) -> tuple[Tensor, Tensor]:
    # torch.maximum takes tensors only; torch.clamp would take the number, but gives all of a tie's gradient to x instead of half
    if not isinstance(y, Tensor):
        return x, torch.scalar_tensor(y, dtype=x.dtype, device=x.device)
    if not isinstance(x, Tensor):
        return torch.scalar_tensor(x, dtype=y.dtype, device=y.device), y
    return x, y


class TorchElementwise(Elementwise):
    """Arithmetic, comparisons and elementary functions. Comparisons go by operators: torch.eq and its like want a tensor first."""

    add = bound(torch.add)
    subtract = bound(torch.sub)
    multiply = bound(torch.mul)
    divide = bound(torch.div)
    floor_divide = bound(torch.floor_divide)
    remainder = bound(torch.remainder)
    power = bound(torch.pow)

    def maximum(self, x: Operand, y: Operand) -> Tensor:
        """`torch.maximum`, also with a number on one side."""
        return torch.maximum(*_tensors(x, y))

    def minimum(self, x: Operand, y: Operand) -> Tensor:
        """`torch.minimum`, also with a number on one side."""
        return torch.minimum(*_tensors(x, y))

    equal = bound(operator.eq)
    not_equal = bound(operator.ne)
    less = bound(operator.lt)
    less_equal = bound(operator.le)
    greater = bound(operator.gt)
    greater_equal = bound(operator.ge)
    bitwise_and = bound(torch.bitwise_and)
    bitwise_or = bound(torch.bitwise_or)
    bitwise_xor = bound(torch.bitwise_xor)
    bitwise_left_shift = bound(torch.bitwise_left_shift)
    bitwise_right_shift = bound(torch.bitwise_right_shift)
    logical_not = bound(torch.logical_not)
    negative = bound(torch.neg)
    abs = bound(torch.abs)
    sign = bound(torch.sign)
    square = bound(torch.square)
    sqrt = bound(torch.sqrt)
    exp = bound(torch.exp)
    expm1 = bound(torch.expm1)
    log = bound(torch.log)
    log1p = bound(torch.log1p)
    sin = bound(torch.sin)
    cos = bound(torch.cos)
    tanh = bound(torch.tanh)
    erf = bound(torch.erf)
    floor = bound(torch.floor)
    ceil = bound(torch.ceil)
    round = bound(torch.round)
    isnan = bound(torch.isnan)
    isfinite = bound(torch.isfinite)
    where = bound(torch.where)
