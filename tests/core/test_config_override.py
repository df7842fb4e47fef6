"""Overriding configuration fields by text, as from a command line."""

import enum
import pathlib
from typing import Any, Literal

import pytest

from babel_dl.core.config import Config
from babel_dl.errors import ConfigError
from babel_dl.training.optimizers.learning_rates import Cosine, Exponential, LearningRateSchedule, LinearWarmUp, OneCycle


class Mode(enum.Enum):
    FAST = 1
    EXACT = 2


class WideConfig(Config):
    name: str = "x"
    mode: Mode = Mode.FAST
    number: int | float = 1
    extra: Any = None
    seed: int
    schedule: LearningRateSchedule | None = None
    decay: LearningRateSchedule = Exponential(initial_lr=0.001, k=0.1)
    data_crop: tuple[int, int] = (24, 24)
    data_sizes: tuple[int, ...] = (1, 2)
    data_names: list[str] = ["a"]  # noqa: RUF012
    data_weights: dict[str, float] = {"shirt": 2.0}  # noqa: RUF012
    data_dir: pathlib.Path = pathlib.Path("data")
    train_clip: float | None = 1.0
    train_patience: int | None = None
    train_label: str | None = None
    train_name: Literal["sgd", "adam"] = "sgd"

    def __init__(self):
        super().__init__()
        self.train_epochs = 10
        self.train_rate = 0.1
        self.train_shuffle = True
        self.data_free = [1, 2]


class OuterConfig(Config):
    def __init__(self):
        super().__init__()
        self.inner = WideConfig()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("train_epochs=3", 3),
        ("train_epochs = 60_000 ", 60000),
        ("train_epochs=-1", -1),
        ("train_rate=1e-4", 1e-4),
        ("train_rate=3", 3.0),
        ("train_rate=inf", float("inf")),
        ("train_shuffle=false", False),
        ("train_shuffle=Off", False),
        ("train_shuffle=1", True),
        ("train_shuffle=YES", True),
        ("name=two words", "two words"),
        ("name=None", "None"),
        ("name='quoted'", "quoted"),
        ("name=", ""),
        ("name=a=b", "a=b"),
        ("name=3", "3"),
        ("train_clip=none", None),
        ("train_clip=0.5", 0.5),
        ("train_patience=5", 5),
        ("train_patience=null", None),
        ("train_label=None", None),
        ("train_label=3", "3"),
        ("data_crop=(28, 28)", (28, 28)),
        ("data_crop=28,28", (28, 28)),
        ("data_crop=[28,28]", (28, 28)),
        ("data_sizes=3", (3,)),
        ("data_sizes=()", ()),
        ("data_sizes=1, 2,3", (1, 2, 3)),
        ("data_names=[a, b]", ["a", "b"]),
        ("data_names=a,b", ["a", "b"]),
        ("data_names=['a', 'b']", ["a", "b"]),
        ("data_names=[]", []),
        ("data_free=1,x,none", [1, "x", None]),
        ("data_weights={'coat': 2}", {"coat": 2.0}),
        ("data_dir=/tmp/x", pathlib.Path("/tmp/x")),
        ("mode=EXACT", Mode.EXACT),
        ("train_name=adam", "adam"),
        ("number=3", 3),
        ("number=3.5", 3.5),
        ("extra=[1, (2, 3)]", [1, (2, 3)]),
        ("extra=word", "word"),
        ("schedule=none", None),
        ("schedule=Cosine(initial_lr=0.1, num_steps=500)", Cosine(0.1, num_steps=500)),
        ("schedule=LinearWarmUp(schedule=Cosine(initial_lr=0.1, num_steps=5), num_steps=2)", LinearWarmUp(Cosine(0.1, 5), 2)),
    ],
)
def test_text_is_read_by_the_type_of_the_field(setting, value):
    config = WideConfig().override([setting])
    found = getattr(config, setting.partition("=")[0].strip())
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("train_epochs=three", r"WideConfig.train_epochs got 'three' \(str\), expected int\."),
        ("train_epochs=3.5", r"WideConfig.train_epochs got '3.5' \(str\), expected int"),
        ("train_epochs=none", r"expected int"),
        ("train_rate=fast", r"expected float"),
        ("train_shuffle=maybe", r"expected bool. Write true or false"),
        ("train_clip=x", r"expected float or None"),
        ("data_crop=1,2,3", r"expected tuple\[int, int\]. It has 3 items"),
        ("data_crop=1,x", r"expected tuple\[int, int\]"),
        ("data_weights=5", r"expected dict\[str, float\]"),
        ("mode=SLOW", r"expected Mode. Its members are: FAST, EXACT"),
        ("train_name=lamb", r"expected 'sgd' or 'adam'"),
        ("epochs=3", r"WideConfig has no field 'epochs'"),
        ("train_epoch=3", r"WideConfig has no field 'train_epoch'. Did you mean 'train_epochs'"),
        ("train_epochs", r"WideConfig got the setting 'train_epochs'. Write it as name=value"),
        ("train_epochs.x=3", r"WideConfig.train_epochs.x got '3'. 10 has no fields of its own; set it as a whole"),
        ("seed.x=3", r"WideConfig.seed \(int\) has no value yet"),
        ("schedule=Cosin(initial_lr=0.1)", r"WideConfig.schedule: There is no LearningRateSchedule of kind 'Cosin'. Did you mean 'Cosine'"),
        ("schedule=Cosine(initial_lr=0.1)", r"WideConfig.schedule: Schedule Cosine lacks the setting num_steps"),
        ("decay=Cosine(0.1, 500)", r"expected LearningRateSchedule. Write it as Name\(field=value, ...\)"),
        ("decay=Cosine(**x)", r"expected LearningRateSchedule. Write it as Name\(field=value, ...\)"),
        ("decay=Cosine(", r"expected LearningRateSchedule. Write it as Name\(field=value, ...\)"),
        ("decay=0.1", r"expected LearningRateSchedule. Write it as Name\(field=value, ...\)"),
        ("decay=Const(initial_lr=open)", r"Its field initial_lr is no number, text, list or other literal"),
        ("decay.initial_lr=x", r"WideConfig.decay.initial_lr got 'x'. Expected float\."),
        ("decay.initial_lr=-1", r"WideConfig.decay.initial_lr got '-1'. Exponential got initial_lr=-1.0. It must be a finite"),
        ("decay.inital_lr=1", r"WideConfig.decay.inital_lr got '1'. Exponential has no field 'inital_lr'. Did you mean 'initial_lr'"),
    ],
)
def test_text_that_does_not_fit_is_refused(setting, message):
    with pytest.raises(ConfigError, match=message):
        WideConfig().override([setting])


def test_several_settings_apply_in_order_and_the_config_is_returned():
    config = WideConfig()
    assert config.override(["train_epochs=3", "train_rate=0.5", "train_epochs=4"]) is config
    assert (config.train_epochs, config.train_rate) == (4, 0.5)


def test_one_wrong_setting_changes_nothing():
    config = OuterConfig()
    with pytest.raises(ConfigError, match="no field 'nothing'"):
        config.override(["inner.train_epochs=3", "inner.decay.k=0.5", "nothing=1"])
    assert config == OuterConfig()


def test_a_schedule_is_overridden_field_by_field():
    config = WideConfig().override(["decay.initial_lr=0.01", "decay.k=0.5"])
    assert config.decay == Exponential(initial_lr=0.01, k=0.5)


def test_a_schedule_within_a_schedule_is_overridden_by_its_path():
    config = WideConfig()
    config.decay = LinearWarmUp(OneCycle(0.1, num_steps=10), num_steps=5)
    config.override(["decay.schedule.anneal=linear", "decay.schedule.three_phase=yes", "decay.num_steps=7"])
    assert config.decay == LinearWarmUp(OneCycle(0.1, num_steps=10, anneal="linear", three_phase=True), num_steps=7)


def test_a_config_within_a_config_is_overridden_by_its_path():
    config = OuterConfig().override(["inner.train_epochs=3", "inner.decay.k=0.25"])
    assert (config.inner.train_epochs, config.inner.decay.k) == (3, 0.25)
    with pytest.raises(ConfigError, match="WideConfig has no field 'train_epoch'. Did you mean 'train_epochs'"):
        config.override(["inner.train_epoch=3"])


def test_an_override_sets_a_field_that_started_as_none():
    config = Config()
    config.train_patience = None
    assert config.override(["train_patience=3"]).train_patience == 3
    with pytest.raises(ConfigError, match="expected int or None"):
        config.override(["train_patience=long"])


def test_an_override_gives_a_declared_field_its_first_value():
    assert WideConfig().override(["seed=7"]).seed == 7


def test_text_is_never_run(tmp_path):
    target = tmp_path / "made"
    text = f"__import__('pathlib').Path({str(target)!r}).touch()"
    config = WideConfig().override([f"name={text}", f"extra={text}", f"data_names={text}"])
    assert config.name == text
    with pytest.raises(ConfigError, match="Write it as Name"):
        config.override([f"decay={text}"])
    assert not target.exists()


def test_the_type_of_a_field_survives_an_override():
    config = WideConfig().override(["decay=Const(initial_lr=1)"])
    assert isinstance(config.decay, LearningRateSchedule)
    with pytest.raises(ConfigError, match="expected LearningRateSchedule"):
        config.decay = 3
