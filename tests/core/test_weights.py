"""State dicts: canonical names and layout, all or nothing (babilim's D24)."""

import numpy as np
import pytest

from babel_dl import ops, use_backend, use_seed
from babel_dl.backend import Backend
from babel_dl.core import Module, Variable
from babel_dl.errors import CheckpointError
from babel_dl.model.layers import BatchNormalization, Conv2D, Flatten, FullyConnected, Sequential

SHAPE = (2, 6, 5, 3)


def small_model(seed: int = 0) -> Sequential:
    with use_seed(seed):
        model = Sequential(Conv2D(18, (3, 5), stride=2), BatchNormalization(), Flatten(), FullyConnected(4))
    return model.build_from(np.zeros(SHAPE, np.float32))


def test_names_and_shapes_are_canonical_on_every_backend(backend: Backend) -> None:
    values = small_model().state_dict()
    assert {path: value.shape for path, value in values.items()} == {
        "/layers/0/weight": (3, 5, 3, 18), "/layers/0/bias": (18,), "/layers/1/weight": (18,), "/layers/1/bias": (18,),
        "/layers/1/running_mean": (18,), "/layers/1/running_var": (18,), "/layers/1/num_batches_tracked": (),
        "/layers/3/weight": (3 * 3 * 18, 4), "/layers/3/bias": (4,),
    }  # fmt: skip
    assert all(value.flags.c_contiguous for value in values.values())
    assert values["/layers/1/num_batches_tracked"].dtype == np.int32


def test_values_are_copies(backend: Backend) -> None:
    model = small_model()
    model.state_dict()["/layers/0/weight"][:] = 7
    assert not (model.state_dict()["/layers/0/weight"] == 7).any()


def test_a_different_model_answers_alike_after_loading(backend: Backend) -> None:
    x = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    model, other = small_model(1), small_model(2)
    model(x)
    assert not np.allclose(model.eval()(x).numpy(), other.eval()(x).numpy())
    assert other.load_state_dict(model.state_dict()) is other
    np.testing.assert_array_equal(other(x).numpy(), model(x).numpy())


def test_weights_cross_to_every_other_backend(backend: Backend, backend_names: tuple[str, ...]) -> None:
    x = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    model = small_model(1)
    model(x)
    for name in backend_names:
        with use_backend(name):
            twin = small_model(2).load_state_dict(model.state_dict())
        for path, value in twin.state_dict().items():
            np.testing.assert_array_equal(value, model.state_dict()[path])
        np.testing.assert_allclose(twin.eval()(x).numpy(), model.eval()(x).numpy(), rtol=1e-5, atol=1e-6)


def test_what_does_not_fit_is_listed_whole_and_changes_nothing(backend: Backend) -> None:
    model = small_model()
    before = model.state_dict()
    values = {path: value + 1 for path, value in before.items()}
    del values["/layers/3/bias"]
    values["/layers/9/weight"] = np.ones(2, np.float32)
    values["/layers/0/weight"] = values["/layers/0/weight"].transpose(1, 0, 2, 3)
    values["/layers/1/bias"] = values["/layers/1/bias"].astype(np.float64)
    with pytest.raises(CheckpointError, match="The values do not fit into Sequential:") as caught:
        model.load_state_dict(values)
    for line in (
        "missing: /layers/3/bias (4,)", "unexpected: /layers/9/weight (2,)", "type: /layers/1/bias is float32, the value is float64",
        "shape: /layers/0/weight is (3, 5, 3, 18), the value has (5, 3, 3, 18)",
        "Nothing was changed; make it with the same configuration.",
    ):  # fmt: skip
        assert line in str(caught.value)
    for path, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[path])


def test_a_model_that_is_not_built_says_how_to(backend: Backend) -> None:
    message = r"unexpected: /weight \(2,\)\n  Nothing was changed; build it first \(initialize, build_from"
    with pytest.raises(CheckpointError, match=message):
        FullyConnected(2).load_state_dict({"/weight": np.ones(2, np.float32)})


def test_the_summary_counts_every_value_once(backend: Backend) -> None:
    class Model(Module):
        def __init__(self) -> None:
            self.dense = FullyConnected(2)
            self.shared = [self.dense]
            self.listed = [Variable(np.ones(1000))]
            self.norm = BatchNormalization()

        def call(self, x: object) -> object:
            return self.norm(self.dense(x))

    model = Model()
    model(ops.ones((4, 3)))
    table = model.summary()
    assert table.splitlines()[0] == "Model"
    assert table.splitlines()[-1] == "1,012 trainable of 1,017 values"
    assert "listed/0 (1000,)" in table
    assert table.count("weight (3, 2), bias (2,)") == 1
    assert model.freeze().summary().endswith("0 trainable of 1,017 values")
