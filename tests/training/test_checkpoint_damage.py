"""No damage goes unseen: flipped bits, files cut short, headers made to harm. Each is refused with an error that names the file."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from babel_dl.errors import CheckpointError
from babel_dl.training.checkpoint import read_checkpoint, write_checkpoint
from babel_dl.training.checkpoint.header import seal, tensor_digest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


@pytest.fixture
def content(path: Path) -> bytes:
    """A checkpoint with each kind of tensor, as bytes."""
    tensors = {
        "/weight": np.linspace(-1, 1, 60, dtype=np.float32).reshape(3, 4, 5), "/half": np.ones((2, 3), ml_dtypes.bfloat16),
        "/mask": np.array([True, False]), "/empty": np.zeros((0, 3)), "/scalar": np.array(3),
    }
    write_checkpoint(path, tensors, {"epoch": 3, "name": "a\x1f\"\\ü中", "nested": {"lr": [0.1, 1e-3]}})
    return path.read_bytes()


def header_end(content: bytes) -> int:
    return 8 + struct.unpack("<Q", content[:8])[0]


def undetected_flips(path: Path, content: bytes, bits: list[int]) -> list[int]:
    unseen = []
    with open(path, "r+b", buffering=0) as file:
        for bit in bits:
            byte = content[bit // 8]
            os.pwrite(file.fileno(), bytes([byte ^ 1 << bit % 8]), bit // 8)
            try:
                read_checkpoint(path)
                unseen.append(bit)
            except CheckpointError:
                continue
            finally:
                os.pwrite(file.fileno(), bytes([byte]), bit // 8)
    read_checkpoint(path)
    return unseen


def test_each_flipped_bit_of_the_header_is_detected(path: Path, content: bytes) -> None:
    assert undetected_flips(path, content, list(range(header_end(content) * 8))) == []


def test_each_flipped_bit_of_the_tensors_is_detected(path: Path, content: bytes) -> None:
    assert undetected_flips(path, content, list(range(header_end(content) * 8, len(content) * 8))) == []


def test_flipped_bits_at_500_random_positions_of_a_larger_file_are_detected(path: Path) -> None:
    rng = np.random.default_rng(0)
    write_checkpoint(path, {f"/layer/{i}/weight": rng.normal(size=(100, 10)) for i in range(10)}, {"epoch": 3})
    content = path.read_bytes()
    assert undetected_flips(path, content, rng.integers(0, len(content) * 8, 500).tolist()) == []


def test_a_file_cut_short_anywhere_is_detected(path: Path, content: bytes) -> None:
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match=r"model.safetensors' is damaged.*\n.*cut short or altered"):
            read_checkpoint(path)


def test_a_file_with_bytes_appended_is_detected(path: Path, content: bytes) -> None:
    path.write_bytes(content + b"\0")
    with pytest.raises(CheckpointError, match="is damaged"):
        read_checkpoint(path)


def test_the_error_names_the_tensor_that_is_damaged(path: Path, content: bytes) -> None:
    position = content.rindex(np.ones((2, 3), ml_dtypes.bfloat16).tobytes())
    path.write_bytes(content[:position] + b"\1" + content[position + 1 :])
    with pytest.raises(CheckpointError, match=r"model.safetensors' is damaged: the bytes of tensor '/half' .*\n.*Use an older checkpoint"):
        read_checkpoint(path)


def test_two_tensors_that_changed_places_are_detected(path: Path) -> None:
    write_checkpoint(path, {"/a": np.zeros(2), "/b": np.ones(2)}, {})
    content = path.read_bytes()
    path.write_bytes(content[:-32] + content[-16:] + content[-32:-16])
    with pytest.raises(CheckpointError, match="tensor '/a'"):
        read_checkpoint(path)


def test_a_missing_file_and_a_folder_are_no_checkpoints(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.safetensors"):
        with pytest.raises(CheckpointError, match="There is no checkpoint file"):
            read_checkpoint(path)


def test_a_safetensors_file_of_another_program_is_told_from_a_damaged_one(path: Path) -> None:
    safetensors.numpy.save_file({"x": np.zeros(2)}, path)
    with pytest.raises(CheckpointError, match=r"no checkpoint of babel_dl: its metadata lacks digest, format_version"):
        read_checkpoint(path)


def write_hostile(path: Path, header: object | bytes, data: bytes = b"", length: int | None = None) -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)


def sealed(metadata: str = "{}", tensors: dict[str, str] | str = "{}", version: str = "1") -> dict[str, str]:
    """A `__metadata__` with a right digest, as an attacker would make it."""
    strings = {"format_version": version, "metadata": metadata, "tensors": tensors if isinstance(tensors, str) else json.dumps(tensors)}
    return {**strings, "digest": seal(strings)}


def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


ZERO = tensor_digest(np.zeros(4, np.uint8))
SEALED = sealed(tensors={"a": ZERO})
SEALED_TWO = sealed(tensors={"a": ZERO, "b": ZERO})
FIRST = entry("U8", [4], 0, 4)
HOSTILE: dict[str, tuple[object, int, int | None]] = {  # header, bytes of data, length written before the header
    "a length beyond the file": (b"{}", 0, 2**63),
    "a length near the largest integer": (b"{}", 0, 2**64 - 1),
    "brackets without end": (b"[" * 1_000_000, 0, None),
    "brackets without end in the metadata": (b'{"__metadata__":' + b"[" * 1_000_000, 0, None),
    "brackets in sealed metadata": ({"__metadata__": sealed(metadata="[" * 200_000)}, 0, None),
    "brackets in the sealed list of tensors": ({"__metadata__": sealed(tensors="[" * 200_000)}, 0, None),
    "an integer of many digits": ({"__metadata__": sealed(metadata="1" * 100_000)}, 0, None),
    "metadata that is no dictionary": ({"__metadata__": sealed(metadata="[1]")}, 0, None),
    "a list of tensors that is none": ({"__metadata__": sealed(tensors="[1]")}, 0, None),
    "a digest that is no text": ({"__metadata__": sealed(tensors='{"a": 1}'), "a": FIRST}, 4, None),
    "overlapping tensors": ({"__metadata__": SEALED_TWO, "a": FIRST, "b": entry("U8", [4], 2, 6)}, 6, None),
    "a gap": ({"__metadata__": SEALED_TWO, "a": FIRST, "b": entry("U8", [4], 6, 10)}, 10, None),
    "a shape of petabytes": ({"__metadata__": SEALED, "a": entry("U8", [2**50], 0, 4)}, 4, None),
    "a shape that overflows": ({"__metadata__": SEALED, "a": entry("U8", [2**62, 2**62], 0, 0)}, 0, None),
    "an empty shape that overflows": ({"__metadata__": SEALED, "a": entry("U8", [0, 2**62, 2**62], 0, 0)}, 0, None),
    "a negative shape": ({"__metadata__": SEALED, "a": entry("U8", [-4, -1], 0, 4)}, 4, None),
    "more axes than numpy has": ({"__metadata__": SEALED, "a": entry("U8", [4] + [1] * 99, 0, 4)}, 4, None),
    "a type that numpy lacks": ({"__metadata__": SEALED, "a": entry("F8_E4M3", [4], 0, 4)}, 4, None),
    "a type that numpy has and we lack": ({"__metadata__": SEALED, "a": entry("C64", [1], 0, 8)}, 8, None),
    "a tensor that is not listed": ({"__metadata__": sealed(), "a": FIRST}, 4, None),
    "a tensor that is listed and missing": ({"__metadata__": SEALED}, 0, None),
    "metadata that is not sealed": ({"__metadata__": {**sealed(), "metadata": '{"a": 1}'}}, 0, None),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused(path: Path, case: str) -> None:
    header, size, length = HOSTILE[case]
    write_hostile(path, header, bytes(size), length)
    with pytest.raises(CheckpointError, match=r"model.safetensors' is damaged: "):
        read_checkpoint(path)


def test_a_format_from_the_future_says_what_to_install(path: Path) -> None:
    write_hostile(path, {"__metadata__": sealed(version="2")})
    with pytest.raises(CheckpointError, match=r"has format 2; this babel_dl reads format 1.\n  Install the version"):
        read_checkpoint(path)


def test_loading_allocates_no_more_than_the_files_size(path: Path) -> None:
    """Measured by the system in a process of its own: tracemalloc does not see what safetensors allocates."""
    write_checkpoint(path, {f"/{i}": np.ones(8_000_000, np.float32) for i in range(4)}, {})
    script = (
        "import sys\nfrom babel_dl.training.checkpoint import read_checkpoint\n"
        "def anonymous():\n"
        "    return int(next(l for l in open('/proc/self/status') if l.startswith('RssAnon')).split()[1]) * 1024\n"
        "before = anonymous(); loaded = read_checkpoint(sys.argv[1]); print(anonymous() - before)\n"
    )
    grown = int(subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True).stdout)
    assert grown < path.stat().st_size * 1.05
