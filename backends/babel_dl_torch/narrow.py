"""bfloat16 and float16: which functions go by way of float32, so that a result is rounded once, and why.

PyTorch adds up in float32 in most kernels, but not in all gradients: those of scale and offset of a layer normalisation, and of windows
that overlap, add up in the narrow type. And a CPU has fast kernels of matrix products and convolutions only for types that oneDNN knows
there; the others take ten to a hundred times as long, and lose two more bits.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

NARROW = frozenset((torch.bfloat16, torch.float16))

_QUESTIONS = {torch.bfloat16: "_is_mkldnn_bf16_supported", torch.float16: "_is_mkldnn_fp16_supported"}
"""What PyTorch's own compiler asks; there is no public question."""


def lacks_kernels(x: Tensor) -> bool:
    """Whether products and convolutions of this narrow type are better computed in float32 where the tensor lives."""
    return x.is_cpu and x.dtype not in _KNOWN_TO_CPU


def in_float32(function: Callable[..., Tensor], *arguments: Any) -> Tensor:
    """The function of its tensors in float32, in the type of the first of them."""
    return function(*[argument.float() if isinstance(argument, Tensor) else argument for argument in arguments]).to(arguments[0].dtype)


def widened(*parts: Tensor | None) -> list[Tensor | None]:
    """The tensors in float32; None stays."""
    return [None if part is None else part.float() for part in parts]


def _known_to_cpu() -> frozenset[torch.dtype]:
    questions = {dtype: getattr(torch.ops.mkldnn, name, None) for dtype, name in _QUESTIONS.items()}
    known = [dtype for dtype, question in questions.items() if question is not None and question()]
    return frozenset(known) if torch.backends.mkldnn.is_available() else frozenset()


_KNOWN_TO_CPU = _known_to_cpu()
"""Asked once, because `torch.compile` cannot ask."""
