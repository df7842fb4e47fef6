"""What a step means, eager and compiled, on every backend: who learns, what is a constant, what is built and kept."""

from typing import Any

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.core import Variable
from babel_dl.errors import ArgumentError, NonFiniteError
from babel_dl.model.layers import FullyConnected
from babel_dl.training import SupervisedTrainer, Trainer
from babel_dl.training.optimizers import SGD, Adam
from tests.training.duel import net, rows
from tests.training.examples import make_trainer, points

MODES = pytest.mark.parametrize("mode", ["off", "auto"])


class Pair(Trainer):
    """Two small networks, each with its optimizer."""

    def __init__(self, **options: Any) -> None:
        super().__init__(callbacks=[], optimizers={"a": Adam(0.01), "b": Adam(0.01)}, **options)
        self.a, self.b = net(3, 2), net(3, 2)

    def distance(self, batch: Any, part: Any) -> Any:
        """The mean square of what a part says."""
        return ops.square(part(batch[0].x)).mean()

    def train_step(self, batch: Any) -> Any:
        if self.every(2):
            return {"loss/a": self.minimize(lambda: self.distance(batch, self.a), over="a")}
        return {"loss/b": self.minimize(lambda: self.distance(batch, self.b), over="b")}


def values_of(trainer: Trainer) -> dict[str, np.ndarray]:
    return {f"{name}{path}": v.numpy() for name, m in trainer.modules.items() for path, v in m.named_variables.items()}


@MODES
def test_turns_may_use_parts_that_the_other_turn_does_not(backend, mode, tmp_path):
    data, straight = rows(16).to_dataloader(4), Pair(compile=mode)
    straight.fit(data, steps=6)
    assert [int(straight.named_optimizer(name).named_variables["step"].numpy()) for name in "ab"] == [3, 3]
    first, resumed = Pair(compile=mode), Pair(compile=mode)
    first.fit(data, steps=1)  # `b` has not moved yet, and its state is in the file all the same
    first.save(tmp_path / "one.safetensors")
    resumed.fit(data, steps=6, resume=tmp_path / "one.safetensors")
    for name, value in values_of(straight).items():
        np.testing.assert_array_equal(values_of(resumed)[name], value)


class Outside(Trainer):
    """Uses in its loss what it computed outside of it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(callbacks=[], optimizers={"v": SGD(1.0, momentum=0.0)}, **options)
        self.v = Variable(1.0, path="v")

    def train_step(self, batch: Any) -> Any:
        outside = self.v * 3.0
        return self.minimize(lambda: self.v * 0.25 + outside, over="v")


@MODES
def test_what_is_computed_outside_of_the_loss_is_a_constant(backend, mode):
    trainer = Outside(compile=mode)
    trainer.fit(rows(4).to_dataloader(4), steps=1)
    assert float(trainer.v.numpy()) == 0.75


class Learning(Outside):
    """Evaluates by its training step."""

    def evaluate_step(self, batch: Any) -> Any:
        return self.train_step(batch)


@MODES
def test_an_evaluation_that_would_learn_is_refused(backend, mode):
    trainer = Learning(compile=mode)
    trainer.fit(rows(4).to_dataloader(4), steps=1)
    with pytest.raises(ArgumentError, match=r"(?s)Learning\.evaluate_step calls minimize, .*Compute the loss in a method of its own"):
        trainer.evaluate(rows(4))
    assert float(trainer.v.numpy()) == 0.75


class Slope(Trainer):
    """Goes down a line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(callbacks=[], **options)
        self.v, self.rule = Variable(0.0, path="v"), SGD(1.0, momentum=0.0)

    def train_step(self, batch: Any) -> Any:
        return self.minimize(lambda: self.v * 1.0, over=self.v, using=self.rule)


@MODES
def test_an_optimizer_that_is_exchanged_between_two_fits_is_used(backend, mode):
    data, trainer = rows(16).to_dataloader(4), Slope(compile=mode)
    trainer.fit(data, steps=2)
    trainer.rule = SGD(0.25, momentum=0.0)
    trainer.fit(data, steps=4)
    assert float(trainer.v.numpy()) == -2.5
    trainer.accumulate = 2
    trainer.fit(data, steps=8)
    assert float(trainer.v.numpy()) == -3.0


class Twice(Slope):
    """Moves one variable twice in a step, by two losses."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.rule = SGD(1.0, momentum=0.0, clip_value=2.0)

    def train_step(self, batch: Any) -> Any:
        near = self.minimize(lambda: self.v * 1.0, over=self.v, using=self.rule)
        far = self.minimize(lambda: self.v * 10.0, over=self.v, using=self.rule)
        return {"loss/near": near, "loss/far": far}


@MODES
@pytest.mark.parametrize(("accumulate", "steps"), [(1, 2), (2, 4), (3, 6)])
def test_each_call_of_minimize_accumulates_by_itself(backend, mode, accumulate, steps):
    trainer = Twice(accumulate=accumulate, compile=mode)
    trainer.fit(rows(24).to_dataloader(4), steps=steps)
    assert float(trainer.v.numpy()) == -6.0  # twice 1 + 2, for the 10 is clipped


class Appended(Trainer):
    """Puts modules into a list that is an attribute already."""

    def __init__(self) -> None:
        super().__init__(callbacks=[], optimizers={"nets": SGD(0.1)})
        self.nets: list[Any] = []
        for _ in range(2):
            self.nets.append(FullyConnected(2))

    def train_step(self, batch: Any) -> Any:
        return self.minimize(lambda: sum(ops.square(part(batch[0].x)).mean() for part in self.nets), over="nets")


def test_modules_that_are_appended_later_start_differently(backend):
    trainer = Appended()
    trainer.prepare(next(iter(rows(4).to_dataloader(4))))
    first, second = (part.weight for part in trainer.nets)
    assert (first.path, second.path) == ("/nets/0/weight", "/nets/1/weight")
    assert not np.array_equal(first.numpy(), second.numpy())


class Judged(Pair):
    """Asks a module and the random stream in its evaluation only."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.judge = net(2, 1)

    def evaluate_step(self, batch: Any) -> Any:
        said = self.a(batch[0].x)
        return {"loss/total": self.judge(said + self.random.normal(said.shape)).mean()}


@MODES
def test_what_only_the_evaluation_uses_is_built_and_resumed(backend, mode, tmp_path):
    data, trainer, other = rows(8).to_dataloader(4), Judged(compile=mode), Judged(compile=mode)
    trainer.fit(data, data, epochs=1)
    trainer.save(tmp_path / "a.safetensors")
    assert other.fit(data, data, epochs=2, resume=tmp_path / "a.safetensors") == trainer.fit(data, data, epochs=2)


def test_a_model_leaves_the_precision_of_a_trainer_with_it(backend):
    narrow = make_trainer()
    model, loss = narrow.model, narrow.loss
    for precision, found in (("bfloat16", "bfloat16"), ("float32", "float32")):
        trainer = SupervisedTrainer(model, loss, SGD(0.01), callbacks=[], precision=precision)
        trainer.fit(points(8).to_dataloader(4))
        assert model.precision == found


class Hopeless(Pair):
    """The first of its losses has a gradient that is no number."""

    def train_step(self, batch: Any) -> Any:
        bad = self.minimize(lambda: ops.sqrt(ops.square(self.a(batch[0].x) * 0.0)).mean(), over="a")
        return {"loss/bad": bad, "loss/good": self.minimize(lambda: self.distance(batch, self.b), over="b")}


def test_float16_gives_up_also_where_a_second_optimizer_does_well(backend):
    with pytest.raises(NonFiniteError, match="precision/loss_scale"):
        Hopeless(precision="float16").fit(rows(16).to_dataloader(4), epochs=20)
