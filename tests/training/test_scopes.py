"""What learns and what moves it, by name: paths, patterns, and what is said about those that fit nothing; slips in a step."""

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
    with pytest.raises(ArgumentError, match=r"the trainer has 2 \(a, b\)\. Name one: using='a'"):
        Scoped(optimizers={"a": SGD(0.1), "b": SGD(0.1)}).fit(rows())
    with pytest.raises(ArgumentError, match=r"the trainer has none\. Give it one by name: super"):
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


@pytest.mark.parametrize("over", ["first/layers/0", "first/*/weight", "first"])
def test_a_part_or_a_pattern_takes_the_optimizer_of_its_beginning(backend, over):
    trainer = Scoped(over, optimizers={"first": SGD(0.1), "critics": SGD(0.1)})
    assert moved_by(trainer)
    assert trainer.named_optimizer("first").is_in_use and not trainer.named_optimizer("critics").is_in_use


def test_an_unknown_part_is_named_before_its_optimizer(backend):
    with pytest.raises(ArgumentError, match=r"The trainer holds nothing at 'frist'.*Did you mean 'first'"):
        Scoped("frist", optimizers={"first": SGD(0.1)}).fit(rows())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda t, b: t.minimize(t.loss(b), "first"), r"needs a function .* got Tensor\. Write: self\.minimize\(lambda: .*over='first'\)"),
        (lambda t, b: t.minimize(lambda: (t.loss(b), 1), "first"), r"returned a tuple\. .* say has_aux=True"),
        (lambda t, b: t.minimize(lambda: {"loss": t.loss(b)}, "first"), r"returned a dict\. .* say has_aux=True"),
        (lambda t, b: t.minimize(lambda: t.loss(b), "first", has_aux=True), r"has_aux=True .* it returned a tensor\. Return the pair"),
        (lambda t, b: t.minimize(lambda: None, "first"), r"returned None\. Return what the loss computed"),
    ],
)
def test_what_is_no_loss_is_refused_with_what_to_write(backend, make, message):
    class Wrong(Scoped):
        def train_step(self, batch: Any) -> Any:
            return make(self, batch)

    with pytest.raises(ArgumentError, match=message):
        Wrong(optimizers={"first": SGD(0.1)}).fit(rows())


@pytest.mark.parametrize(
    ("optimizers", "message"),
    [
        (Adam(), r"Scoped takes optimizers by name, and got Adam\. Write: optimizers=\{\"model\": Adam\(1e-3\)\}"),
        ([Adam()], r"takes optimizers by name, and got list"),
        ({"first": "adam"}, r"'first' is 'adam'\. Names go with babel_dl\.fit; here hand over an object"),
    ],
)
def test_optimizers_come_by_name_and_as_objects(optimizers, message):
    with pytest.raises(ArgumentError, match=message):
        Scoped(optimizers=optimizers)


class OnlyTraining(Trainer):
    """Has no `evaluate_step`, and reports a number by `log`."""

    def __init__(self, learns: bool = True, accumulate: int = 1) -> None:
        super().__init__(callbacks=[], optimizers={"model": SGD(0.01)}, accumulate=accumulate)
        self.model, self.learns = net(3, 2), learns

    def train_step(self, batch: Any) -> Any:
        def loss() -> Any:
            return ops.square(self.model(batch[0].x)).mean()

        self.log("metrics/seven", 7.0)
        return self.minimize(loss, over="model") if self.learns else loss()


def test_without_dev_data_nobody_needs_to_write_how_to_evaluate(backend):
    trainer = OnlyTraining()
    metrics = trainer.fit(rows(), epochs=2, debug=True)
    assert list(metrics) == ["metrics/seven", "loss/total"] and metrics["metrics/seven"] == 7.0
    assert trainer.fit(rows(), epochs=2) == {}  # nothing is left to train
    for call in (lambda: trainer.fit(rows(), rows(), epochs=3), lambda: trainer.evaluate(rows())):
        with pytest.raises(ArgumentError, match=r"OnlyTraining needs a method evaluate_step\(self, batch\).*without minimize"):
            call()


def test_a_step_that_only_returns_its_loss_is_told_that_nothing_learns(backend, lines):
    OnlyTraining(learns=False).fit(rows())
    assert any("OnlyTraining.train_step lets no optimizer move anything: what a step returns is reported" in line for line in lines)
    lines.clear()
    OnlyTraining().fit(rows())
    assert not any("lets no optimizer move" in line for line in lines)


def test_gradients_that_wait_at_the_end_are_told_of(backend, lines):
    data = rows(24).to_dataloader(8)
    trainer = OnlyTraining(accumulate=2)
    trainer.fit(data, epochs=1)
    assert any("The gradients of the last 1 of 2 steps wait: accumulate=2 does not divide the 3 steps so far." in line for line in lines)
    lines.clear()
    trainer.fit(data, epochs=2)
    assert not any("wait" in line for line in lines)


def test_a_checkpoint_is_loaded_into_a_trainer_that_is_prepared(backend, tmp_path):
    data, path = rows().to_dataloader(8), tmp_path / "a.safetensors"
    trainer, other = OnlyTraining(), OnlyTraining()
    trainer.fit(data)
    trainer.save(path)
    with pytest.raises(ArgumentError, match=r"OnlyTraining is not prepared.*prepare\(next\(iter\(loader\)\)\) first, or go on training"):
        other.load(path)
    other.prepare(next(iter(data)))
    other.load(path)
    assert other.step == trainer.step
    assert np.array_equal(other.model.layers[0].weight.numpy(), trainer.model.layers[0].weight.numpy())
