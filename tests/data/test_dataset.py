"""Datasets: getters, tokens, transformers, filters, and what they say when something is wrong."""

import re
from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import pytest

from babel_dl.data import Dataset, RandomFlip
from babel_dl.errors import ArgumentError, DataError
from tests.data.examples import FailAt, FashionDataset, NetworkInput, NetworkOutput, Noise, Wrap


def test_sample_is_two_named_tuples_of_arrays():
    inp, outp = FashionDataset()[3]
    assert isinstance(inp, NetworkInput) and inp.image.shape == (28, 28) and inp.image.dtype == np.float32
    assert isinstance(outp, NetworkOutput) and outp.class_id.shape == () and outp.class_id.dtype == np.uint8


def test_negative_index_counts_from_the_end():
    data = FashionDataset()
    assert np.array_equal(data[-1][0].image, data[49][0].image)


@pytest.mark.parametrize("index", [50, -51, 1000])
def test_index_outside_is_refused(index):
    with pytest.raises(IndexError, match=f"FashionDataset has 50 samples, and no index {index}."):
        FashionDataset()[index]


def test_iteration_walks_through_all_samples_and_ends():
    data = FashionDataset(num_samples=7)
    assert [int(outp.class_id) for _, outp in data] == [int(data[i][1].class_id) for i in range(7)]


def test_transformers_run_before_realtime_transformers():
    data = FashionDataset()
    data.realtime_transformers.append(lambda inp, outp: (inp._replace(image=inp.image * 2), outp))
    data.transformers.append(lambda inp, outp: (inp._replace(image=inp.image + 1), outp))
    plain = FashionDataset()[0][0].image
    assert np.array_equal(data[0][0].image, (plain + 1) * 2)


def test_transformer_that_works_in_place_leaves_the_source_alone():
    class Direct(FashionDataset):
        def get_image(self, sample_token):
            return self.images[sample_token]

    data = Direct()
    data.images = np.ones((50, 28, 28), "float32")

    def double(inp, outp):
        inp.image[...] *= 2
        return inp, outp

    data.realtime_transformers.append(double)
    assert data[0][0].image.max() == 2 and data[0][0].image.max() == 2
    assert data.images.max() == 1


def test_python_numbers_become_the_default_types_of_tensors():
    class Numbers(Dataset):
        def __init__(self):
            super().__init__(None, NetworkInput, NetworkOutput)
            self.all_sample_tokens = [0.5]

        def get_image(self, token):
            return [[token, 2.0]]

        def get_class_id(self, token):
            return 3

    inp, outp = Numbers()[0]
    assert inp.image.dtype == np.float32 and outp.class_id.dtype == np.int32


def test_filter_keeps_the_tokens_that_pass_in_a_real_list():
    data = FashionDataset()
    even = data.filter(lambda token: token % 2 == 0)
    assert len(even.all_sample_tokens) == 25 and even.all_sample_tokens[1] == 2
    assert len(even) == 25 and len(data) == 50
    assert np.array_equal(even[1][0].image, data[2][0].image)


def test_filtered_dataset_has_its_own_list_of_transformers():
    data = FashionDataset()
    data.filter(lambda token: True).realtime_transformers.append(Wrap())
    assert data.realtime_transformers == []


def test_lazy_tokens_become_a_list():
    data = FashionDataset()
    data.all_sample_tokens = filter(lambda token: token < 3, range(50))
    assert len(data) == 3 and len(list(data)) == 3 and len(list(data)) == 3


def test_filter_of_a_class_that_counts_otherwise_is_refused():
    class Counting(FashionDataset):
        def __len__(self):
            return len(self.dataset)

    with pytest.raises(DataError, match="Counting says it has 50 samples, and has 1 tokens.\n  Delete its __len__"):
        Counting().filter(lambda token: token == 7)


def test_missing_getter_is_named_with_the_method_to_write():
    class Half(Dataset):
        def __init__(self):
            super().__init__(None, dataset_input_type=NetworkInput, dataset_output_type=NetworkOutput)

        def get_image(self, sample_token):
            return np.zeros((2, 2))

    text = "Half has no getter for the field 'class_id' of NetworkOutput.\n  Write this method into Half:   def get_class_id("
    with pytest.raises(DataError, match=re.escape(text)):
        Half()


def test_type_that_is_no_named_tuple_is_refused():
    with pytest.raises(ArgumentError, match="Dataset: dataset_input_type is <class 'dict'>, and must be a named tuple class"):
        Dataset(None, dict, NetworkOutput)
    with pytest.raises(ArgumentError, match="dataset_input_type is None"):
        Dataset()


def test_tokens_that_were_never_set_are_named():
    Empty = namedtuple("Empty", [])
    with pytest.raises(DataError, match="Dataset has no samples yet: its constructor sets no all_sample_tokens"):
        len(Dataset(None, Empty, Empty))


def test_getter_that_raises_is_named_with_the_sample_token():
    data = FashionDataset()
    data.all_sample_tokens = [0, 99]
    with pytest.raises(DataError, match="FashionDataset.get_image failed for the sample token 99.\n  IndexError: list index") as caught:
        data[1]
    assert isinstance(caught.value.__cause__, IndexError)


def test_transformer_that_raises_is_named_with_the_sample_token():
    data = FashionDataset()
    data.transformers.append(FailAt(int(data[4][1].class_id)))
    with pytest.raises(DataError, match=r"The transformer FailAt failed for the sample token 4.\n  KeyError: 'no such class'") as caught:
        data[4]
    assert isinstance(caught.value.__cause__, KeyError)


def test_transformer_that_forgets_to_return_is_named():
    def forget(inp, outp):
        inp._replace(image=inp.image / 255)

    data = FashionDataset()
    data.realtime_transformers.append(forget)
    with pytest.raises(DataError, match="The transformer forget returned None for the sample token 0.\n  It must return two named tuples"):
        data[0]


def test_field_that_is_no_array_is_named():
    data = FashionDataset()
    data.transformers.append(lambda inp, outp: (inp._replace(image=object()), outp))
    with pytest.raises(DataError, match="The field 'image' of NetworkInput holds a object for the sample token 0"):
        data[0]


def test_random_transformer_before_the_cache_is_refused():
    data = FashionDataset()
    data.transformers.append(RandomFlip())
    with pytest.raises(DataError, match="The transformer RandomFlip draws random numbers, and stands in `transformers`"):
        data[0]


def test_augmentation_is_a_function_of_seed_epoch_and_index():
    data = FashionDataset()
    data.realtime_transformers.append(Noise())
    one = data.sample(3, epoch=2, seed=5)[0].image
    assert np.array_equal(one, data.sample(3, epoch=2, seed=5)[0].image)
    for epoch, seed in ((2, 6), (3, 5), (5, 2)):
        assert not np.array_equal(one, data.sample(3, epoch=epoch, seed=seed)[0].image)
    noise = [data.sample(i, seed=5)[0].image - FashionDataset()[i][0].image for i in (0, 1)]
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.15


def test_cached_dataset_reads_each_sample_once_and_keeps_realtime_transformers():
    data = FashionDataset()
    data.transformers.append(Wrap())
    data.realtime_transformers.append(Noise())
    held = data.cached()
    reads = data.num_reads
    assert reads == 50 and len(held) == 50
    assert np.array_equal(held[7][0].image, data[7][0].image)
    list(held)
    assert data.num_reads == reads + 1


def test_cached_dataset_keeps_the_tokens_for_filters_and_messages():
    class Named(FashionDataset):
        def __init__(self):
            super().__init__(num_samples=3)
            self.all_sample_tokens = ["a", "b", "a"]

        def get_image(self, sample_token):
            return np.full((2, 2), "abc".index(sample_token), "float32")

        def get_class_id(self, sample_token):
            return 0

    held = Named().cached()
    assert [inp.image[0, 0] for inp, _ in held] == [0, 1, 0]
    assert [inp.image[0, 0] for inp, _ in held.filter(lambda token: token == "a")] == [0, 0]
    batch = next(held.to_dataloader(shuffle=False).batches(0))
    assert batch[0].image[:, 0, 0].tolist() == [0, 1, 0]


def test_batch_size_comes_from_the_configuration():
    assert FashionDataset(SimpleNamespace(train_batch_size=8)).to_dataloader().batch_size == 8
    assert FashionDataset(SimpleNamespace(train_batch_size=8)).to_dataloader(batch_size=4).batch_size == 4
    assert FashionDataset().to_dataloader().batch_size == 32
