"""What a module finds in itself (babilim's D18: lost parameters, double updates, endless recursion, consumed iterators; and D19)."""

from collections import namedtuple

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.core import Module, Variable
from babel_dl.errors import ArgumentError
from babel_dl.model.layers import FullyConnected

Pair = namedtuple("Pair", ["left", "right"])


class Scale(Module):
    """One variable."""

    def build(self, x: object) -> None:
        self.factor = self.variable("factor", (), "ones")

    def call(self, x: object) -> object:
        return x * self.factor


class Nested(Module):
    """Modules in every kind of place."""

    def __init__(self) -> None:
        self.own = Variable([1.0])
        self.attribute = Scale()
        self.listed = [Scale(), [Scale()]]
        self.keyed = {"a": Scale(), "b": {"c": Scale()}}
        self.named = Pair(Scale(), Variable([2.0]))
        self.nothing = None

    def call(self, x: object) -> object:
        for scale in (self.attribute, self.listed[0], self.listed[1][0], self.keyed["a"], self.keyed["b"]["c"], self.named.left):
            x = scale(x)
        return x


PATHS = [
    "/own", "/attribute/factor", "/listed/0/factor", "/listed/1/0/factor", "/keyed/a/factor", "/keyed/b/c/factor", "/named/0/factor",
    "/named/1",
]  # fmt: skip


def test_modules_and_variables_are_found_everywhere_and_named_by_their_place(backend: Backend) -> None:
    model = Nested()
    model(ops.ones(2))
    assert list(model.named_variables) == PATHS
    assert [path for path in model.modules] == ["", *(path.removesuffix("/factor") for path in PATHS if path.endswith("factor"))]
    assert [model.keyed["b"]["c"].path, model.keyed["b"]["c"].factor.path] == ["/keyed/b/c", "/keyed/b/c/factor"]
    assert len(model.variables) == len(model.trainable_variables) == 8
    assert model.untrainable_variables == []


def test_the_mode_reaches_every_module_below(backend: Backend) -> None:
    model = Nested()
    assert model.eval() is model
    assert not any(module.training for module in model.modules.values())
    model.train()
    assert all(module.training for module in model.modules.values())


def test_a_shared_module_is_found_once(backend: Backend) -> None:
    class Shared(Module):
        def __init__(self) -> None:
            self.first = Scale()
            self.again = self.first
            self.listed = [self.first, self.first]

        def call(self, x: object) -> object:
            return self.again(self.first(x))

    model = Shared()
    model(ops.ones(1))
    assert list(model.named_variables) == ["/first/factor"]
    assert list(model.modules) == ["", "/first"]


def test_references_back_to_a_parent_end(backend: Backend) -> None:
    class Child(Scale):
        def __init__(self, parent: Module) -> None:
            self.parent = parent

    class Parent(Module):
        def __init__(self) -> None:
            self.child = Child(self)
            self.ring: list[object] = []
            self.ring.append(self.ring)

        def call(self, x: object) -> object:
            return self.child(x)

    model = Parent()
    model(ops.ones(1))
    assert list(model.named_variables) == ["/child/factor"]
    assert list(model.eval().modules) == ["", "/child"]


def test_iterators_are_not_consumed(backend: Backend) -> None:
    class Holder(Scale):
        def __init__(self) -> None:
            self.numbers = (number for number in range(3))
            self.file = iter(["a", "b"])

    model = Holder()
    model(ops.ones(1))
    assert len(model.variables) == 1
    assert (list(model.numbers), list(model.file)) == ([0, 1, 2], ["a", "b"])


def test_other_attributes_are_ignored(backend: Backend) -> None:
    class Stranger:
        """Holds a module, and is none."""

        def __init__(self) -> None:
            self.hidden = Scale()

    class Holder(Scale):
        def __init__(self) -> None:
            self.stranger, self.text, self.number, self.array, self.kind = Stranger(), "text", 3, np.ones(3), Scale
            self.modules_in_a_set = {"a", "b"}

    model = Holder()
    model(ops.ones(1))
    assert list(model.named_variables) == ["/factor"]


def test_native_tensors_beside_variables_hide_nothing(backend: Backend) -> None:
    class Holder(Scale):
        def __init__(self) -> None:
            self.constant = backend.asarray(np.ones(1), "float32")
            self.layer = FullyConnected(2)

        def call(self, x: object) -> object:
            return self.layer(x * self.factor)

    model = Holder()
    model(ops.ones((1, 3)))
    assert list(model.named_variables) == ["/layer/weight", "/layer/bias", "/factor"]


def test_a_module_built_alone_is_found_by_the_model_that_takes_it_in(backend: Backend) -> None:
    encoder = Scale()
    encoder(ops.ones(1))

    class Model(Module):
        def __init__(self) -> None:
            self.encoder = encoder

        def call(self, x: object) -> object:
            return self.encoder(x)

    model = Model()
    model(ops.ones(1))
    assert list(model.named_variables) == ["/encoder/factor"]
    assert encoder.path == "/encoder"
    assert model.encoder.factor is encoder.factor


def test_parts_are_frozen_and_thawed_by_pattern(backend: Backend) -> None:
    model = Nested()
    model(ops.ones(1))
    assert model.freeze("/keyed/*") is model
    assert [path for path, v in model.named_variables.items() if not v.trainable] == ["/keyed/a/factor", "/keyed/b/c/factor"]
    model.freeze("/listed/?/factor")
    assert len(model.untrainable_variables) == 3
    model.freeze("/keyed/a/*", frozen=False)
    assert len(model.untrainable_variables) == 2
    model.freeze()
    assert model.trainable_variables == []
    model.freeze(frozen=False)
    assert len(model.trainable_variables) == 8


def test_a_pattern_that_fits_nothing_is_refused_with_the_paths(backend: Backend) -> None:
    model = Nested()
    with pytest.raises(ArgumentError, match=r"No parameter's path fits '/encoder/\*'. Paths: /own, /named/1"):
        model.freeze("/encoder/*")
    with pytest.raises(ArgumentError, match=r"fits '\*'. Paths: none, build the module first"):
        Scale().freeze()


def test_statistics_are_not_thawed_with_the_parameters(backend: Backend) -> None:
    from babel_dl.model.layers import BatchNormalization

    layer = BatchNormalization()
    layer(ops.ones((2, 3)))
    layer.freeze().freeze(frozen=False)
    assert [path for path, v in layer.named_variables.items() if v.trainable] == ["/weight", "/bias"]


def test_a_module_without_variables_works_on_the_backend_in_force(backend: Backend) -> None:
    assert Module().backend is backend


def test_a_path_reads_attribute_index_and_name(backend: Backend) -> None:
    class Model(Module):
        def __init__(self) -> None:
            self.linear = [FullyConnected(3), FullyConnected(2)]

        def call(self, x: object) -> object:
            return self.linear[1](self.linear[0](x))

    model = Model().build_from(np.ones((1, 4), np.float32))
    assert list(model.named_variables) == ["/linear/0/weight", "/linear/0/bias", "/linear/1/weight", "/linear/1/bias"]
    assert [variable.path for variable in model.variables] == list(model.named_variables)
