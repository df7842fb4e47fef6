"""The header of a checkpoint file: the layout of safetensors, and the digests by which damage is found.

    8 bytes    length of the JSON that follows, little-endian
    JSON       "__metadata__": {"format_version", "metadata", "tensors", "digest"}, all strings; then for each tensor its
               "dtype", "shape" and "data_offsets"; spaces up to a multiple of 8 bytes
    data       the tensors one after another, no gap

`metadata` is the caller's, as JSON. `tensors` maps each name to the SHA-256 of its dtype, shape and bytes. `digest` is the SHA-256 of
the three others. A flipped bit thus either breaks the JSON, or the layout that safetensors checks, or one of the digests.

The library's own writer is not used: it names its temporary file itself, so that a kill leaves files that nobody can clean up, and it
takes the bytes of a strided array in the order of memory, which permutes the values.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np

from babel_dl.errors import CheckpointError

FORMAT_VERSION = 1
MAX_HEADER_BYTES = 100_000_000
"""What safetensors accepts."""

_CODES = {
    "bool": "BOOL", "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64", "uint8": "U8", "uint16": "U16", "uint32": "U32",
    "uint64": "U64", "float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64",
}
_BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


def canonical(name: str, tensor: Any) -> np.ndarray:
    """The tensor as it is written: C-contiguous, little-endian. No copy where it is so already.

    Raises:
        CheckpointError: The name or the element type cannot be written.
    """
    if not isinstance(name, str) or not name or name == "__metadata__" or not name.isprintable():
        raise CheckpointError(f"A tensor cannot be saved under the name {name!r}. Use printable text, such as '/linear/weight'.")
    array = np.asarray(tensor)
    if array.dtype.name not in _CODES:
        raise CheckpointError(
            f"Tensor {name!r} has the element type {array.dtype}, which a checkpoint cannot hold.\n"
            f"  It can hold {', '.join(_CODES)}. Put text and other things into the metadata."
        )
    if array.dtype != _BFLOAT16 and array.dtype.newbyteorder("<") != array.dtype:
        array = array.astype(array.dtype.newbyteorder("<"))
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


def tensor_bytes(array: np.ndarray) -> memoryview:
    """The bytes of a canonical tensor, without a copy."""
    return array.reshape(-1).view(np.uint8).data


def tensor_digest(array: np.ndarray) -> str:
    """The SHA-256 of a canonical tensor's dtype, shape and bytes, as 64 hexadecimal digits."""
    digest = hashlib.sha256(f"{_CODES[array.dtype.name]} {array.shape} ".encode())
    digest.update(tensor_bytes(array))
    return digest.hexdigest()


def ordered(tensors: Mapping[str, np.ndarray]) -> list[str]:
    """The names in the order of the file: wide element types first, so that each tensor is aligned to its own width."""
    return sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))


def encode_header(tensors: Mapping[str, np.ndarray], metadata: dict[str, Any]) -> bytes:
    """All bytes of the file that stand before the data.

    Args:
        tensors: Canonical tensors by name.
        metadata: What JSON can say.

    Raises:
        CheckpointError: The metadata holds what JSON cannot say, or the header becomes larger than safetensors reads.
    """
    check_json(metadata, "metadata")
    sealed = {
        "format_version": str(FORMAT_VERSION),
        "metadata": json.dumps(metadata),
        "tensors": json.dumps({name: tensor_digest(tensors[name]) for name in ordered(tensors)}),
    }
    header: dict[str, Any] = {"__metadata__": {**sealed, "digest": seal(sealed)}}
    offset = 0
    for name in ordered(tensors):
        array = tensors[name]
        end = offset + array.nbytes
        header[name] = {"dtype": _CODES[array.dtype.name], "shape": list(array.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER_BYTES:
        raise CheckpointError(
            f"The names and metadata of the checkpoint take {len(text):,} bytes; at most {MAX_HEADER_BYTES:,} can be read back.\n"
            f"  Save large arrays as tensors, not in the metadata."
        )
    return struct.pack("<Q", len(text)) + text


def seal(sealed: Mapping[str, str]) -> str:
    """The SHA-256 over the strings of `__metadata__`, each with its key and length, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for key in ("format_version", "metadata", "tensors"):
        text = sealed[key].encode()
        digest.update(f"{key} {len(text)} ".encode() + text)
    return digest.hexdigest()


def check_json(value: Any, where: str) -> None:
    """Refuses what would come back from JSON as something else. Tuples are allowed, and come back as lists; so are NaN and infinity.

    Raises:
        CheckpointError: A value is no JSON, or a key is no text; the place is named.
    """
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise CheckpointError(f"{where} has the key {key!r} ({type(key).__name__}); JSON keys are text. Use {str(key)!r}.")
            check_json(item, f"{where}[{key!r}]")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            check_json(item, f"{where}[{index}]")
    elif type(value) not in (str, int, float, bool, type(None)):
        hint = "Convert it with .item()." if isinstance(value, np.generic) else "Save arrays as tensors, other objects as text or numbers."
        raise CheckpointError(f"{where} is a {type(value).__module__}.{type(value).__qualname__}, which JSON cannot say. {hint}")
