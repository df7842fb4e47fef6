"""Datasets of arrays."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from babel_dl.data import ArrayDataset, RandomCrop
from babel_dl.errors import ArgumentError, DataError
from tests.data.examples import NetworkInput, NetworkOutput, Noise, Wrap, batches_equal, embedded


def fashion(num_samples=100):
    images, labels = embedded()
    return images[:num_samples], labels[:num_samples]


def dataset(num_samples=100):
    images, labels = fashion(num_samples)
    return ArrayDataset(NetworkInput(images), NetworkOutput(labels))


def test_samples_are_the_rows():
    images, labels = fashion()
    inp, outp = dataset()[7]
    assert np.array_equal(inp.image, images[7]) and outp.class_id == labels[7]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 99), min_size=1, max_size=40))
def test_gathered_batch_is_the_stack_of_its_samples(indices):
    data = dataset()
    inp, outp = data.gather(np.array(indices))
    assert np.array_equal(inp.image, np.stack([data[i][0].image for i in indices]))
    assert np.array_equal(outp.class_id, np.stack([data[i][1].class_id for i in indices]))


def test_filtered_dataset_is_gathered_as_well():
    data = dataset().filter(lambda token: token % 10 == 3)
    inp, _ = next(data.to_dataloader(batch_size=10, shuffle=False).batches(0))
    assert data.is_gathered and np.array_equal(inp.image, fashion()[0][3::10])


@pytest.mark.parametrize("tokens", [range(90, 10, -7), [5, 5, 2]])
def test_tokens_may_be_any_of_the_rows(tokens):
    data = dataset()
    data.all_sample_tokens = tokens
    inp, _ = next(data.to_dataloader(shuffle=False).batches(0))
    assert np.array_equal(inp.image, fashion()[0][list(tokens)])


@pytest.mark.parametrize("token", [100, -1, "shoe"])
def test_token_without_a_row_is_refused(token):
    data = dataset()
    data.all_sample_tokens = [token]
    with pytest.raises(DataError, match=f"ArrayDataset has no row for the sample token {token!r}; it holds 100 rows"):
        data[0]
    with pytest.raises(DataError, match="ArrayDataset has no row for the sample token"):
        next(data.to_dataloader().batches(0))


def test_changing_a_sample_changes_no_source():
    data = dataset()
    data[0][0].image[...] = 0
    assert np.array_equal(data[0][0].image, fashion()[0][0])


def test_transformers_make_it_be_read_one_by_one():
    data = dataset()
    data.realtime_transformers += [Wrap(), RandomCrop(20)]
    assert not data.is_gathered
    assert next(data.to_dataloader(batch_size=8).batches(0))[0].image.shape == (8, 20, 20, 1)


def test_one_class_for_input_and_output_keeps_them_apart():
    images, labels = fashion()
    data = ArrayDataset(NetworkInput(images), NetworkInput(labels))
    assert data[3][0].image.shape == (28, 28) and data[3][1].image == labels[3]


def test_mapped_arrays_are_gathered_and_travel_without_their_content(tmp_path):
    images, labels = fashion()
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    data = ArrayDataset(NetworkInput(mapped[40:]), NetworkOutput(labels[40:]))
    inp, _ = data.gather(np.array([1, 0, 59]))
    assert type(inp.image) is np.ndarray and np.array_equal(inp.image, images[[41, 40, 99]])
    pickled = pickle.dumps(data)
    assert len(pickled) < 5000 < images.nbytes
    assert np.array_equal(pickle.loads(pickled).gather(np.array([1, 0, 59]))[0].image, inp.image)


@pytest.mark.parametrize("dtype", ["uint8", ">u2"])
@pytest.mark.parametrize("part", [np.s_[:, 2:20], np.s_[::-1], np.s_[:]], ids=["columns", "reversed", "all"])
def test_mapped_arrays_of_any_order_are_gathered_dense(tmp_path, dtype, part):
    images = fashion()[0].astype(dtype)
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")[part]
    data = ArrayDataset(NetworkInput(mapped), NetworkOutput(fashion()[1]))
    for inp, _ in (data.gather(np.array([4, 0, 99])), next(data.gather_each(iter([np.array([4, 0, 99])]), 0, 0))):
        assert type(inp.image) is np.ndarray and inp.image.flags.c_contiguous and inp.image.dtype.isnative
        assert np.array_equal(inp.image, images[part][[4, 0, 99]])


@pytest.mark.parametrize("index", [100, -101])
def test_index_beyond_the_samples_is_not_bent_into_range(index):
    with pytest.raises(IndexError, match="out of bounds"):
        dataset().gather(np.array([0, index]))


def test_tokens_set_anew_are_looked_up_anew():
    data = dataset().filter(lambda token: token % 10 == 3)
    assert data.gather(np.array([0]))[1].class_id == fashion()[1][3]
    data.all_sample_tokens = [token + 1 for token in data.all_sample_tokens]
    assert data.gather(np.array([0]))[1].class_id == fashion()[1][4]


def test_workers_read_mapped_arrays(tmp_path):
    images, labels = fashion()
    np.save(tmp_path / "images.npy", images)
    data = ArrayDataset(NetworkInput(np.load(tmp_path / "images.npy", mmap_mode="r")), NetworkOutput(labels))
    data.realtime_transformers.append(Noise())
    assert batches_equal(list(data.to_dataloader(num_workers=1, seed=0)), list(data.to_dataloader(seed=0)))


def test_ragged_fields_are_held_as_they_are():
    pictures = [np.zeros((2 + i % 2, 3), "float32") for i in range(6)]
    data = ArrayDataset(NetworkInput(pictures), NetworkOutput(list(range(6))))
    assert [inp.image.shape for inp, _ in data] == [(2, 3), (3, 3)] * 3
    assert data[0][1].class_id.dtype == np.int32
    with pytest.raises(DataError, match=r"The field 'image' has shape \(2, 3\) for the sample token 0, and \(3, 3\) for 1"):
        next(data.to_dataloader(batch_size=2, shuffle=False).batches(0))
    data.realtime_transformers.append(RandomCrop(2))
    assert next(data.to_dataloader(batch_size=6).batches(0))[0].image.shape == (6, 2, 2)


def test_version_is_a_function_of_the_content():
    images, labels = fashion()
    changed = images.copy()
    changed[50, 3, 3] ^= 1
    versions = [ArrayDataset(NetworkInput(array), NetworkOutput(labels)).version for array in (images, images.copy(), changed)]
    assert versions[0] == versions[1] != versions[2]


def test_version_of_large_arrays_does_not_depend_on_how_they_are_read(tmp_path):
    large = np.arange(5_000_000, dtype="uint64").reshape(-1, 5)
    np.save(tmp_path / "large.npy", large)
    mapped = np.load(tmp_path / "large.npy", mmap_mode="r")
    arrays = large, np.asfortranarray(large), mapped
    assert len({ArrayDataset(NetworkInput(array), NetworkOutput(array[:, 0])).version for array in arrays}) == 1


def test_cached_array_dataset_is_itself_unless_it_has_transformers():
    data = dataset()
    assert data.cached() is data
    data.transformers.append(Wrap())
    held = data.cached()
    assert held.is_gathered and held.gather(np.array([2]))[0].image.shape == (1, 28, 28, 1)


def test_batches_of_a_gathered_and_of_a_cached_dataset_are_equal():
    data = dataset()
    slow = ArrayDataset(NetworkInput(fashion()[0]), NetworkOutput(fashion()[1]))
    slow.realtime_transformers.append(lambda inp, outp: (inp, outp))
    first, second = (list(each.to_dataloader(batch_size=16, seed=3)) for each in (data, slow))
    assert batches_equal(first, second)
    assert all(not np.array_equal(a[0].image, b[0].image) for a, b in pairwise(first[:-1]))


@pytest.mark.parametrize(
    ("inputs", "outputs", "text"),
    [
        (np.zeros(3), NetworkOutput(np.zeros(3)), "inputs is a ndarray, and must be a named tuple of arrays"),
        (NetworkInput(np.zeros(3)), NetworkOutput(np.zeros(4)), "different numbers of samples: {'image': 3, 'class_id': 4}"),
        (NetworkInput(np.zeros(3)), NetworkOutput(5), "the field 'class_id' is one value"),
        (NetworkInput(np.zeros(3)), NetworkOutput([object()]), "the field 'class_id' cannot be an array"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(inputs, outputs, text):
    with pytest.raises(ArgumentError, match=text):
        ArrayDataset(inputs, outputs)
