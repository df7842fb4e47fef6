"""Loaders: batches, order, positions."""

import threading
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from babel_dl.core.random import use_seed
from babel_dl.data import ArrayDataset, BatchTransformer, RandomFlip, load_dataset, workers
from babel_dl.data.order import epoch_order
from babel_dl.errors import ArgumentError, DataError
from tests.data.examples import FailAt, FashionDataset, NetworkInput, NetworkOutput, Noise, Wrap, batches_equal


def numbers(count):
    return ArrayDataset(NetworkInput(np.arange(count, dtype="float32")[:, None]), NetworkOutput(np.arange(count, dtype="int32")))


def ids(batches):
    return [outp.class_id.tolist() for _, outp in batches]


def flat(lists):
    return [item for part in lists for item in part]


def augmented(num_samples=50):
    data = FashionDataset(num_samples=num_samples)
    data.realtime_transformers += [Wrap(), RandomFlip(), Noise()]
    return data


def test_batches_are_named_tuples_of_arrays_with_a_leading_batch_axis():
    inp, outp = next(iter(augmented().to_dataloader(batch_size=16)))
    assert isinstance(inp, NetworkInput) and inp.image.shape == (16, 28, 28, 1) and inp.image.dtype == np.float32
    assert isinstance(outp, NetworkOutput) and outp.class_id.shape == (16,) and outp.class_id.dtype == np.uint8


@pytest.mark.parametrize(("drop_last", "sizes"), [(False, [16, 16, 16, 2]), (True, [16, 16, 16])])
def test_last_batch_is_short_or_left_out(drop_last, sizes):
    loader = augmented().to_dataloader(batch_size=16, drop_last=drop_last)
    assert len(loader) == len(sizes) and [len(outp.class_id) for _, outp in loader] == sizes


def test_each_loop_is_the_next_epoch():
    loader = numbers(20).to_dataloader(batch_size=4, seed=1)
    first, second = ids(loader), ids(loader)
    assert first != second and sorted(flat(first)) == sorted(flat(second)) == list(range(20))
    assert first == ids(loader.batches(0)) and second == ids(loader.batches(1))


def test_loop_after_one_that_was_left_early_is_the_next_epoch():
    loader = numbers(20).to_dataloader(batch_size=4, seed=1)
    next(iter(loader))
    assert ids(loader) == ids(loader.batches(1))


def test_set_epoch_chooses_the_next_loop():
    loader = numbers(20).to_dataloader(batch_size=4, seed=1)
    loader.set_epoch(7)
    assert ids(loader) == ids(loader.batches(7)) and loader.epoch == 8


@pytest.mark.parametrize("prefetch", [0, 1, 5])
def test_thread_gives_the_same_samples_in_the_same_order_as_gathering(prefetch):
    data = augmented()
    loader = data.to_dataloader(batch_size=16, prefetch=prefetch, seed=3)
    seen = [image.tobytes() for inp, _ in loader.batches(2) for image in inp.image]
    order = ids(numbers(50).to_dataloader(batch_size=16, seed=3).batches(2))
    assert seen == [data.sample(index, epoch=2, seed=3)[0].image.tobytes() for index in flat(order)]


def test_augmentation_differs_between_epochs_and_seeds():
    data = augmented()
    batches = [list(data.to_dataloader(shuffle=False, seed=seed).batches(epoch)) for seed, epoch in ((0, 0), (0, 1), (1, 0), (0, 0))]
    assert batches_equal(batches[0], batches[3])
    assert not batches_equal(batches[0], batches[1]) and not batches_equal(batches[0], batches[2])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 12), st.booleans(), st.data())
def test_batches_from_a_step_on_are_the_rest_of_the_epoch(num_samples, batch_size, drop_last, data):
    if drop_last and num_samples < batch_size:
        return
    loader = numbers(num_samples).to_dataloader(batch_size=batch_size, drop_last=drop_last, seed=4)
    start = data.draw(st.integers(0, len(loader)))
    assert ids(loader.batches(3, start)) == ids(loader.batches(3))[start:]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 25))
def test_state_continues_in_another_loader_with_the_very_next_batch(num_samples, batch_size, num_seen):
    data = numbers(num_samples)
    straight, first = data.to_dataloader(batch_size=batch_size, seed=9), data.to_dataloader(batch_size=batch_size, seed=9)
    expected = [batch for _ in range(30) for batch in ids(straight)]
    seen = []
    while len(seen) < num_seen:
        seen += ids(islice(first, num_seen - len(seen)))
    second = data.to_dataloader(batch_size=batch_size, seed=0)
    second.load_state_dict(first.state_dict())
    rest = ids(second) + ids(second)
    assert seen + rest == expected[: len(seen) + len(rest)]


def test_state_is_three_integers():
    loader = numbers(20).to_dataloader(batch_size=8, seed=5)
    for _ in islice(loader, 2):
        pass
    assert loader.state_dict() == {"seed": 5, "epoch": 0, "position": 16}


def test_state_fits_another_batch_size_that_divides_its_position():
    loader = numbers(20).to_dataloader(batch_size=4, seed=5)
    seen = ids(islice(loader, 2))
    other = numbers(20).to_dataloader(batch_size=2)
    other.load_state_dict(loader.state_dict())
    assert sorted(flat(seen) + flat(ids(other))) == list(range(20))


def test_seed_in_force_is_taken_when_the_loader_is_made():
    with use_seed(77):
        loader = numbers(20).to_dataloader()
    assert loader.seed == 77 and numbers(20).to_dataloader().seed != 77


@pytest.mark.parametrize("data", [numbers(50), augmented()], ids=["gathered", "read one by one"])
def test_arrays_are_dense_and_never_used_again(data):
    loader = data.to_dataloader(batch_size=16, seed=0)
    before = list(loader.batches(0))
    copies = [tuple(type(part)(*(array.copy() for array in part)) for part in batch) for batch in before]
    for part in (part for batch in loader.batches(0) for part in batch):
        for array in part:
            assert array.flags.c_contiguous and array.flags.writeable
            array[...] = 0
    assert batches_equal(before, copies) and batches_equal(list(loader.batches(0)), copies)


class NoteThread(BatchTransformer):
    """Draws, and notes which thread it ran in."""

    def __init__(self):
        self.threads = []

    def batch(self, inp, outp, *, rng):
        self.threads.append(threading.current_thread())
        return inp, outp._replace(class_id=rng.random(1)[:, 0])

    @property
    def version(self):
        return "NoteThread"


@pytest.mark.parametrize(("costly", "prefetch", "num_ahead"), [(1e9, 2, 0), (0.0, 2, 7), (0.0, 0, 0)])
def test_costly_batches_are_gathered_ahead_by_a_thread_and_stay_the_same(monkeypatch, costly, prefetch, num_ahead):
    monkeypatch.setattr(workers, "_THREAD_PAYS", costly)
    data = numbers(20)
    data.realtime_transformers.append(NoteThread())
    loader = data.to_dataloader(batch_size=2, prefetch=prefetch, seed=3)
    batches = list(loader.batches(1))
    threads = data.realtime_transformers[0].threads
    ahead = [thread for thread in threads if thread is not threading.main_thread()]
    assert len(ahead) == num_ahead and not any(thread.is_alive() for thread in ahead)
    assert batches_equal(batches, [data.gather(part, 1, 3) for part in np.split(epoch_order(20, 3, 1, True), 10)])


def test_failure_in_the_thread_reaches_the_loop():
    data = FashionDataset()
    data.realtime_transformers.append(FailAt(int(data[20][1].class_id)))
    with pytest.raises(DataError, match="The transformer FailAt failed for the sample token"):
        list(data.to_dataloader())


def test_samples_of_different_shapes_are_named():
    data = FashionDataset()
    data.realtime_transformers.append(lambda inp, outp: (inp._replace(image=inp.image[: 20 + int(outp.class_id)]), outp))
    with pytest.raises(DataError, match=r"The field 'image' has shape \(2\d, 28\) for the sample token 0, and \(2\d, 28\) for \d"):
        list(data.to_dataloader(shuffle=False))


def test_samples_of_different_types_are_named():
    data = FashionDataset()
    data.realtime_transformers.append(lambda inp, outp: (inp._replace(image=inp.image.astype("f4" if outp.class_id else "f8")), outp))
    with pytest.raises(DataError, match="have one element type. Append a transformer: AsType"):
        list(data.to_dataloader(shuffle=False))


def test_empty_dataset_is_refused():
    with pytest.raises(DataError, match="FashionDataset is empty: there is nothing to load"):
        FashionDataset().filter(lambda token: False).to_dataloader()


def test_drop_last_that_leaves_nothing_is_refused():
    with pytest.raises(DataError, match="50 samples do not fill one of 64, and drop_last leaves it out"):
        FashionDataset().to_dataloader(batch_size=64, drop_last=True)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"batch_size": 0}, "batch_size is 0, and must be a whole number of at least 1"),
        ({"batch_size": 2.5}, "batch_size is 2.5"),
        ({"num_workers": -1}, "num_workers is -1, and must be a whole number of at least 0"),
        ({"prefetch": -1}, "prefetch is -1"),
    ],
)
def test_number_that_makes_no_sense_is_refused(arguments, text):
    with pytest.raises(ArgumentError, match=text):
        FashionDataset().to_dataloader(**arguments)


def test_step_beyond_the_epoch_is_refused():
    with pytest.raises(ArgumentError, match="start_step is 6, and an epoch has 5 batches"):
        numbers(20).to_dataloader(batch_size=4).batches(0, 6)


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ({"seed": 1}, "a state has the entries seed, epoch, position, and this one has seed."),
        ({"seed": 1, "epoch": 0, "position": 99}, "stands at sample 99 of epoch 0, and this dataset has 20 samples"),
        ({"seed": 1, "epoch": 0, "position": 6}, "stands at sample 6, between two batches of 4"),
    ],
)
def test_state_that_does_not_fit_is_refused(state, text):
    with pytest.raises(DataError, match=text):
        numbers(20).to_dataloader(batch_size=4).load_state_dict(state)


def test_class_that_counts_otherwise_is_refused():
    class Counting(FashionDataset):
        def __len__(self):
            return 3

    with pytest.raises(DataError, match="Counting says it has 3 samples, and has 50 tokens"):
        Counting().to_dataloader()


def test_full_set_is_gathered_as_it_was_published():
    data = load_dataset("fashion_mnist", "dev")
    inp, outp = next(data.to_dataloader(batch_size=10000, shuffle=False).batches(0))
    assert np.bincount(outp.class_id).tolist() == [1000] * 10
    # mean and deviation of the published test pictures, as torchvision's examples normalise by: 0.2868, 0.3524
    assert abs(inp.image.mean() / 255 - 0.2868) < 5e-4 and abs(inp.image.std() / 255 - 0.3524) < 5e-4
