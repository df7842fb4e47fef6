"""Configurations as plain data and as files."""

import enum
import json
import os
import pathlib
import re
import stat
import subprocess
import sys
from typing import Any

import pytest

from babel_dl.core.config import Config
from babel_dl.errors import ConfigError
from babel_dl.training.optimizers.learning_rates import Cosine, Exponential, LearningRateSchedule, LinearWarmUp


class Mode(enum.Enum):
    FAST = 1
    EXACT = 2


class InnerConfig(Config):
    width: int = 3
    crop: tuple[int, int] = (24, 24)


class RunConfig(Config):
    extra: Any = (1, [2, (3, "x")])
    mode: Mode = Mode.FAST
    folder: pathlib.Path = pathlib.Path("data")
    maybe: LearningRateSchedule | None = None

    def __init__(self):
        super().__init__()
        self.inner = InnerConfig()
        self.train_epochs = 10
        self.train_rate = 0.1
        self.train_patience = None
        self.train_crop = (3, 4)
        self.train_boxes = [(1, 2), (3, 4)]
        self.train_names = {"a": (1, 2), "b": None}
        self.train_schedule = Exponential(initial_lr=0.001, k=0.1)


class NeedsArguments(Config):
    def __init__(self, width):
        super().__init__()
        self.width = width


def changed_config():
    config = RunConfig()
    config.extra = {"grüße": [1, (2,)]}
    config.mode = Mode.EXACT
    config.folder = pathlib.Path("/tmp/x")
    config.maybe = Cosine(0.1, num_steps=5)
    config.inner.width = 7
    config.train_rate = 1.0
    config.train_patience = 3
    config.train_boxes = []
    config.train_schedule = LinearWarmUp(Cosine(initial_lr=0.1, num_steps=10), num_steps=2)
    return config


def test_to_dict_gives_plain_data_in_the_order_of_the_fields():
    assert RunConfig().to_dict() == {
        "extra": {"__tuple__": [1, [2, {"__tuple__": [3, "x"]}]]},
        "mode": "FAST",
        "folder": "data",
        "maybe": None,
        "inner": {"width": 3, "crop": [24, 24]},
        "train_epochs": 10,
        "train_rate": 0.1,
        "train_patience": None,
        "train_crop": [3, 4],
        "train_boxes": [{"__tuple__": [1, 2]}, {"__tuple__": [3, 4]}],
        "train_names": {"a": {"__tuple__": [1, 2]}, "b": None},
        "train_schedule": {"kind": "Exponential", "initial_lr": 0.001, "k": 0.1},
    }
    assert list(RunConfig().to_dict())[:2] == ["extra", "mode"]


@pytest.mark.parametrize("make", [RunConfig, changed_config])
def test_a_config_survives_its_dictionary_and_json(make):
    again = RunConfig.from_dict(json.loads(json.dumps(make().to_dict())))
    assert again == make()
    assert repr(again) == repr(make())


@pytest.mark.parametrize("make", [RunConfig, changed_config])
def test_a_config_survives_its_file(make, tmp_path):
    make().save(tmp_path / "run" / "config.json")
    assert repr(RunConfig.load(tmp_path / "run" / "config.json")) == repr(make())


def test_the_file_is_readable_json_that_names_the_class(tmp_path):
    changed_config().save(tmp_path / "config.json")
    text = (tmp_path / "config.json").read_text(encoding="utf-8")
    assert json.loads(text)["config"] == "RunConfig"
    assert json.loads(text)["fields"] == changed_config().to_dict()
    assert '\n    "train_epochs": 10,\n' in text


def test_from_dict_takes_values_as_well_as_plain_data():
    config = RunConfig.from_dict({"train_crop": (5, 6), "mode": Mode.EXACT, "train_schedule": Cosine(0.1, 5), "inner": InnerConfig()})
    assert (config.train_crop, config.mode, config.train_schedule) == ((5, 6), Mode.EXACT, Cosine(0.1, 5))


def test_fields_that_are_missing_keep_the_value_of_the_class():
    assert RunConfig.from_dict({"train_epochs": 3}).train_rate == 0.1


def test_a_field_that_started_as_none_is_read_back_with_its_type():
    config = RunConfig.from_dict({"train_patience": 3})
    with pytest.raises(ConfigError, match="RunConfig.train_patience got 'x' .*, expected int or None"):
        config.train_patience = "x"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"train_epoch": 3}, r"RunConfig has no field 'train_epoch'. Did you mean 'train_epochs'"),
        ({"train_epochs": "3"}, r"RunConfig.train_epochs got '3' \(str\), expected int"),
        ({"train_epochs": None}, r"RunConfig.train_epochs got None \(NoneType\), expected int"),
        ({"mode": "SLOW"}, r"RunConfig.mode got 'SLOW' \(str\), expected Mode. Its members are: FAST, EXACT"),
        ({"mode": [1]}, r"RunConfig.mode got \[1\] \(list\), expected Mode"),
        ({"folder": 3}, r"RunConfig.folder got 3 \(int\), expected Path"),
        ({"inner": {"widht": 3}}, r"InnerConfig has no field 'widht'. Did you mean 'width'"),
        ({"inner": 3}, r"RunConfig.inner got 3 \(int\), expected InnerConfig"),
        ({"train_schedule": {"kind": "os.system", "command": "true"}}, r"RunConfig.train_schedule: There is no .* kind 'os.system'"),
        ({"train_schedule": "Cosine"}, r"RunConfig.train_schedule got 'Cosine' \(str\), expected LearningRateSchedule"),
        ({"maybe": {"kind": "Const"}}, r"RunConfig.maybe: Schedule Const lacks the setting initial_lr"),
        ({"train_crop": {"__tuple__": 3}}, r"RunConfig.train_crop got .* expected tuple"),
    ],
)
def test_a_dictionary_that_does_not_fit_the_class_is_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        RunConfig.from_dict(values)


def test_one_wrong_value_changes_nothing():
    config = RunConfig()
    with pytest.raises(ConfigError, match="no field 'nothing'"):
        config.update({"train_epochs": 3, "nothing": 1})
    assert config == RunConfig()


def test_a_class_that_needs_arguments_says_how_to_read_it():
    with pytest.raises(ConfigError, match=r"NeedsArguments cannot be made without arguments \(.*width.*\). Make the object yourself"):
        NeedsArguments.from_dict({"width": 3})
    assert NeedsArguments(1).update({"width": 3}).width == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"is no configuration: it is not valid JSON \(.*\). Save it anew"),
        ('{"fields": {', r"is no configuration: it is not valid JSON"),
        ("[1]", r"is no configuration: it has no object named 'fields'"),
        ('{"fields": 3}', r"is no configuration: it has no object named 'fields'"),
        ('{"fields": {"train_epoch": 3}}', r"RunConfig has no field 'train_epoch'"),
        ("\udcff", r"is no configuration: it is not valid JSON"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, content, message):
    (tmp_path / "config.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=message):
        RunConfig.load(tmp_path / "config.json")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"The configuration .*config.json cannot be read: .*No such file"):
        RunConfig.load(tmp_path / "config.json")


def test_a_save_that_fails_leaves_the_old_file_and_no_rubbish(tmp_path):
    RunConfig().save(tmp_path / "config.json")
    before = (tmp_path / "config.json").read_bytes()
    code = (  # The system lets this process write 10 bytes per file: to it, the disk is full.
        "import resource, signal\nfrom babel_dl.core.config import Config\nfrom babel_dl.errors import ConfigError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "try:\n    Config().save('config.json')\nexcept ConfigError as error:\n    print(error)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path, env=environment)
    assert re.fullmatch(r"Config cannot be saved to config.json: .*too large. A file that was there before is untouched.*\n", result.stdout)
    assert (tmp_path / "config.json").read_bytes() == before
    assert os.listdir(tmp_path) == ["config.json"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"RunConfig cannot be saved to .*file/config.json: .* choose a folder that can be written"):
        RunConfig().save(tmp_path / "file" / "config.json")


def test_a_saved_file_can_be_read_by_whom_the_system_lets_read_new_files(tmp_path):
    (tmp_path / "plain").write_text("")
    RunConfig().save(tmp_path / "config.json")
    modes = [stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in ("plain", "config.json")]
    assert modes[0] == modes[1]
