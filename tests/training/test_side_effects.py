"""What a compiled step would lose is refused on every backend, with the line; what it may do is not."""

import random
from typing import Any

import numpy as np
import pytest

import babel_dl
from babel_dl import ops
from babel_dl.core import RandomStream, Variable
from babel_dl.errors import ArgumentError, SideEffectError, StateError
from babel_dl.model.layers import BatchNormalization
from babel_dl.training.optimizers import SGD
from tests.training.duel import Duel, net, rows

losses: list[Any] = []
stranger = RandomStream()


class Counting(Duel):
    def train_step(self, batch: Any) -> Any:
        numbers = super().train_step(batch)
        self.calls = getattr(self, "calls", 0) + 1
        return numbers


class Remembering(Duel):
    def train_step(self, batch: Any) -> Any:
        numbers = super().train_step(batch)
        losses.append(numbers["loss/critic"])
        return numbers


class Keeping(Duel):
    def train_step(self, batch: Any) -> Any:
        self.generator.last = self.fake(len(batch[0].x))
        return super().train_step(batch)


class Rolling(Duel):
    def train_step(self, batch: Any) -> Any:
        if random.random() < 2.0:
            return super().train_step(batch)
        return {}


class Drawing(Duel):
    def fake(self, count: int) -> Any:
        return self.generator(ops.asarray(np.random.normal(size=(count, 3)).astype(np.float32)))


@pytest.mark.parametrize("mode", ["auto", "off"])
@pytest.mark.parametrize(
    ("trainer", "message"),
    [
        (Counting, r"Counting\.train_step changes self\.calls \(test_side_effects\.py, line \d+: self\.calls = getattr"),
        (Remembering, r"changes losses \(test_side_effects\.py, line \d+: losses\.append\(numbers\[\"loss/critic\"\]\)\)"),
        (Keeping, r"changes Sequential generator\.last \(test_side_effects\.py, line \d+: self\.generator\.last = "),
        (Rolling, r"draws from the global generator of random \(test_side_effects\.py, line \d+: if random\.random\(\)"),
        (Drawing, r"draws from the global generator of numpy\.random \(test_side_effects\.py, line \d+: return self\.generator"),
    ],
)
def test_what_would_happen_only_once_is_refused_with_its_line(backend, mode, trainer, message):
    losses.clear()
    if mode == "off":
        assert trainer(compile="off").fit(rows().to_dataloader(8), epochs=1)
        return
    with pytest.raises(SideEffectError, match=message):
        trainer(compile=mode).fit(rows().to_dataloader(8), epochs=1)


def test_a_variable_is_the_way_to_count(backend):
    class Proper(Duel):
        def __init__(self) -> None:
            super().__init__()
            self.calls = Variable(0, trainable=False)

        def train_step(self, batch: Any) -> Any:
            self.calls += 1
            return super().train_step(batch)

    trainer = Proper()
    trainer.fit(rows().to_dataloader(8), epochs=2)
    assert int(trainer.calls.numpy()) == 6


def test_a_variable_that_the_trainer_does_not_hold_is_named(backend):
    class Stray(Duel):
        def fake(self, count: int) -> Any:
            return self.generator(stray.normal((count, 3)))

    stray = RandomStream()
    with pytest.raises(StateError, match=r"train_step uses the variable '/counter', which Stray does not hold"):
        Stray().fit(rows().to_dataloader(8), epochs=1)


def test_an_optimizer_that_the_trainer_does_not_hold_is_named(backend):
    rule = SGD(0.1, momentum=0.9, dampening=0.1)

    class Stray(Duel):
        def train_step(self, batch: Any) -> Any:
            return self.minimize(lambda: ops.square(self.critic(batch[0].x)).mean(), over=self.critic, using=rule)

    with pytest.raises(StateError, match=r"uses the variable '/step'"):
        Stray().fit(rows().to_dataloader(8), epochs=1)


def test_statistics_that_no_parameter_goes_with_are_named(backend):
    norm = BatchNormalization(affine=False)

    class Stray(Duel):
        def train_step(self, batch: Any) -> Any:
            return self.minimize(lambda: ops.square(self.critic(norm(batch[0].x))).mean(), over="critic")

    with pytest.raises(StateError, match=r"'/running_mean', '/running_var'"):
        Stray().fit(rows().to_dataloader(8), epochs=1)


def test_a_declared_state_is_all_that_a_compiled_function_may_use(backend):
    first, second = net(3, 1), net(3, 1)
    x = ops.ones((4, 2))
    first(x), second(x)
    both = babel_dl.compile(lambda x: first(x) + second(x), state=[first, second])
    assert both(x).shape == (4, 1)
    with pytest.raises(StateError, match=r"uses the variable '/layers/0/weight'.*, which is not declared in its state"):
        babel_dl.compile(lambda x: first(x) + second(x), state=[first])(x)
    with pytest.raises(ArgumentError, match="needs modules, variables and optimizers in `state`, and got 3"):
        babel_dl.compile(lambda x: x, state=[3])


def test_the_last_smaller_batch_costs_one_more_trace_and_no_more(backend):
    traces: list[int] = []

    class Traced(Duel):
        def train_step(self, batch: Any) -> Any:
            traces.append(len(batch[0].x))
            return super().train_step(batch)

    trainer = Traced(compile="off")
    trainer.fit(rows(20).to_dataloader(8), epochs=3)
    assert traces[-9:] == [8, 8, 4] * 3  # eagerly: each step
    trainer = Traced()
    trainer.prepare(next(iter(rows(20).to_dataloader(8).batches(0))))
    with pytest.raises(SideEffectError, match="changes traces"):
        trainer.fit(rows(20).to_dataloader(8), epochs=3)
    traces.clear()
    trainer.fit(rows(20).to_dataloader(8), epochs=3)
    eager = backend.name == "torch"
    assert len(traces) <= 1 + (9 if eager else 4)  # one to build; two shapes, each of which a backend may trace twice
