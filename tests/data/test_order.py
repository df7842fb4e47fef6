"""The order of samples."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from babel_dl.data.order import batch_indices, epoch_order

numbers = st.integers(0, 2**31)


@given(st.integers(0, 300), numbers, numbers)
def test_order_holds_each_sample_once(num_samples, seed, epoch):
    assert sorted(epoch_order(num_samples, seed, epoch, shuffle=True).tolist()) == list(range(num_samples))


@given(st.integers(20, 300), numbers, numbers)
def test_order_is_a_function_of_seed_and_epoch(num_samples, seed, epoch):
    order = epoch_order(num_samples, seed, epoch, shuffle=True)
    assert np.array_equal(order, epoch_order(num_samples, seed, epoch, shuffle=True))
    assert not np.array_equal(order, epoch_order(num_samples, seed, epoch + 1, shuffle=True))
    assert not np.array_equal(order, epoch_order(num_samples, seed + 1, epoch, shuffle=True))


def test_seed_and_epoch_do_not_add_up():
    assert not np.array_equal(epoch_order(100, 3, 5, True), epoch_order(100, 4, 4, True))


def test_places_are_spread_evenly():
    places = np.array([np.argsort(epoch_order(10, seed, 0, True)) for seed in range(4000)])
    counts = np.array([np.bincount(places[:, sample], minlength=10) for sample in range(10)])
    # chi-squared with 9 degrees of freedom: below 33.7 in 9,999 of 10,000 cases
    assert (((counts - 400) ** 2) / 400).sum(axis=1).max() < 33.7


def test_order_stays_what_it_was():
    # from Philox4x64-10 (Salmon et al. 2011), whose output is fixed: a change of these numbers breaks the resume of stored runs
    assert epoch_order(8, 0, 0, True).tolist() == [4, 5, 3, 2, 0, 1, 6, 7]


def test_unshuffled_order_is_their_own():
    assert epoch_order(5, 1, 2, shuffle=False).tolist() == [0, 1, 2, 3, 4]


@given(st.integers(0, 100), st.integers(1, 20), st.booleans(), st.integers(0, 5))
def test_batches_are_the_parts_of_the_order(num_samples, batch_size, drop_last, start_step):
    order = np.arange(num_samples)
    parts = [part.tolist() for part in batch_indices(order, batch_size, drop_last, start_step)]
    whole = [order[i : i + batch_size].tolist() for i in range(0, num_samples, batch_size)]
    assert parts == [part for part in whole if len(part) == batch_size or not drop_last][start_step:]
