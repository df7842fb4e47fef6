"""Optimizers for a trainer that has made its own, in a training in one call."""

from typing import Any, NamedTuple

import numpy as np
import pytest

import babel_dl
from babel_dl.errors import ArgumentError
from babel_dl.training import FitSettings
from babel_dl.training.callbacks import ReduceLROnPlateau
from babel_dl.training.optimizers import SGD, Adam, Optimizer
from babel_dl.training.optimizers.learning_rates import Cosine
from tests.training.examples import make_trainer, points
from tests.training.short_parts import Rivals, columns

pytestmark = pytest.mark.usefixtures("elsewhere")


class Both(NamedTuple):
    """Two optimizers."""

    critic: Optimizer
    generator: Optimizer


class WGANGP(Rivals):
    """Two networks, whose optimizers lie where a test wants them, and stand still."""

    def __init__(self, place: str = "by name", width: int = 2) -> None:
        super().__init__(width)
        self.critic = self.discriminator
        critic, generator = SGD(0.0), SGD(0.0)
        if place == "by name":
            self.optimizers = {"critic": critic, "generator": generator}
        if place == "attributes":
            self.critic_optimizer, self.generator_optimizer = critic, generator
        if place == "private attributes":
            self._critic_optimizer, self._generator_optimizer = critic, generator
        if place == "a dict":
            self.tools = {"critic": critic, "generator": generator}
        if place == "a list":
            self.tools = [critic, {"generator": generator}]
        if place == "a tuple":
            self.tools = (critic, generator)
        if place == "a named tuple":
            self.tools = Both(critic, generator)

    def tool(self) -> Any:
        """The critic's, as a step would write it."""
        if "critic_optimizer" in vars(self):
            return self.critic_optimizer
        if "_critic_optimizer" in vars(self):
            return self._critic_optimizer
        if not hasattr(self, "tools"):
            return "critic"
        return self.tools["critic"] if isinstance(self.tools, dict) else self.tools[0]

    def train_step(self, batch: Any) -> dict[str, Any]:
        x = batch[0].x
        return {"loss/d": self.minimize(lambda: 1.0 + self._distance(x), over="critic", using=self.tool())}


def train(trainer: Any, **options: Any) -> Any:
    return babel_dl.fit(columns(), trainer, batch_size=8, epochs=1, run_folder=False, **options)


def weight(trainer: Any) -> np.ndarray:
    return trainer.discriminator.state_dict()["/weight"]


PLACES = [
    ("by name", "critic"),
    ("by name", "optimizers/critic"),
    ("attributes", "critic_optimizer"),
    ("private attributes", "critic_optimizer"),
    ("a dict", "critic"),
    ("a dict", "tools/critic"),
    ("a list", "tools/0"),
    ("a tuple", "tools/0"),
    ("a named tuple", "tools/0"),
]


@pytest.mark.parametrize(("place", "name"), PLACES)
def test_an_optimizer_takes_the_place_of_the_trainers_own_of_that_name(backend, place, name):
    still = train(WGANGP(place), seed=3)
    moved = train(WGANGP, model_config={"place": place}, seed=3, optimizers={name: {"optimizer": "sgd", "lr": 0.5}})
    assert not np.array_equal(weight(still.model), weight(moved.model))
    assert len(moved.trainer.optimizers) == 2
    assert moved.trainer.named_optimizer(name).initial_lr == 0.5


def test_the_settings_hold_every_optimizer_of_a_trainer(backend):
    rivals = {"critic": {"optimizer": "adam", "lr": 0.25, "schedule": "cosine"}}
    result = babel_dl.fit(columns(), WGANGP, batch_size=8, epochs=1, optimizers=rivals)
    saved = FitSettings.load(result.run_folder / "settings.json").train_optimizers
    assert set(saved) == {"critic", "generator"}
    assert (saved["critic"]["name"], saved["critic"]["initial_lr"], saved["critic"]["schedule"]["num_steps"]) == ("adam", 0.25, 3)
    assert (saved["generator"]["name"], saved["generator"]["initial_lr"]) == ("SGD", 0.0)
    assert isinstance(result.trainer.named_optimizer("critic").schedule, Cosine)


@pytest.mark.parametrize("place", ["by name", "attributes"])
def test_a_trainer_that_trained_already_takes_another_optimizer(backend, place):
    trainer = WGANGP(place)
    name = "critic" if place == "by name" else "critic_optimizer"
    train(trainer)
    before = weight(trainer)
    babel_dl.fit(columns(), trainer, batch_size=8, epochs=2, run_folder=False, optimizers={name: {"optimizer": "sgd", "lr": 0.5}})
    assert not np.array_equal(weight(trainer), before)


def test_one_optimizer_takes_the_place_of_the_only_one(backend):
    trainer = make_trainer()
    optimizer = {"optimizer": "sgd", "lr": 0.5}
    result = babel_dl.fit(points(), trainer, optimizer=optimizer, schedule="cosine", steps=1, run_folder=False)
    assert list(trainer.optimizers) == ["optimizer"]
    assert (trainer.optimizer.initial_lr, trainer.optimizer.schedule) == (0.5, Cosine(0.5, num_steps=1))
    assert result.settings.train_optimizers["optimizer"]["initial_lr"] == 0.5


def test_a_plateau_lowers_the_rate_of_the_optimizer_that_it_came_with(backend):
    plateau = {"schedule": "plateau", "patience": 1, "min_delta": 1e6, "monitor": "loss/d"}
    given = {"critic": {"optimizer": "sgd", "lr": 0.5, "schedule": plateau}}
    result = babel_dl.fit(columns(), WGANGP, epochs=3, run_folder=False, optimizers=given)
    assert result.trainer.named_optimizer("critic").learning_rate == pytest.approx(0.005)  # the first epoch is the best, then twice a tenth
    assert sum(isinstance(one, ReduceLROnPlateau) for one in result.trainer.callbacks.callbacks) == 1


class Alone(WGANGP):
    """One optimizer of its own, made already."""

    def __init__(self) -> None:
        super().__init__()
        self.optimizers = {"critic": Adam(0.1)}


@pytest.mark.parametrize(
    ("model", "options", "text"),
    [
        (WGANGP, {"optimizers": {"critc": "adam"}},
         r"WGANGP has no optimizer 'critc'. Did you mean 'critic'\? Its optimizers: critic, generator. Write: optimizers={.critic.: ...}"),
        (WGANGP, {"optimizers": {"xyz": "adam"}}, "WGANGP has no optimizer 'xyz'. Its optimizers: critic, generator. Write: "),
        (lambda: WGANGP("attributes"), {"optimizers": {"critic": "adam"}},
         "WGANGP has no optimizer 'critic'. Did you mean 'critic_optimizer'\\? Its optimizers: critic_optimizer, generator_optimizer. "),
        (WGANGP, {"optimizer": {"optimizer": "adam"}}, "fit got optimizer for WGANGP, which has 2 optimizers of its own: critic, gen"),
        (WGANGP, {"schedule": "cosine"}, r'fit got schedule for WGANGP(.*\n)+  Write: optimizers={"critic": {"optimizer": "adam", "sche'),
        (Alone, {"schedule": "cosine"}, "The optimizer 'Adam' is made already, and cannot take more. Make it with its schedule"),
        (WGANGP, {"optimizers": "adam"}, 'fit takes optimizers by name, {"generator": "adam", ...}, and got \'adam\'.'),
    ],
)  # fmt: skip
def test_an_optimizer_that_a_trainer_would_never_use_is_refused(backend, model, options, text):
    with pytest.raises(ArgumentError, match=text):
        train(model, **options)
