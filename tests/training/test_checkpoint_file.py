"""What goes into a checkpoint file comes out of it: values, shapes, types, metadata. The judge is the array that went in."""

import threading
from pathlib import Path

import hypothesis
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from babel_dl.errors import CheckpointError
from babel_dl.training.checkpoint import read_checkpoint, write_checkpoint

DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64", "bfloat16")


@st.composite
def strided_arrays(draw: st.DrawFn) -> np.ndarray:
    """Arrays of each type with 0 to 4 axes, some empty, some transposed, sliced, reversed or of the other byte order."""
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
    bits = draw(st.binary(min_size=8, max_size=64))
    size = int(np.prod(shape, dtype=int))
    flat = np.resize(np.frombuffer(bits, np.uint8), size * 8).view(np.int64)
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else np.dtype(dtype)
    array = (flat % 251 - 125).astype(kind).reshape(shape)
    array = array.transpose(draw(st.permutations(range(array.ndim))))
    steps = st.sampled_from([slice(None), slice(None, None, 2), slice(None, None, -1), slice(1, None)])
    array = array[tuple(draw(steps) for _ in range(array.ndim))]
    if dtype not in ("bfloat16", "bool") and draw(st.booleans()):
        array = np.asarray(array).astype(np.asarray(array).dtype.newbyteorder(">"))
    return np.asarray(array)


def json_values() -> st.SearchStrategy[object]:
    leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    return st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=10)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoint") / "model.safetensors"


@hypothesis.settings(deadline=None, max_examples=150)
@hypothesis.given(tensors=st.dictionaries(st.text("/ab_0é\"\\中", min_size=1), strided_arrays(), max_size=4))
def test_tensors_come_back_with_the_values_shapes_and_types_that_were_saved(path: Path, tensors: dict[str, np.ndarray]) -> None:
    write_checkpoint(path, tensors, {})
    loaded = read_checkpoint(path).tensors
    assert set(loaded) == set(tensors)
    for name, array in tensors.items():
        assert loaded[name].shape == array.shape
        assert loaded[name].dtype == array.dtype.newbyteorder("=") if array.dtype.name != "bfloat16" else loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name], array)


@hypothesis.settings(deadline=None, max_examples=60)
@hypothesis.given(metadata=st.dictionaries(st.text(), json_values(), max_size=4))
def test_metadata_comes_back_as_it_was_saved(path: Path, metadata: dict[str, object]) -> None:
    write_checkpoint(path, {}, metadata)
    assert read_checkpoint(path).metadata == metadata


def test_metadata_keeps_infinity_and_nan(path: Path) -> None:
    write_checkpoint(path, {}, {"best_loss": float("inf"), "last_loss": float("nan")})
    loaded = read_checkpoint(path).metadata
    assert loaded["best_loss"] == float("inf")
    assert np.isnan(loaded["last_loss"])


def test_transposed_and_sliced_arrays_keep_their_values(path: Path) -> None:
    """The writer of safetensors 0.8 takes their bytes in the order of memory and so permutes the values."""
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    views = {"transposed": array.transpose(2, 0, 1), "every_second": array[:, :, ::2], "reversed": array[::-1]}
    write_checkpoint(path, views, {})
    for name, loaded in read_checkpoint(path).tensors.items():
        np.testing.assert_array_equal(loaded, views[name])


def test_bit_patterns_of_nan_and_negative_zero_survive(path: Path) -> None:
    bits = np.array([0x7FC00001, 0xFFC12345, 0x80000000, 0x7F800000], np.uint32)
    write_checkpoint(path, {"x": bits.view(np.float32)}, {})
    np.testing.assert_array_equal(read_checkpoint(path).tensors["x"].view(np.uint32), bits)


def test_loaded_tensors_belong_to_the_caller(path: Path) -> None:
    write_checkpoint(path, {"x": np.zeros(3)}, {})
    loaded = read_checkpoint(path).tensors["x"]
    loaded += 1
    assert read_checkpoint(path).tensors["x"].sum() == 0


def test_the_library_safetensors_reads_the_file(path: Path) -> None:
    tensors = {"/b": np.arange(3, dtype=np.int8), "/a": np.eye(2), "/empty": np.zeros((0, 4), np.float16), "/scalar": np.array(7, np.int64)}
    write_checkpoint(path, tensors, {"epoch": 1})
    for name, loaded in safetensors.numpy.load_file(path).items():
        np.testing.assert_array_equal(loaded, tensors[name])
        assert loaded.dtype == tensors[name].dtype


def test_the_same_content_gives_the_same_bytes(path: Path) -> None:
    first, second = {"a": np.ones(2), "b": np.zeros(3, np.int8)}, {"b": np.zeros(3, np.int8), "a": np.ones(2)}
    write_checkpoint(path, first, {"x": 1})
    content = path.read_bytes()
    write_checkpoint(path, second, {"x": 1})
    assert path.read_bytes() == content


def test_a_checkpoint_has_the_permissions_of_any_new_file(path: Path) -> None:
    """Temporary files of the standard library are readable by their owner only; a checkpoint is to be shared."""
    other = path.with_name("other")
    other.touch()
    write_checkpoint(path, {}, {})
    assert path.stat().st_mode == other.stat().st_mode


@pytest.mark.parametrize(
    ("tensor", "match"),
    [
        (np.array(["text"]), r"'/x' has the element type <U4, which a checkpoint cannot hold"),
        (np.array([object()]), r"'/x' has the element type object"),
        (np.zeros(2, np.complex64), r"'/x' has the element type complex64"),
        (np.zeros(2, [("a", "f4")]), r"'/x' has the element type"),
    ],
)
def test_element_types_that_cannot_be_saved_are_refused_by_name(path: Path, tensor: np.ndarray, match: str) -> None:
    with pytest.raises(CheckpointError, match=match):
        write_checkpoint(path, {"/x": tensor}, {})


@pytest.mark.parametrize("name", ["", "__metadata__", "line\nbreak", "\ud800"])
def test_names_that_cannot_be_saved_are_refused(path: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match="cannot be saved under the name"):
        write_checkpoint(path, {name: np.zeros(1)}, {})


@pytest.mark.parametrize(
    ("metadata", "match"),
    [
        ({"lr": np.float32(0.1)}, r"metadata\['lr'\] is a numpy.float32, which JSON cannot say. Convert it with .item\(\)"),
        ({"a": [0, {"b": np.zeros(2)}]}, r"metadata\['a'\]\[1\]\['b'\] is a numpy.ndarray.* Save arrays as tensors"),
        ({"a": {1: "x"}}, r"metadata\['a'\] has the key 1 \(int\); JSON keys are text. Use '1'"),
        ({"a": Path("/")}, r"metadata\['a'\] is a pathlib"),
    ],
)
def test_metadata_that_json_would_change_is_refused_with_its_place(path: Path, metadata: dict[str, object], match: str) -> None:
    with pytest.raises(CheckpointError, match=match):
        write_checkpoint(path, {}, metadata)


def test_metadata_too_long_to_be_read_back_is_refused(path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"take 100,000,\d+ bytes; at most 100,000,000 can be read back"):
        write_checkpoint(path, {}, {"text": "x" * 100_000_000})


def test_a_tensor_that_changes_while_it_is_written_is_refused_and_the_old_file_stays(path: Path) -> None:
    write_checkpoint(path, {"x": np.zeros(3)}, {"epoch": 1})
    tensor, done = np.zeros(4_000_000, np.float32), threading.Event()

    def train() -> None:
        while not done.is_set():
            tensor[:] += 1

    trainer = threading.Thread(target=train)
    trainer.start()
    try:
        with pytest.raises(CheckpointError, match=r"not what was to be saved when it is read back.*\n.*changed by another thread"):
            write_checkpoint(path, {"x": tensor}, {"epoch": 2})
    finally:
        done.set()
        trainer.join()
    assert read_checkpoint(path).metadata == {"epoch": 1}
    assert [p.name for p in path.parent.glob(".*")] == []
