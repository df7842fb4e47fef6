"""Values reported beside a result."""

import pytest

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.core import Module, Variable, collect_logged, log_value
from babel_dl.errors import ShapeError


def test_what_is_logged_is_collected_by_name_and_the_last_counts(backend: Backend) -> None:
    with collect_logged() as logged:
        log_value("loss", ops.asarray(1.0))
        log_value("loss", ops.asarray([2.0]))
        log_value("number", 3)
        log_value("variable", Variable(4.0))
    assert {name: value.item() for name, value in logged.items()} == {"loss": 2.0, "number": 3, "variable": 4.0}
    assert all(isinstance(value, ops.Tensor) for value in logged.values())


def test_the_innermost_collector_gets_the_value(backend: Backend) -> None:
    with collect_logged() as outer:
        with collect_logged() as inner:
            log_value("a", 1.0)
        log_value("b", 2.0)
    assert (list(inner), list(outer)) == (["a"], ["b"])


def test_without_a_collector_nothing_happens(backend: Backend) -> None:
    assert log_value("loss", ops.asarray(1.0)) is None


def test_only_scalars_are_logged(backend: Backend) -> None:
    with pytest.raises(ShapeError, match=r"log\('loss', ...\) needs a scalar, and got shape \(2,\). Take its mean\(\) first"):
        log_value("loss", ops.ones(2))


def test_a_prediction_leaves_nothing_in_a_collector_outside(backend: Backend) -> None:
    class Logging(Module):
        def call(self, x: object) -> object:
            log_value("seen", ops.sum(x))
            return x

    with collect_logged() as logged:
        Logging().predict(x=1.0)
    assert logged == {}
