"""Element types as words, and JAX's own."""

import jax
import jax.numpy as jnp
import numpy as np

from babel_dl.backend.dtypes import DTYPES, check_dtype
from babel_dl.errors import DTypeError

NATIVE: dict[str, np.dtype] = {name: np.dtype(getattr(jnp, "bool_" if name == "bool" else name)) for name in DTYPES}
WORDS: dict[np.dtype, str] = {native: word for word, native in NATIVE.items()}

_WIDE = frozenset({"int64", "uint64", "float64"})


def native_dtype(word: str) -> np.dtype:
    """JAX's type for a word.

    Raises:
        DTypeError: There is no such word, or it has 64 bits while JAX is switched to 32.
    """
    native = NATIVE.get(word)
    if native is None or word in _WIDE:
        _check_wide(check_dtype(word))
    return NATIVE[word]


def dtype_word(native: np.dtype) -> str:
    """The word for JAX's or numpy's type.

    Raises:
        DTypeError: The contract has no such type (complex, 4 and 8 bit floats).
    """
    word = WORDS.get(native)
    if word is None:
        raise DTypeError(f"babel_dl has no element type {str(native)!r}. Cast the tensor first, to one of: {', '.join(DTYPES)}.")
    return word


def check_host_dtype(native: np.dtype) -> None:
    """Refuses a numpy type that JAX would silently narrow.

    Raises:
        DTypeError: It has 64 bits while JAX is switched to 32, or the contract has no such type.
    """
    if native.itemsize == 8 or native not in WORDS:
        native_dtype(dtype_word(native))


def _check_wide(word: str) -> None:
    if word in _WIDE and not jax.config.jax_enable_x64:  # pyright: ignore[reportAttributeAccessIssue]
        narrow = word.replace("64", "32")
        raise DTypeError(
            f"JAX was asked for element type {word!r}, and is switched to 32 bits: it would hand out {narrow!r} and say nothing.\n"
            f"  Use {narrow!r}, or start Python with JAX_ENABLE_X64=1."
        )
