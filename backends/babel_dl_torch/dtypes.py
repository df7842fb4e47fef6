"""Element types: the contract's words and PyTorch's objects, in both directions."""

import torch

from babel_dl.backend.dtypes import DTYPES, check_dtype
from babel_dl.errors import DTypeError

TORCH_DTYPES: dict[str, torch.dtype] = {name: getattr(torch, name) for name in DTYPES}
"""Word to object. PyTorch stores, converts and joins uint16, uint32 and uint64, and calculates with them hardly at all."""

NAMES: dict[torch.dtype, str] = {dtype: name for name, dtype in TORCH_DTYPES.items()}
"""Object to word."""


def to_torch(dtype: str) -> torch.dtype:
    """PyTorch's object for a word.

    Raises:
        DTypeError: There is no such element type.
    """
    found = TORCH_DTYPES.get(dtype)
    return found if found is not None else TORCH_DTYPES[check_dtype(dtype)]


def to_name(dtype: torch.dtype) -> str:
    """The word for PyTorch's object.

    Raises:
        DTypeError: babel_dl has no word for it: it is complex, quantized or of 8 bit floating point.
    """
    found = NAMES.get(dtype)
    if found is None:
        raise DTypeError(
            f"A tensor of {dtype} came to babel_dl, which knows {', '.join(DTYPES)}.\n  Convert it first, e.g. x.to(torch.float32)."
        )
    return found
