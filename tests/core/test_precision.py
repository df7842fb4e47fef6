"""Mixed precision: its names, and who has which policy."""

import copy
from typing import Any

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.core import Module, Variable, precision
from babel_dl.core.precision import POLICIES, find_precision, inherit_precision, policies_of, uses_float16
from babel_dl.errors import ArgumentError
from babel_dl.model.layers import FullyConnected, LayerNorm, Sequential
from babel_dl.training.losses import MeanSquaredError
from babel_dl.training.metrics import Mean
from tests.core.precision_examples import Nested, Spy, X

# ---------------------------------------------------------------- names


@pytest.mark.parametrize(("name", "policy"), POLICIES.items())
def test_a_policy_goes_by_all_its_names(name: str, policy: str) -> None:
    module = Spy()
    module.precision = name.upper()
    assert module.precision == policy == find_precision(name)


def test_the_names_of_other_libraries_mean_what_they_mean_there() -> None:
    lightning = {"bf16-mixed": "bfloat16", "16-mixed": "float16", "32-true": "float32"}
    keras = {"mixed_bfloat16": "bfloat16", "mixed_float16": "float16", "float32": "float32"}
    assert {name: find_precision(name) for name in (*lightning, *keras)} == {**lightning, **keras}
    assert (find_precision(16), find_precision(32)) == ("float16", "float32")


@pytest.mark.parametrize(
    ("name", "hint"),
    [("bfloat", "Did you mean 'bfloat16'"), ("bf16-true", "Did you mean"), ("quantum", "Known: 16, 16-mixed"), (0.5, "no precision 0.5")],
)
def test_an_unknown_precision_is_refused_with_what_there_is(name: Any, hint: str) -> None:
    module = Spy()
    with pytest.raises(ArgumentError, match=hint) as refused:
        module.precision = name
    assert 'computes: "float32", "bfloat16" or "float16". Variables are float32 with each' in str(refused.value)
    assert module.precision == "float32"


# ---------------------------------------------------------------- who has which


def test_a_policy_goes_to_all_below_that_do_not_say_otherwise() -> None:
    model = Nested()
    model.head.precision = "float32"
    model.precision = "bf16"
    found = {path: module.precision for path, module in model.modules.items()}
    assert {path for path, policy in found.items() if policy == "float32"} == {path for path in found if path.startswith("/head")}
    assert found[""] == found["/body/layers/0"] == found["/after"] == "bfloat16"


def test_none_says_nothing_so_that_the_module_above_decides() -> None:
    model = Nested()
    model.precision = "bf16"
    model.head.precision = "float16"
    model.head.precision = None
    assert set(policies_of([model])) == {"bfloat16"}
    model.precision = None
    assert set(policies_of([model])) == {"float32"}


def test_a_pattern_sets_the_outermost_modules_that_fit() -> None:
    model = Nested()
    assert model.set_precision("bf16") is model
    model.set_precision("float16", "/head*")
    assert (model.precision, model.body.layers[0].precision, model.head.precision) == ("bfloat16", "bfloat16", "float16")
    assert [vars(module).get("_precision") for module in (model.head, model.head.layers[0])] == ["float16", None]
    with pytest.raises(ArgumentError, match=r"No module's path fits '/neck\*'. Paths: '', '/body', '/body/layers/0'"):
        model.set_precision("bf16", "/neck*")


def test_parts_that_are_made_in_build_have_the_policy_of_the_module(backend: Backend) -> None:
    class Late(Module):
        def build(self, x: Any) -> None:
            self.inner = Sequential(FullyConnected(3))

        def call(self, x: Any) -> Any:
            return self.inner(x)

    model = Late()
    model.precision = "bf16"
    model(X)
    assert model.inner.layers[0].precision == "bfloat16"
    rounded = model.inner.layers[0](ops.asarray(X)).numpy()  # called by itself, too
    assert np.array_equal(rounded, model(ops.asarray(X)).numpy())


def test_a_part_that_was_put_in_later_computes_as_the_module_that_calls_it(backend: Backend) -> None:
    model = Nested()
    model.precision = "bf16"
    model.after = Spy()
    model(X)
    assert model.after.compute_dtype == "bfloat16"


def test_a_copy_keeps_the_policy() -> None:
    model = Nested()
    model.precision = "bf16"
    model.head.precision = "float16"
    assert policies_of([copy.deepcopy(model)]) == policies_of([model])
    layer = LayerNorm()
    layer(X)
    assert (copy.deepcopy(layer).weight.is_cast, copy.deepcopy(Variable(X)).is_cast) == (False, True)


def test_a_trainer_hands_its_policy_to_modules_but_not_to_losses_metrics_and_those_that_say_otherwise() -> None:
    model, head, loss, metric = Nested(), FullyConnected(2), MeanSquaredError(), Mean()
    head.precision = "float32"
    inherit_precision([model, head, loss, metric], "16-mixed")
    assert [part.precision for part in (model, model.head.layers[1], head, loss, metric)] == ["float16"] * 2 + ["float32"] * 3
    loss.precision = "bf16"  # who asks for it gets it
    assert loss.precision == "bfloat16"


def test_float16_is_found_wherever_it_is() -> None:
    model = Nested()
    assert not uses_float16([model])
    model.head.layers[1].precision = "float16"
    assert uses_float16([Spy(), model])
    model.head.layers[1].precision = "bf16"
    assert not uses_float16([model])


def test_only_changes_count_as_changes() -> None:
    model = Nested()
    model.precision = "bf16"
    before = precision.revision
    model.precision = "bfloat16"
    inherit_precision([model], "float16")  # it has said something itself
    assert precision.revision == before
    model.precision = "float16"
    assert precision.revision == before + 1
