"""What learns and what moves it, by name: paths, patterns, and what is said about those that fit nothing."""

from typing import Any

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.core import Variable
from babel_dl.errors import ArgumentError, GradientError, ShapeError
from babel_dl.training import Trainer
from babel_dl.training.optimizers import SGD, Adam
from tests.training.duel import Duel, net, rows


class Scoped(Trainer):
    """Minimises a sum of squares over whatever it is told."""

    def __init__(self, over: Any = None, using: Any = None, **options: Any) -> None:
        super().__init__(callbacks=[], **options)
        self.first, self.critics = net(3, 2), [net(3, 2), net(3, 2)]
        self.scale = Variable(2.0, path="scale")
        self.over, self.using = over, using

    def loss(self, batch: Any) -> Any:
        """The squares of all that the parts say."""
        return sum(ops.square(part(batch[0].x)).mean() for part in (self.first, *self.critics)) * self.scale

    def train_step(self, batch: Any) -> Any:
        return self.minimize(lambda: self.loss(batch), self.over, self.using)

    def evaluate_step(self, batch: Any) -> Any:
        return self.loss(batch)

    @property
    def matrices(self) -> list[Variable]:
        """A scope by property, as in carefree-learn."""
        return [self.first.layers[0].weight, self.first.layers[3].weight]


def moved_by(trainer: Scoped) -> set[str]:
    """The parameters that one epoch changes."""
    trainer.prepare(next(iter(rows().to_dataloader(8).batches(0))))

    def parameters() -> dict[str, np.ndarray]:
        found = {f"{name}{path}": v for name, m in trainer.modules.items() for path, v in m.named_variables.items()}
        return {name: v.numpy().copy() for name, v in {**found, **trainer.variables}.items() if v.is_parameter}

    before = parameters()
    trainer.fit(rows().to_dataloader(8), epochs=1)
    return {name for name, value in parameters().items() if (value != before[name]).any()}


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ("first", ["first/"]),
        ("/first", ["first/"]),
        ("critics", ["critics/0/", "critics/1/"]),
        ("critics/1", ["critics/1/"]),
        ("critics/1/layers/3", ["critics/1/layers/3/"]),
        ("scale", ["scale"]),
        ("*/layers/0/weight", ["first/layers/0/weight", "critics/0/layers/0/weight", "critics/1/layers/0/weight"]),
        ("critics/?/layers/3/bias", ["critics/0/layers/3/bias", "critics/1/layers/3/bias"]),
        ("matrices", ["first/layers/0/weight", "first/layers/3/weight"]),
        (None, ["first/", "critics/", "scale"]),
    ],
)
def test_a_scope_is_a_path_a_pattern_a_property_or_everything(backend, over, expected):
    found = moved_by(Scoped(over, optimizers={"rule": SGD(0.1)}, using="rule" if over is not None else None))
    assert found
    assert all(any(name.startswith(start) for start in expected) for name in found)
    assert all(any(name.startswith(start) for name in found) for start in expected)


def test_one_name_stands_for_the_scope_and_its_optimizer(backend):
    trainer = Scoped(over="first", optimizers={"first": SGD(0.1), "critics": SGD(0.0)})
    assert all(name.startswith("first/") for name in moved_by(trainer))
    trainer = Scoped(using="critics", optimizers={"first": SGD(0.1), "critics": SGD(0.1)})
    assert all(name.startswith("critics/") for name in moved_by(trainer))


@pytest.mark.parametrize(
    ("over", "using", "message"),
    [
        ("frist", "rule", r"holds nothing at 'frist'.*Did you mean 'first'\?"),
        ("first/*/kernel", "rule", r"No variable's path fits 'first/\*/kernel'\. Paths: scale, first/layers/0/weight"),
        ("first", "rulle", r"no optimizer 'rulle'\. Did you mean 'rule'\?"),
        ("first", SGD, r"needs an optimizer or its name in `using`, and got .*Make one: SGD\(\.\.\.\)"),
        (3, "rule", r"minimize learns over modules and variables.*it got 3"),
        ("first", None, r"no optimizer 'first'"),
    ],
)
def test_names_that_mean_nothing_are_refused_with_the_nearest_one(over, using, message):
    with pytest.raises(ArgumentError, match=f"(?s){message}"):
        Scoped(over, using, optimizers={"rule": SGD(0.1)}).fit(rows())


def test_without_a_name_there_must_be_one_optimizer():
    with pytest.raises(ArgumentError, match=r"has 2 optimizers \(optimizers/a, optimizers/b\)\. Name one"):
        Scoped(optimizers={"a": SGD(0.1), "b": SGD(0.1)}).fit(rows())
    with pytest.raises(ArgumentError, match=r"the trainer has no optimizer\. Name one"):
        Scoped().fit(rows())


def test_an_optimizer_that_is_none_is_refused_by_name():
    with pytest.raises(ArgumentError, match=r"'critic' is <class .*Adam'>\. Make one: Adam\(\.\.\.\)"):
        Scoped(optimizers={"critic": Adam})  # type: ignore[dict-item]


def test_a_loss_that_is_no_scalar_is_refused(backend):
    class Wrong(Scoped):
        def train_step(self, batch: Any) -> Any:
            return self.minimize(lambda: self.first(batch[0].x), "first", "rule")

    with pytest.raises(ShapeError, match=r"returns a scalar, and it returned \(\d+, 2\)"):
        Wrong(optimizers={"rule": SGD(0.1)}).fit(rows())


def test_a_scope_that_the_loss_does_not_reach_is_named(backend):
    class Lost(Scoped):
        def train_step(self, batch: Any) -> Any:
            self.critics[0](batch[0].x)
            return self.minimize(lambda: ops.square(self.first(batch[0].x)).mean(), "critics/0", "rule")

    with pytest.raises(GradientError, match=r"does not depend on /critics/0/layers/0/weight"):
        Lost(optimizers={"rule": SGD(0.1)}).fit(rows())


def test_modules_of_one_trainer_are_named_by_their_attributes_and_start_differently(backend):
    trainer = Scoped("first", optimizers={"first": SGD(0.1)})
    trainer.prepare(next(iter(rows().to_dataloader(8).batches(0))))
    weights = [part.layers[0].weight for part in (trainer.first, *trainer.critics)]
    assert [weight.path for weight in weights] == ["/first/layers/0/weight", "/critics/0/layers/0/weight", "/critics/1/layers/0/weight"]
    assert len({weight.numpy().tobytes() for weight in weights}) == 3


def test_the_random_stream_of_a_trainer_is_saved_with_it(backend, tmp_path):
    trainer = Duel()
    trainer.fit(rows().to_dataloader(8), epochs=1)
    trainer.save(tmp_path / "duel.safetensors")
    fresh = Duel()
    fresh.prepare(next(iter(rows().to_dataloader(8).batches(0))))
    fresh.load(tmp_path / "duel.safetensors")
    assert int(fresh.random.counter.numpy()) == int(trainer.random.counter.numpy()) == 6
