"""Building once: at the first call, from shapes, from a dataset; what a failure leaves behind (babilim's D30)."""

from collections import namedtuple

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.core import Module, RunOnlyOnce, TensorSpec
from babel_dl.core.building import example_arrays
from babel_dl.errors import ArgumentError, BuildError
from babel_dl.model.layers import BatchNormalization, Conv2D, Dropout, FullyConnected, Sequential


class Counting(Module):
    """Counts its builds; fails in the first `failures` of them, half way."""

    def __init__(self, failures: int = 0) -> None:
        self.builds, self.failures = 0, failures
        self.layers: list[Module] = []
        self.tries = [0]

    def build(self, x: object) -> None:
        attempt.append(1)
        self.builds += 1
        self.layers.append(FullyConnected(2))
        self.weight = self.variable("weight", (x.shape[-1],), "ones")
        if len(attempt) <= self.failures:
            raise ValueError("the disk is on fire")

    def call(self, x: object) -> object:
        return self.layers[-1](x * self.weight)


attempt: list[int] = []


@pytest.fixture(autouse=True)
def no_attempts() -> None:
    attempt.clear()


def test_a_module_is_built_once_at_its_first_call(backend: Backend) -> None:
    module = Counting()
    assert not module.is_built
    for _ in range(3):
        module(ops.ones((2, 3)))
    assert module.is_built
    assert (module.builds, len(module.layers)) == (1, 1)


def test_a_failed_build_is_undone_and_tried_again(backend: Backend) -> None:
    module = Counting(failures=2)
    for _ in range(2):
        with pytest.raises(ValueError, match="the disk is on fire"):
            module(ops.ones((2, 3)))
        assert not module.is_built
        assert (module.builds, module.layers, hasattr(module, "weight")) == (0, [], False)
    assert module(ops.ones((2, 5))).shape == (2, 2)
    assert list(module.named_variables) == ["/layers/0/weight", "/layers/0/bias", "/weight"]
    assert module.weight.shape == (5,)


def test_a_build_through_a_shape_alone_is_undone_too(backend: Backend) -> None:
    module = Counting(failures=1)
    with pytest.raises(ValueError, match="the disk is on fire"):
        module.build_from(TensorSpec((None, 3)))
    assert not module.is_built
    module.build_from(TensorSpec((None, 3)))
    assert module.is_built


@pytest.mark.parametrize("inner", [lambda: FullyConnected(2), lambda: Dropout(0.5), lambda: Sequential(Sequential(FullyConnected(2)))])
def test_a_module_made_inside_call_is_refused(backend: Backend, inner: object) -> None:
    class Forgetful(Module):
        def call(self, x: object) -> object:
            return inner()(x)

    message = r"is made inside call\(\) and forgotten after it, so it could never be trained.\n  Make it in __init__"
    with pytest.raises(BuildError, match=message):
        Forgetful()(ops.ones((2, 3)))


def test_a_module_without_variables_may_be_made_inside_call(backend: Backend) -> None:
    class Fine(Module):
        def call(self, x: object) -> object:
            return Sequential(ops.relu)(x)

    assert Fine()(ops.asarray([-1.0, 1.0])).numpy().tolist() == [0.0, 1.0]


def test_a_module_without_a_computation_says_what_to_write(backend: Backend) -> None:
    class Empty(Module):
        pass

    with pytest.raises(NotImplementedError, match=r"Empty has no computation. Write: def call"):
        Empty()(ops.ones(1))


def test_sizes_must_be_known_and_initializers_exist(backend: Backend) -> None:
    class Bad(Module):
        def build(self, x: object) -> None:
            self.weight = self.variable("weight", *self.wanted)

        def call(self, x: object) -> object:
            return x

    for wanted, message in (
        (((None, 3),), r"Variable '/weight' cannot have the shape \(None, 3\): sizes are whole numbers"),
        (((2.5,),), r"cannot have the shape \(2.5,\)"),
        (((2,), "zeroes"), "There is no initializer 'zeroes'. Did you mean 'zeros'"),
        (((2,), lambda shape, rng: np.ones(3)), r"The initializer of '/weight' made values of shape \(3,\), .* has shape \(2,\)"),
    ):
        module = Bad()
        module.wanted = wanted
        with pytest.raises(ArgumentError, match=message):
            module(ops.ones(1))


class Everything(Module):
    """State that a build must not move: statistics, a count of batches, a random counter."""

    def __init__(self) -> None:
        self.layers = Sequential(Conv2D(4, 3), BatchNormalization(), Dropout(0.5), FullyConnected(2))

    def call(self, image: object, scale: object = 1.0) -> object:
        return self.layers(image) * scale


def fresh_state(model: Module) -> dict[str, list[float]]:
    return {path: value.tolist() for path, value in model.state_dict().items() if "weight" not in path}


UNTOUCHED = {
    "/layers/layers/0/bias": [0.0] * 4, "/layers/layers/1/bias": [0.0] * 4, "/layers/layers/1/running_mean": [0.0] * 4,
    "/layers/layers/1/running_var": [1.0] * 4, "/layers/layers/1/num_batches_tracked": 0, "/layers/layers/2/random/counter": 0,
    "/layers/layers/3/bias": [0.0] * 2,
}  # fmt: skip


@pytest.mark.parametrize("shape", [(None, 6, 6, 3), (8, 6, 6, 3)])
def test_building_from_a_shape_leaves_no_trace(backend: Backend, shape: tuple[int | None, ...]) -> None:
    model = Everything()
    assert model.build_from(TensorSpec(shape)) is model
    assert model.is_built and model.training
    assert fresh_state(model) == UNTOUCHED


def test_building_by_names_from_arrays_is_the_same(backend: Backend) -> None:
    model = Everything().build_from(image=np.ones((2, 6, 6, 3), np.float32))
    twin = Everything().build_from(TensorSpec((None, 6, 6, 3)), scale=TensorSpec(()))
    assert fresh_state(model) == UNTOUCHED
    for path, value in model.state_dict().items():
        np.testing.assert_array_equal(value, twin.state_dict()[path])


def test_building_again_changes_nothing(backend: Backend) -> None:
    model = Everything().build_from(TensorSpec((None, 6, 6, 3)))
    weight = model.layers[0].weight
    model.build_from(TensorSpec((None, 6, 6, 3)))
    assert model.layers[0].weight is weight


def test_a_dataset_builds_by_its_first_sample_without_a_trace(backend: Backend) -> None:
    sample = namedtuple("Input", ["image"])(np.zeros((6, 6, 3), np.float64))
    model = Everything()
    assert model.initialize([(sample, None)]) is model
    assert fresh_state(model) == UNTOUCHED
    assert model.layers[0].weight.shape == (3, 3, 3, 4)


def test_specs_become_arrays_in_every_nest() -> None:
    pair = namedtuple("Pair", ["a", "b"])
    arrays = example_arrays({"x": [TensorSpec((None, 2)), (TensorSpec((3,), "int32"),)], "y": pair(TensorSpec((), "bfloat16"), np.ones(2))})
    assert (arrays["x"][0].shape, arrays["x"][1][0].dtype.name, type(arrays["y"])) == ((1, 2), "int32", pair)
    assert arrays["y"].a.dtype.name == "bfloat16"


class Once:
    """Neither hashable nor a module."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self) -> None:
        self.calls = 0

    @RunOnlyOnce
    def start(self, value: int) -> int:
        """Starts."""
        self.calls += 1
        if value < 0:
            raise ValueError("no negative start")
        return value


def test_run_only_once_returns_what_the_first_call_returned() -> None:
    once, other = Once(), Once()
    assert [once.start(3), once.start(5), other.start(7), once.start(9)] == [3, 3, 7, 3]
    assert (once.calls, other.calls) == (1, 1)


def test_run_only_once_does_not_count_a_call_that_fails() -> None:
    once = Once()
    with pytest.raises(ValueError, match="no negative start"):
        once.start(-1)
    assert once.start(4) == 4
    assert once.calls == 2


def test_run_only_once_keeps_name_and_documentation() -> None:
    assert (Once.start.__name__, Once.start.__doc__) == ("start", "Starts.")


def test_run_only_once_keeps_no_instance_alive() -> None:
    import gc
    import weakref

    once = Once()
    once.start(1)
    watched = weakref.ref(once)
    del once
    gc.collect()
    assert watched() is None


def test_run_only_once_on_build_changes_nothing_for_a_module(backend: Backend) -> None:
    class Tutorial(Module):
        @RunOnlyOnce
        def build(self, x: object) -> None:
            self.layer = FullyConnected(x.shape[-1] * 2)

        def call(self, x: object) -> object:
            self.build(x)
            return self.layer(x)

    model = Tutorial()
    model(ops.ones((1, 2)))
    assert model(ops.ones((4, 2))).shape == (4, 4)
    assert list(model.named_variables) == ["/layer/weight", "/layer/bias"]
