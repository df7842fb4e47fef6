"""IDX files, whole and damaged."""

import gzip
import hashlib
import lzma
import re
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from babel_dl.data import read_idx
from babel_dl.data.sources.idx import format_idx
from babel_dl.errors import DataError

# magic number 0x00000803 and sizes, as the page of MNIST describes the file of training pictures
SMALL = struct.pack(">IIII", 0x0803, 2, 2, 3) + bytes(range(12))


def write(tmp_path, content, name="pictures.idx"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress], ids=["plain", "gzip", "xz"])
def test_file_is_read_whatever_its_compression(tmp_path, pack):
    array = read_idx(write(tmp_path, pack(SMALL)))
    assert array.dtype == np.uint8 and np.array_equal(array, np.arange(12).reshape(2, 2, 3))


@pytest.mark.parametrize(("code", "letter"), [(0x08, "B"), (0x09, "b"), (0x0B, "h"), (0x0C, "i"), (0x0D, "f"), (0x0E, "d")])
def test_all_element_types_are_read_in_their_byte_order(tmp_path, code, letter):
    values = [1, 2, 100] if letter in "Bb" else [1, -2, 300]
    array = read_idx(write(tmp_path, bytes([0, 0, code, 1]) + struct.pack(">I", 3) + struct.pack(f">3{letter}", *values)))
    assert array.tolist() == values and array.dtype == np.dtype(letter)


def test_published_mnist_is_read(mnist_folder):
    images = read_idx(mnist_folder / "t10k-images-idx3-ubyte.gz")
    labels = read_idx(mnist_folder / "t10k-labels-idx1-ubyte.gz")
    assert images.shape == (10000, 28, 28) and np.bincount(labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@given(hnp.arrays(st.sampled_from(["u1", "i1", "<i2", ">i4", "<f4", ">f8"]).map(np.dtype), hnp.array_shapes(min_dims=0, max_dims=4)))
def test_written_arrays_come_back(tmp_path_factory, array):
    path = tmp_path_factory.mktemp("idx") / "array"
    path.write_bytes(format_idx(array))
    result = read_idx(path)
    assert result.shape == array.shape and result.tobytes() == array.astype(result.dtype).tobytes()


@pytest.mark.parametrize("length", [0, 1, 3])
def test_file_without_a_header_is_refused(tmp_path, length):
    path = write(tmp_path, SMALL[:length])
    start = SMALL[:length].hex(" ") or ".none"
    with pytest.raises(DataError, match=f"The file {re.escape(str(path))} is no IDX file: it starts with the bytes {start}"):
        read_idx(path)


@pytest.mark.parametrize("length", [4, 10, 15])
def test_file_that_ends_in_its_header_is_refused(tmp_path, length):
    with pytest.raises(DataError, match=f"pictures.idx ends in its header: expected 16 bytes for 3 axes, found {length}"):
        read_idx(write(tmp_path, SMALL[:length]))


@given(st.integers(16, len(SMALL) - 1))
def test_truncated_file_is_refused_with_both_sizes(tmp_path_factory, length):
    path = write(tmp_path_factory.mktemp("idx"), SMALL[:length])
    announced = r"is truncated or altered.\n  Its header announces shape \(2, 2, 3\) of uint8"
    with pytest.raises(DataError, match=f"{announced}: expected 28 bytes, found {length}"):
        read_idx(path)


def test_file_that_goes_on_is_refused(tmp_path):
    with pytest.raises(DataError, match="is too long or altered.\n .*expected 28 bytes, found 29"):
        read_idx(write(tmp_path, SMALL + b"x"))


def test_huge_sizes_in_a_flipped_header_take_no_memory(tmp_path):
    content = SMALL[:4] + b"\xff" + SMALL[5:]
    with pytest.raises(DataError, match="expected 25669140508 bytes, found 28"):
        read_idx(write(tmp_path, content))


@pytest.mark.parametrize("content", [b"\x89PNG\r\n", b"\0\0\x07\x01", b"\x01\0\x08\x01"])
def test_other_files_are_refused(tmp_path, content):
    with pytest.raises(DataError, match=f"it starts with the bytes {content[:4].hex(' ')}"):
        read_idx(write(tmp_path, content))


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from([bytes, gzip.compress, lzma.compress]))
def test_flipped_bit_is_found_by_the_digest(tmp_path_factory, data, pack):
    content = bytearray(pack(SMALL))
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path = write(tmp_path_factory.mktemp("idx"), bytes(content))
    try:
        array = read_idx(path, hashlib.sha256(SMALL).hexdigest())
    except DataError as error:
        assert str(path) in str(error)
    else:
        assert np.array_equal(array, np.arange(12).reshape(2, 2, 3))  # a bit that means nothing, such as gzip's time stamp


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress], ids=["gzip", "xz"])
def test_truncated_compression_is_refused(tmp_path, pack):
    packed = pack(SMALL)
    for length in range(6, len(packed)):
        with pytest.raises(DataError, match="The compressed file .*pictures.idx is truncated or altered"):
            read_idx(write(tmp_path, packed[:length]))


def test_altered_content_names_both_digests(tmp_path):
    path = write(tmp_path, SMALL)
    with pytest.raises(DataError, match=f"has the SHA-256 {hashlib.sha256(SMALL).hexdigest()}, expected 00ff"):
        read_idx(path, "00ff")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="nothing.idx cannot be read.\n  FileNotFoundError"):
        read_idx(tmp_path / "nothing.idx")


def test_types_that_the_format_lacks_are_refused():
    with pytest.raises(DataError, match="An IDX file cannot hold int64. It holds: uint8, int8"):
        format_idx(np.zeros(3, "int64"))
