"""IDX files, the format of MNIST and its sisters: plain, or compressed by gzip or xz.

    0 0  element type  number of axes     4 bytes
    size of each axis                     4 bytes each, big-endian
    the elements, C order                 big-endian

Source: http://yann.lecun.com/exdb/mnist
"""

import gzip
import hashlib
import lzma
import math
import zlib
from pathlib import Path

import numpy as np

from babel_dl.errors import DataError

ELEMENT_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

_GZIP, _XZ = b"\x1f\x8b", b"\xfd7zXZ\x00"


def read_idx(path: str | Path, sha256: str | None = None) -> np.ndarray:
    """The array in an IDX file.

    Args:
        path: The file; compression is seen from its first bytes.
        sha256: The hexadecimal SHA-256 that the decompressed bytes must have; `None` not to check.

    Returns:
        A new array in the machine's byte order.

    Raises:
        DataError: The file cannot be read, is truncated, altered, or no IDX file; the sizes expected and found are named.
    """
    content = read_decompressed(path)
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256:
        parse_idx(content, path)  # a truncated file gets the clearer message
        raise DataError(
            f"The file {path} is not the one that was published.\n"
            f"  Its decompressed content has the SHA-256 {found}, expected {sha256}.\n"
            f"  Delete it and fetch it again."
        )
    return parse_idx(content, path)


def read_decompressed(path: str | Path) -> bytes:
    """The content of a file, decompressed if it is gzip or xz.

    Args:
        path: The file.

    Raises:
        DataError: The file cannot be read, or its compressed data is truncated or altered.
    """
    try:
        content = Path(path).read_bytes()
        if content.startswith(_GZIP):
            return gzip.decompress(content)
        return lzma.decompress(content) if content.startswith(_XZ) else content
    except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError) as error:
        raise DataError(
            f"The compressed file {path} is truncated or altered.\n  {type(error).__name__}: {error}\n  Delete it and fetch it again."
        ) from error
    except OSError as error:
        raise DataError(f"The file {path} cannot be read.\n  {type(error).__name__}: {error}") from error


def parse_idx(content: bytes, name: str | Path) -> np.ndarray:
    """The array in the bytes of an IDX file.

    Args:
        content: All bytes, decompressed.
        name: Where they came from, for the message.

    Raises:
        DataError: The bytes are no IDX file, or too few or too many; the sizes expected and found are named.
    """
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in ELEMENT_TYPES:
        raise DataError(
            f"The file {name} is no IDX file: it starts with the bytes {content[:4].hex(' ') or '(none)'}.\n"
            f"  Expected 00 00, an element type ({', '.join(f'{code:02x}' for code in ELEMENT_TYPES)}) and the number of axes."
        )
    dtype, header = np.dtype(ELEMENT_TYPES[content[2]]), 4 + 4 * content[3]
    if len(content) < header:
        raise DataError(f"The IDX file {name} ends in its header: expected {header} bytes for {content[3]} axes, found {len(content)}.")
    shape = tuple(int.from_bytes(content[place : place + 4], "big") for place in range(4, header, 4))
    expected = header + math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        raise DataError(
            f"The IDX file {name} is {'truncated' if len(content) < expected else 'too long'} or altered.\n"
            f"  Its header announces shape {shape} of {dtype.name}: expected {expected} bytes, found {len(content)}."
        )
    return np.frombuffer(content, dtype, offset=header).reshape(shape).astype(dtype.newbyteorder("="))


def format_idx(array: np.ndarray) -> bytes:
    """The bytes of an IDX file.

    Args:
        array: Of a type that the format has.

    Raises:
        DataError: The format has no such element type.
    """
    codes = {np.dtype(name).newbyteorder("=").name: code for code, name in ELEMENT_TYPES.items()}
    if array.dtype.name not in codes:
        raise DataError(f"An IDX file cannot hold {array.dtype.name}. It holds: {', '.join(codes)}.")
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    big_endian = array.astype(array.dtype.newbyteorder(">"))
    return bytes([0, 0, codes[array.dtype.name], array.ndim]) + sizes + big_endian.tobytes()
