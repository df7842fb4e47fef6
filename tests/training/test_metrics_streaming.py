"""Means over many batches. The expected numbers are averages over all samples at once, by numpy in float64."""

import json
import math

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.errors import ArgumentError, CheckpointError, ShapeError
from babel_dl.training.metrics import NonFinite, StreamingMean, StreamingMeans
from babel_dl.training.metrics.streaming import read_together

RNG = np.random.default_rng(3)
SIZES = [32, 32, 32, 7]
BATCHES = [RNG.normal(size=size) for size in SIZES]
VALUES = [np.float32(batch.mean()) for batch in BATCHES]


def feed(means, backend, values=VALUES, sizes=SIZES, name="loss/total"):
    for value, size in zip(values, sizes, strict=True):
        means.add({name: ops.asarray(value).native}, size, backend)


def test_the_mean_is_weighted_by_the_number_of_samples():
    mean = StreamingMean()
    for batch in BATCHES:
        mean.update(batch.mean(), batch.size)
    assert mean.result() == pytest.approx(np.concatenate(BATCHES).mean(), rel=1e-12)


def test_the_sum_is_kept_in_float64():
    mean = StreamingMean()
    for value in (2.0**30, 1.0, 1.0, -(2.0**30)):  # in float32 the ones would be lost
        mean.update(value)
    assert mean.result() == 0.5


def test_a_mean_of_nothing_is_nan():
    assert math.isnan(StreamingMean().result())


def test_a_mean_that_is_reset_starts_over():
    mean = StreamingMean()
    mean.update(5.0, 3)
    mean.reset()
    mean.update(1.0)
    assert mean.result() == 1.0


def test_a_mean_goes_on_from_its_state():
    whole, first, second = StreamingMean(), StreamingMean(), StreamingMean()
    for mean, updates in ((whole, VALUES), (first, VALUES[:2])):
        for value in updates:
            mean.update(value, 3)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for value in VALUES[2:]:
        second.update(value, 3)
    assert second.result() == whole.result()


@pytest.mark.parametrize("count", [0, -1])
def test_a_mean_over_no_samples_is_refused(count):
    with pytest.raises(ArgumentError, match="weighted by a number of samples of at least 1, and got"):
        StreamingMean().update(1.0, count)
    with pytest.raises(ArgumentError, match="weighted by a number of samples of at least 1, and got"):
        StreamingMeans().add({}, count, None)


@pytest.mark.parametrize("state", [{}, {"total": 1.0}, {"total": 1.0, "num_samples": 1, "more": 0}, None])
def test_a_strange_state_is_refused_and_nothing_is_changed(state):
    mean = StreamingMean()
    mean.update(2.0)
    with pytest.raises(CheckpointError, match="StreamingMean cannot go on from a state with"):
        mean.load_state_dict(state)
    assert mean.result() == 2.0


def test_the_means_of_device_scalars_are_weighted_by_the_number_of_samples(backend):
    means = StreamingMeans()
    feed(means, backend)
    assert means.means() == {"loss/total": pytest.approx(np.average(VALUES, weights=SIZES), rel=1e-12)}


def test_no_scalar_is_read_before_the_flush(backend):
    class Unread(type(backend)):
        reads = 0

        def to_numpy(self, x):
            Unread.reads += 1
            return super().to_numpy(x)

    watched, means = Unread(), StreamingMeans()
    feed(means, watched)
    assert Unread.reads == 0
    means.flush()
    assert Unread.reads > 0


def test_when_it_is_flushed_changes_no_number(backend):
    often, once = StreamingMeans(), StreamingMeans()
    for value, size in zip(VALUES, SIZES, strict=True):
        feed(often, backend, [value], [size])
        often.flush()
    feed(once, backend)
    assert often.means() == once.means()


def test_a_name_that_is_missing_in_some_updates_is_averaged_over_the_others(backend):
    means = StreamingMeans()
    means.add({"a": ops.asarray(1.0).native, "b": ops.asarray(10.0).native}, 2, backend)
    means.add({"b": ops.asarray(20.0).native}, 2, backend)
    assert means.means() == {"a": 1.0, "b": 15.0}


def test_scalars_of_any_type_and_of_shape_one_are_taken(backend):
    means = StreamingMeans()
    values = {name: ops.asarray(2, dtype=name).native for name in ("float16", "bfloat16", "float32", "int32", "uint8")}
    means.add({**values, "one": ops.asarray([2.0]).native, "handle": ops.asarray(2.0)}, 1, backend)
    assert set(means.means().values()) == {2.0}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_first_value_that_is_not_finite_is_reported_with_its_name_and_update(backend, bad):
    means = StreamingMeans()
    feed(means, backend, [1.0, 2.0], [1, 1])
    assert means.flush() is None
    means.add({"fine": ops.asarray(1.0).native, "loss/total": ops.asarray(bad).native}, 1, backend)
    feed(means, backend, [math.nan], [1], name="later")
    name, update, value = means.flush()
    assert (name, update) == ("loss/total", 2)
    assert value == bad or (math.isnan(value) and math.isnan(bad))


def test_a_value_that_is_not_finite_is_reported_until_the_reset(backend):
    means = StreamingMeans()
    feed(means, backend, [math.inf], [1])
    means.means()
    feed(means, backend, [1.0], [1])
    assert means.flush() == NonFinite("loss/total", 0, math.inf)
    means.reset()
    assert means.flush() is None
    assert means.means() == {}


def test_the_means_go_on_from_their_state_with_the_same_positions(backend):
    whole, first, second = StreamingMeans(), StreamingMeans(), StreamingMeans()
    feed(whole, backend)
    feed(first, backend, VALUES[:2], SIZES[:2])
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    feed(second, backend, VALUES[2:], SIZES[2:])
    assert second.means() == whole.means()
    feed(second, backend, [math.nan], [1])
    assert second.flush()[:2] == ("loss/total", 4)


def test_a_strange_state_of_means_is_refused_and_nothing_is_changed(backend):
    means = StreamingMeans()
    feed(means, backend, [3.0], [1])
    for state in ({"num_updates": 1}, {"num_updates": 1, "means": {"a": {"total": 1.0}}}):
        with pytest.raises(CheckpointError, match="cannot go on from a state with"):
            means.load_state_dict(state)
    assert means.means() == {"loss/total": 3.0}


def test_what_is_no_scalar_is_refused_by_name(backend):
    means = StreamingMeans()
    means.add({"metrics/ca": ops.zeros(3).native}, 3, backend)
    with pytest.raises(ShapeError, match=r"The mean of 'metrics/ca' needs scalars, and got shape \(3,\)"):
        means.flush()


def test_scalars_read_together_are_those_read_one_by_one(backend):
    natives = [ops.asarray(value).native for value in VALUES] + [ops.asarray([0.5]).native]
    assert read_together(natives, backend) == [*map(float, VALUES), 0.5]
    assert read_together(natives[:1], backend) == [float(VALUES[0])]


def test_a_backend_with_an_accelerator_gets_few_transfers_and_gives_the_same_numbers(backend):
    class WithAccelerator(type(backend)):
        transfers = 0

        def devices(self):
            return ("cuda:0", "cpu")

        def to_numpy(self, x):
            WithAccelerator.transfers += 1
            return super().to_numpy(x)

    means, watched = StreamingMeans(), WithAccelerator()
    for value, size in zip(VALUES, SIZES, strict=True):
        means.add({"loss": ops.asarray(value).native, "half": ops.asarray(0.5, dtype="float16").native}, size, watched)
    assert means.means() == {"loss": pytest.approx(np.average(VALUES, weights=SIZES), rel=1e-12), "half": 0.5}
    assert WithAccelerator.transfers == 2  # one for each element type
