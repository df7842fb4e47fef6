"""What an optimizer keeps, what it refuses, and what changes it while it runs."""

import re

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.core import Variable, compile
from babel_dl.errors import ArgumentError
from babel_dl.training.optimizers import SGD, Adam, AdamW, RMSprop

ALL = [SGD(0.1), SGD(0.1, dampening=0.5), Adam(), AdamW(), RMSprop(momentum=0.5, centered=True)]


def variables() -> dict[str, Variable]:
    return {"/conv/weight": Variable(np.ones((2, 2, 1, 3), np.float32)), "/conv/bias": Variable(np.ones(3, np.float32))}


def names_of_state(optimizer) -> list[str]:
    optimizer.prepare(variables())
    return list(optimizer.named_variables)


def slots(*names: str) -> list[str]:
    return [f"{slot}{path}" for path in ("/conv/weight", "/conv/bias") for slot in names]


@pytest.mark.parametrize(
    ("optimizer", "names"),
    [
        (lambda: SGD(0.1, momentum=0.0), ["learning_rate"]),
        (lambda: SGD(0.1), ["learning_rate", *slots("momentum")]),
        (lambda: SGD(0.1, dampening=0.5), ["learning_rate", "step", *slots("momentum")]),
        (lambda: Adam(), ["learning_rate", "step", *slots("first_moment", "second_moment")]),
        (lambda: AdamW(), ["learning_rate", "step", *slots("first_moment", "second_moment")]),
        (lambda: RMSprop(), ["learning_rate", *slots("square")]),
        (lambda: RMSprop(momentum=0.5, centered=True), ["learning_rate", *slots("square", "mean", "momentum")]),
    ],
)
def test_state_is_named_by_kind_and_path(backend, optimizer, names):
    assert names_of_state(optimizer()) == names


def test_state_has_the_shape_of_its_variable_and_starts_at_zero(backend):
    optimizer = Adam()
    optimizer.prepare(variables())
    moment = optimizer.named_variables["second_moment/conv/weight"]
    np.testing.assert_array_equal(moment.numpy(), np.zeros((2, 2, 1, 3)))
    assert not moment.trainable


def test_a_hyperparameter_that_moves_is_part_of_the_state(backend):
    optimizer = SGD(0.1, momentum=0.8)
    optimizer.let_move("momentum")
    assert names_of_state(optimizer)[:2] == ["learning_rate", "momentum"]
    assert optimizer.named_variables["momentum"].numpy() == np.float32(0.8)
    assert optimizer.moving_names == ("learning_rate", "momentum")


def test_two_models_with_equal_paths_keep_their_own_state(backend):
    optimizer = SGD(1.0, momentum=0.5, nesterov=False)
    first, second = Variable(np.zeros(2, np.float32), path="/weight"), Variable(np.zeros(3, np.float32), path="/weight")
    optimizer.apply([ops.ones((2,))], [first])
    optimizer.apply([ops.full((3,), 2.0)], [second])
    state = {name: variable.numpy().tolist() for name, variable in optimizer.named_variables.items() if name != "learning_rate"}
    assert state == {"momentum/weight": [1, 1], "momentum/1/weight": [2, 2, 2]}


def test_variables_without_a_path_are_told_apart(backend):
    both = [Variable(np.zeros(2, np.float32)), Variable(np.zeros(2, np.float32))]
    optimizer = SGD(1.0)
    optimizer.apply([ops.ones((2,)), ops.full((2,), 2.0)], both)
    assert len(optimizer.named_variables) == 3
    np.testing.assert_allclose(both[1].numpy(), [-3.9, -3.9], rtol=1e-6)  # nesterov: 2 + 0.95 * 2


def test_preparing_twice_keeps_the_state(backend):
    variable = Variable(np.zeros(2, np.float32), path="/weight")
    optimizer = SGD(1.0)
    optimizer.apply([ops.ones((2,))], [variable])
    optimizer.prepare({"/weight": variable})
    np.testing.assert_array_equal(optimizer.named_variables["momentum/weight"].numpy(), [1, 1])


def test_preparing_for_nothing_makes_nothing(backend):
    optimizer = Adam()
    optimizer.prepare({})
    assert optimizer.named_variables == {}


@pytest.mark.parametrize("optimizer", ALL, ids=lambda optimizer: type(optimizer).__name__)
def test_settings_are_the_numbers_of_the_constructor(optimizer):
    settings = optimizer.settings()
    again = {name: value for name, value in settings.items() if name not in ("slots", "counts_steps")}
    assert type(optimizer)(**again).settings() == settings


def test_settings_keep_the_first_learning_rate_when_it_moves(backend):
    optimizer = SGD(0.1)
    optimizer.learning_rate = 0.5
    assert (optimizer.settings()["initial_lr"], optimizer.learning_rate) == (0.1, 0.5)


def test_a_learning_rate_set_before_the_first_step_holds_in_it(backend):
    variable, optimizer = Variable(np.zeros(1, np.float32)), SGD(1.0, momentum=0.0)
    optimizer.learning_rate = 0.25
    optimizer.apply([ops.ones((1,))], [variable])
    assert variable.numpy() == [-0.25]


def test_a_compiled_step_sees_the_learning_rate_of_now(backend):
    variable, optimizer = Variable(np.zeros(1, np.float32)), SGD(1.0, momentum=0.0)
    optimizer.prepare({"/weight": variable})
    step = compile(lambda: optimizer.apply([ops.ones((1,))], [variable]))
    for rate in (1.0, 0.5, 0.25):
        optimizer.learning_rate = rate
        step()
    assert variable.numpy() == [-1.75]


def test_taking_over_reads_the_moving_numbers_back(backend):
    optimizer = SGD(0.1)
    optimizer.prepare(variables())
    optimizer.named_variables["learning_rate"].assign(np.float32(0.75))
    optimizer.take_over()
    assert optimizer.learning_rate == 0.75


def test_what_does_not_move_cannot_be_set():
    with pytest.raises(ArgumentError, match=re.escape("'momentum' of SGD does not move. Call optimizer.let_move('momentum') before")):
        SGD(0.1).set("momentum", 0.5)


@pytest.mark.parametrize("name", ["momentun", "nesterov", "slots"])
def test_what_is_no_number_cannot_move(name):
    with pytest.raises(ArgumentError, match=f"SGD has no hyperparameter '{name}' that could move"):
        SGD(0.1).let_move(name)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: SGD(-0.1), "SGD needs initial_lr of at least 0, and got -0.1"),
        (lambda: SGD(float("nan")), "SGD needs initial_lr of at least 0, and got nan"),
        (lambda: SGD("0.1"), "SGD needs initial_lr of at least 0, and got '0.1'"),
        (lambda: SGD(True), "SGD needs initial_lr of at least 0, and got True"),
        (lambda: SGD(0.1, momentum=1.0), "SGD needs momentum of at least 0 and below 1, and got 1.0"),
        (lambda: SGD(0.1, momentum=-0.5), "SGD needs momentum of at least 0 and below 1, and got -0.5"),
        (lambda: SGD(0.1, dampening=1.5), "SGD needs dampening of at least 0 and at most 1, and got 1.5"),
        (lambda: SGD(0.1, weight_decay=-1), "SGD needs weight_decay of at least 0, and got -1"),
        (lambda: SGD(0.1, momentum=0.0, nesterov=True), "nesterov needs momentum above 0 and no dampening, and got 0.0 and 0.0"),
        (lambda: SGD(0.1, dampening=0.5, nesterov=True), "nesterov needs momentum above 0 and no dampening, and got 0.95 and 0.5"),
        (lambda: SGD(0.1, clip_norm=0), "SGD needs clip_norm above 0, and got 0"),
        (lambda: SGD(0.1, clip_value=-1.0), "SGD needs clip_value above 0, and got -1.0"),
        (lambda: Adam(beta1=1.0), "Adam needs beta1 of at least 0 and below 1, and got 1.0"),
        (lambda: Adam(beta2=1.0), "Adam needs beta2 of at least 0 and below 1, and got 1.0"),
        (lambda: Adam(eps=0.0), "Adam needs eps above 0, and got 0.0"),
        (lambda: AdamW(weight_decay=-0.1), "AdamW needs weight_decay of at least 0, and got -0.1"),
        (lambda: RMSprop(alpha=1.0), "RMSprop needs alpha of at least 0 and below 1, and got 1.0"),
        (lambda: RMSprop(eps=0), "RMSprop needs eps above 0, and got 0"),
        (lambda: RMSprop(momentum=1.0), "RMSprop needs momentum of at least 0 and below 1, and got 1.0"),
    ],
)
def test_a_number_out_of_its_range_is_refused(make, text):
    with pytest.raises(ArgumentError, match=re.escape(text)):
        make()


def test_numbers_of_numpy_are_welcome():
    assert SGD(np.float32(0.5)).learning_rate == 0.5
