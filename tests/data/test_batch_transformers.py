"""Vectorised transformers: a sample is the same alone, in any batch, and behind any other transformers."""

from collections import namedtuple
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from babel_dl.core.random import host_generator
from babel_dl.data import (
    ArrayDataset,
    AsType,
    BatchTransformer,
    CenterCrop,
    ColorJitter,
    Compose,
    Normalize,
    RandomCrop,
    RandomErasing,
    RandomFlip,
    RandomHorizontalFlip,
    RandomVerticalFlip,
    SampleStreams,
    ToTensor,
    Transformer,
)
from babel_dl.data.batch import stack_samples
from babel_dl.data.batch_transformer import is_vectorised
from babel_dl.data.workers import make_batch
from babel_dl.errors import ArgumentError, DataError
from tests.data.examples import FashionDataset, NetworkInput, NetworkOutput, Noise, Wrap, batches_equal, embedded

NUM_SAMPLES = 300


class Scale(BatchTransformer):
    """Draws a number for each sample, and puts it into the output."""

    def batch(self, inp, outp, *, rng):
        factors = rng.random(2).astype("float32")
        per_sample = factors[:, 0].reshape(-1, *[1] * (inp.image.ndim - 1))
        return inp._replace(image=inp.image * per_sample), outp._replace(class_id=factors[:, 1])

    @property
    def version(self):
        return "Scale"


class Shift(Transformer):
    """Draws another count of numbers for each sample, and sees one sample at a time."""

    def __call__(self, inp, outp, *, rng):
        steps = rng.integers(0, 5, size=int(rng.integers(1, 4)))
        return inp._replace(image=np.roll(inp.image, int(steps.sum()), axis=1)), outp

    @property
    def version(self):
        return "Shift"


def pictures(shape, dtype):
    values = np.random.default_rng(7).integers(0, 256, (NUM_SAMPLES, *shape))
    return values.astype("uint8") if dtype == "uint8" else (values / 255).astype(dtype)


def dataset(images, *transformers):
    data = ArrayDataset(NetworkInput(images), NetworkOutput(np.arange(len(images), dtype="int32")), version="fixed")
    data.realtime_transformers += transformers
    return data


def one_by_one(data, indices, epoch, seed):
    return stack_samples([data.sample(index, epoch, seed) for index in indices.tolist()], indices)


OURS = [
    RandomFlip(0.5), RandomFlip(0.7, axis=0), RandomHorizontalFlip(), RandomVerticalFlip(0.3), RandomCrop(12, padding=3),
    RandomCrop((7, 11)), CenterCrop((9, 4)), Normalize(3.0, 2.0), Normalize([4.0], [0.5]), ToTensor(), AsType("float16"),
    RandomErasing(), RandomErasing(1.0, (0.3, 0.9), (0.2, 4.0), 0.5), ColorJitter(0.4, 0.4, 0.4), ColorJitter(brightness=(0.5, 2.0)),
    ColorJitter(contrast=0.9), ColorJitter(saturation=1.0), Scale(), Compose([]),
    Compose([RandomCrop(12, 2), RandomErasing(0.5), ColorJitter(0.2, 0.2, 0.2), RandomFlip(), ToTensor()]),
]  # fmt: skip
KINDS = [((12, 13), "uint8"), ((12, 13, 1), "uint8"), ((12, 13, 3), "uint8"), ((12, 13, 3), "float32")]


@pytest.mark.parametrize("transformer", OURS, ids=lambda one: one.version)
@pytest.mark.parametrize(("shape", "dtype"), KINDS)
def test_a_sample_has_the_same_bits_alone_and_in_any_batch(transformer, shape, dtype):
    data = dataset(pictures(shape, dtype), transformer)
    assert data.is_gathered
    for indices in (np.arange(NUM_SAMPLES), np.array([17]), np.array([299, 3, 3, 0, 150])):
        batch = data.gather(indices, 4, 11)
        assert batches_equal([batch], [one_by_one(data, indices, 4, 11)])
        assert all(array.flags.c_contiguous and array.flags.writeable for part in batch for array in part)


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_mixed_transformers_work_in_their_order_and_share_the_stream_of_the_sample(order):
    ours = RandomErasing(0.7), Shift(), ColorJitter(0.3, 0.3), Noise()
    data = dataset(pictures((12, 13), "float32"), *(ours[place] for place in order))
    assert not data.is_gathered
    indices = np.array([5, 9, 200, 5])
    assert batches_equal([make_batch(data, 3, 1, indices)], [one_by_one(data, indices, 1, 3)])


def test_batches_are_the_same_with_workers_from_any_position_and_of_any_size():
    data = dataset(pictures((12, 13, 3), "uint8"), RandomCrop(12, 2), Wrap(), RandomFlip(), ColorJitter(0.2, 0.2, 0.2))
    loader = data.to_dataloader(batch_size=64, seed=5)
    straight = list(loader.batches(2))
    assert batches_equal(straight[3:], list(loader.batches(2, 3)))
    assert batches_equal(straight, list(data.to_dataloader(batch_size=64, seed=5, num_workers=1).batches(2)))
    small = list(data.to_dataloader(batch_size=7, seed=5).batches(2))
    assert np.array_equal(np.concatenate([b[0].image for b in small]), np.concatenate([b[0].image for b in straight]))


def test_getters_are_followed_by_vectorised_transformers():
    data = FashionDataset()
    data.realtime_transformers += [RandomFlip(), Wrap(), RandomCrop(28, padding=3), Scale()]
    indices = np.array([3, 30, 31])
    assert batches_equal([make_batch(data, 1, 2, indices)], [one_by_one(data, indices, 2, 1)])


def test_pictures_of_different_sizes_are_cut_one_by_one_and_then_seen_together():
    images = [np.arange(height * 9, dtype="uint8").reshape(height, 9) for height in (7, 8, 9, 7)]
    data = ArrayDataset(NetworkInput(images), NetworkOutput(np.arange(4)))
    data.realtime_transformers += [RandomCrop(6), RandomFlip(), ToTensor()]
    assert not data.is_gathered
    assert batches_equal([make_batch(data, 1, 2, np.arange(4))], [one_by_one(data, np.arange(4), 2, 1)])


def test_caching_runs_vectorised_transformers_at_once():
    class Counting(BatchTransformer):
        sizes: list[int] = []  # noqa: RUF012

        def batch(self, inp, outp):
            self.sizes.append(len(inp.image))
            return inp._replace(image=inp.image // 2), outp

        @property
        def version(self):
            return "Counting"

    data = dataset(np.tile(pictures((4, 4), "uint8"), (10, 1, 1)))
    data.transformers += [Counting(), ToTensor()]
    assert data.is_gathered
    held = data.cached()
    assert Counting.sizes == [1024, 1024, 952] and held.realtime_transformers == []
    assert batches_equal([held.gather(np.arange(50))], [one_by_one(data, np.arange(50), 0, 0)])


# ---------------------------------------------------------------- draws


@settings(max_examples=40, deadline=None)
@given(
    st.integers(-(2**40), 2**40), st.integers(0, 10**6), st.lists(st.integers(0, 2**40), min_size=1, max_size=5),
    st.lists(st.integers(0, 30), min_size=1, max_size=6),
)  # fmt: skip
def test_draws_are_those_of_the_generator_of_each_sample(seed, epoch, indices, counts):
    streams = SampleStreams(seed, epoch, np.array(indices))
    generators = [host_generator(seed, "augmentation", epoch, index) for index in indices]
    for count in counts:
        assert np.array_equal(streams.random(count), [generator.random(count) for generator in generators])
    assert [mine.integers(10**9) for mine in streams.generators()] == [generator.integers(10**9) for generator in generators]
    assert np.array_equal(streams.random(3), [generator.random(3) for generator in generators])


def test_draws_stay_what_they_were():
    # from numpy.random.Philox, whose output is fixed: a change of these numbers breaks the resume of stored runs
    wanted = [0.5392513115242683, 0.3095438934096175, 0.5190891185042624, 0.9854874305912228]
    assert SampleStreams(0, 0, np.array([0])).random(4)[0].tolist() == wanted


# ---------------------------------------------------------------- what counts as vectorised


def test_a_subclass_that_changes_the_call_alone_is_asked_for_each_sample():
    class Other(Normalize):
        def __call__(self, inp, outp):
            return inp._replace(image=inp.image * 0), outp

    class Both(Normalize):
        def batch(self, inp, outp):
            return super().batch(inp, outp)

    assert is_vectorised(Normalize(0, 1)) and is_vectorised(Both(0, 1)) and not is_vectorised(Other(0, 1))
    assert not is_vectorised(Wrap()) and not is_vectorised(lambda inp, outp: (inp, outp))
    assert is_vectorised(Compose([RandomFlip(), ToTensor()])) and not is_vectorised(Compose([RandomFlip(), Wrap()]))
    data = dataset(pictures((4, 4), "uint8"), Other(0, 1))
    assert not make_batch(data, 0, 0, np.arange(4))[0].image.any()


def test_a_batch_transformer_leaves_the_given_sample_alone():
    class Invert(BatchTransformer):
        def batch(self, inp, outp):
            np.subtract(255, inp.image, out=inp.image)
            return inp, outp

        @property
        def version(self):
            return "Invert"

    image = embedded()[0][0].copy()
    result = Invert()(NetworkInput(image), NetworkOutput(3))
    assert np.array_equal(image, embedded()[0][0]) and np.array_equal(result[0].image, 255 - image)
    assert result[1].class_id.dtype == np.int32


def test_a_batch_transformer_that_draws_needs_a_generator():
    with pytest.raises(ArgumentError, match="Scale draws random numbers. Hand over rng=numpy.random.default_rng"):
        Scale()(NetworkInput(np.zeros((2, 2))), NetworkOutput(0))


# ---------------------------------------------------------------- errors


class Wrong(BatchTransformer):
    """Returns what it is told to."""

    def __init__(self, result):
        self.result = result

    def batch(self, inp, outp):
        return self.result(inp, outp)

    @property
    def version(self):
        return "Wrong"


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (lambda inp, outp: inp, "The transformer Wrong returned .* for the batch of the sample tokens 0, 1, 2, ....\n  It must return two"),
        (lambda inp, outp: (inp._replace(image=inp.image[:2]), outp), r"returned the field 'image' of shape \(2, 4, 4\) for a batch of 5"),
        (lambda inp, outp: (inp, outp._replace(class_id=3)), "Wrong.batch returned the field 'class_id' as a int for a batch of 5 samples"),
        (lambda inp, outp: 1 // 0, "The transformer Wrong failed for the batch of the sample tokens 0, 1, 2, ....\n  ZeroDivisionError"),
    ],
)  # fmt: skip
def test_what_is_no_batch_is_refused(result, text):
    data = dataset(pictures((4, 4), "uint8"), Wrong(result))
    with pytest.raises(DataError, match=text):
        data.gather(np.arange(5))


def test_drawing_before_the_cache_is_refused():
    data = dataset(pictures((4, 4), "uint8"))
    data.transformers.append(RandomFlip())
    with pytest.raises(DataError, match="The transformer RandomFlip draws random numbers, and stands in `transformers`, before the cache"):
        data.gather(np.arange(5))


def test_named_tuples_of_other_fields_are_taken_over():
    Pair = namedtuple("Pair", ["image", "mean"])
    data = dataset(pictures((4, 4), "uint8"), Wrong(lambda inp, outp: (Pair(inp.image, inp.image.mean(axis=(1, 2))), outp)))
    inp, _ = data.gather(np.array([8, 2]))
    assert type(inp) is Pair and np.allclose(inp.mean, [data[8][0].mean, data[2][0].mean])
