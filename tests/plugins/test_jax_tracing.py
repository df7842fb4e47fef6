"""A step on JAX gives the memory of its variables away, and users trace with transformations of their own: neither loses anything."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.core import Variable, compile, value_and_grad
from babel_dl.errors import BackendError

pytestmark = [pytest.mark.parametrize("backend_name", ["jax"]), pytest.mark.usefixtures("backend")]

NUM_INTERRUPTS = 300
SIZE = 100_000
"""Elements; so many that JAX and numpy would share the memory where they can."""

INTERRUPTED = """
import signal, sys
import numpy as np
from babel_dl.backend import use_backend
from babel_dl.core import Variable, compile

arrived = 0
def interrupt(*_):
    global arrived
    arrived += 1
    raise KeyboardInterrupt  # may be swallowed where Python cannot raise, so rounds are told apart by the count

def run_until_interrupted(round):
    print("go", flush=True)
    while arrived == round:
        step(x)

signal.signal(signal.SIGINT, interrupt)
with use_backend("jax"):
    total, steps = Variable(np.zeros(8, np.float32)), Variable(0, trainable=False)
    def count(x):
        total.assign(total + x)
        steps.assign(steps + 1)
    step = compile(count)
    x = np.float32(1)
    step(x)
    for round in range(int(sys.argv[1])):
        try:
            run_until_interrupted(round)
        except KeyboardInterrupt:
            pass
        if set(total.numpy()) != {float(steps)}:
            sys.exit(f"after interrupt {round}: {total.numpy()} and {steps.numpy()}")
print("kept", flush=True)
"""
"""Says "go" and steps until Ctrl-C, many times. Reading a variable that was lost ends it with JAX's error."""


def test_ctrl_c_in_a_compiled_step_loses_no_variable_and_leaves_none_half_written() -> None:
    command = [sys.executable, "-c", INTERRUPTED, str(NUM_INTERRUPTS)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    said = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for delay in np.random.default_rng(0).uniform(0.0, 2e-3, NUM_INTERRUPTS):
            said = process.stdout.readline()
            if said != "go\n":
                break
            time.sleep(delay)
            process.send_signal(signal.SIGINT)
        said = process.stdout.read()
    assert (process.returncode, said) == (0, "kept\n")


HANDED_OUT: dict[str, Callable[[Variable], Any]] = {
    "numpy()": lambda variable: variable.numpy(),
    "to_numpy": lambda variable: variable.backend.to_numpy(variable.native),
    "np.asarray": np.asarray,
    "np.asarray of the native": lambda variable: np.asarray(variable.native),
    "np.from_dlpack of the native": lambda variable: np.from_dlpack(variable.native),
    "value.copy()": lambda variable: variable.value.copy(),
    "value": lambda variable: variable.value,
}


@pytest.mark.parametrize("way", HANDED_OUT)
def test_what_was_handed_out_stays_when_steps_take_over_the_memory(way: str) -> None:
    variable = Variable(np.zeros(SIZE, np.float32))
    step = compile(lambda: variable.assign(variable + 1.0))
    for steps_before in (0, 1):  # the first array came from the host, later ones from a step
        kept = HANDED_OUT[way](variable)
        step()
        np.testing.assert_array_equal(np.asarray(kept), np.full(SIZE, steps_before, np.float32))
    step()
    np.testing.assert_array_equal(variable.numpy(), np.full(SIZE, 3, np.float32))


def test_variables_that_share_an_array_are_stepped_apart() -> None:
    first = Variable(np.ones(SIZE, np.float32))
    second = Variable(np.zeros(SIZE, np.float32))
    second.assign(first.value)
    kept = first.value

    def change() -> None:
        first.assign(first + 1.0)
        second.assign(second * 5.0)

    step = compile(change)
    step()
    step()
    assert [set(held.numpy()) for held in (first, second, kept)] == [{3.0}, {25.0}, {1.0}]


def test_arrays_of_the_user_may_be_refilled_at_once() -> None:
    host = np.ones(SIZE, np.float32)
    variable = Variable(host)
    step = compile(lambda x: variable.assign(variable + x))
    for number in (10.0, 100.0):
        host[:] = number
        step(host)
    host[:] = np.nan
    assert set(variable.numpy()) == {111.0}


X = np.array([1.0, 2.0, -3.0], np.float32)
WEIGHT = np.array([2.0, -4.0, 0.5], np.float32)


@pytest.fixture
def weight() -> Variable:
    return Variable(WEIGHT, path="/weight")


def test_a_variable_is_read_inside_a_transformation_of_the_user(weight: Variable) -> None:
    import jax

    np.testing.assert_array_equal(jax.jit(lambda x: x * weight.native)(X), X * WEIGHT)
    np.testing.assert_array_equal(jax.jit(lambda x: (weight * x).native)(X), X * WEIGHT)
    np.testing.assert_array_equal(jax.grad(lambda x: ops.sum(weight * x * x).native)(X), 2 * X * WEIGHT)
    np.testing.assert_array_equal(jax.vmap(lambda x: (weight * x).native)(np.stack([X, X])), np.stack([X * WEIGHT, X * WEIGHT]))
    np.testing.assert_array_equal(weight.numpy(), WEIGHT)


@pytest.mark.parametrize("transformation", ["jit", "grad", "vmap"])
def test_a_number_that_was_filled_in_and_first_read_inside_can_be_read_outside(transformation: str) -> None:
    import jax

    rate = Variable(np.float32(1.0), trainable=False, path="/rate")
    rate.fill(0.5)
    getattr(jax, transformation)(lambda x: x * rate.native)(np.float32(3) if transformation == "grad" else X)
    assert rate.numpy() == 0.5
    rate.fill(0.25)
    assert float(rate) == 0.25


def test_gradients_of_a_variable_are_taken_inside_a_transformation_of_the_user(weight: Variable) -> None:
    import jax

    gradient = jax.jit(lambda x: value_and_grad(lambda: ops.sum(weight * weight * x), weight)[1][0].native)(X)
    np.testing.assert_array_equal(gradient, 2 * WEIGHT * X)
    np.testing.assert_array_equal(weight.numpy(), WEIGHT)


def test_a_variable_made_inside_a_transformation_of_the_user_lives_on_outside() -> None:
    import jax

    made: list[Variable] = []

    def function(x: Any) -> Any:
        made.append(Variable(WEIGHT))
        return x * made[0].native

    np.testing.assert_array_equal(jax.jit(function)(X), X * WEIGHT)
    np.testing.assert_array_equal(made[0].numpy(), WEIGHT)


def _compiled_step(weight: Variable, x: Any) -> None:
    compile(lambda x: weight.assign(weight + x))(x)


WRITES: dict[str, Callable[[Variable, Any], Any]] = {
    "a traced value": lambda weight, x: weight.assign(x),
    "a host value": lambda weight, x: weight.assign(np.zeros(3, np.float32)),
    "fill": lambda weight, x: weight.fill(0.0),
    "+=": lambda weight, x: weight.__iadd__(1.0),
    "a compiled step": _compiled_step,
}


@pytest.mark.parametrize("way", WRITES)
def test_a_write_inside_a_transformation_of_the_user_is_refused_and_changes_nothing(weight: Variable, way: str) -> None:
    import jax

    def function(x: Any) -> Any:
        WRITES[way](weight, x)
        return x

    with pytest.raises(BackendError, match="'/weight'.* inside of a JAX transformation that\\s+babel_dl did not start: its value would be"):
        jax.jit(function)(X)
    np.testing.assert_array_equal(weight.numpy(), WEIGHT)
    weight.assign(weight + 1.0)
    np.testing.assert_array_equal(weight.numpy(), WEIGHT + 1)
