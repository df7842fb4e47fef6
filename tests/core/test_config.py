"""The configuration: fields and their types, inheritance, printing, copies."""

import enum
import pathlib
import pickle
from typing import Any, ClassVar, Literal

import numpy as np
import pytest

from babel_dl.core.config import Config
from babel_dl.errors import ConfigError
from babel_dl.training.optimizers import learning_rates


class FashionMnistConfig(Config):
    def __init__(self):
        super().__init__()
        self.problem_number_of_categories = 10
        self.problem_samples = 60000
        self.problem_base_dir = ".datasets"

        self.train_epochs = 10
        self.train_l2_weight = 0.01
        self.train_batch_size = 32
        iterations_per_epoch = self.problem_samples / self.train_batch_size
        self.train_learning_rate_shedule = learning_rates.Exponential(initial_lr=0.001, k=0.1 / iterations_per_epoch)


class LongConfig(FashionMnistConfig):
    def __init__(self):
        super().__init__()
        self.train_epochs = 100
        self.train_patience = None


class Mode(enum.Enum):
    FAST = 1
    EXACT = 2


class DeclaredConfig(Config):
    kinds: ClassVar[int] = 3
    data_crop: tuple[int, int] = (24, 24)
    data_filters: list[int] = [1, 2]  # noqa: RUF012  # copied for each object: that is tested below
    data_dir: pathlib.Path = pathlib.Path("data")
    data_weights: dict[str, float] = {"shirt": 2.0}  # noqa: RUF012
    train_clip_norm: float | None = None
    train_mode: Mode = Mode.FAST
    train_name: Literal["sgd", "adam"] = "sgd"
    train_schedule: learning_rates.LearningRateSchedule | None = None
    train_extra: Any = 1
    train_seed: int

    @property
    def data_pixels(self):
        return self.data_crop[0] * self.data_crop[1]


def test_a_config_as_in_the_seed_holds_its_values():
    config = FashionMnistConfig()
    assert (config.problem_samples, config.train_epochs, config.train_l2_weight) == (60000, 10, 0.01)
    assert config.train_learning_rate_shedule.initial_lr == 0.001
    assert f"{config.train_learning_rate_shedule(1875):.6f}" == "0.000905"


def test_a_child_overrides_and_adds_fields():
    assert (LongConfig().train_epochs, LongConfig().train_batch_size, LongConfig().train_patience) == (100, 32, None)
    assert FashionMnistConfig().train_epochs == 10


def test_a_child_can_override_a_declared_field_without_an_annotation():
    class Child(DeclaredConfig):
        train_clip_norm = 1

    assert repr(Child().train_clip_norm) == "1.0"


def test_a_child_cannot_override_a_field_by_another_type():
    class Child(FashionMnistConfig):
        def __init__(self):
            super().__init__()
            self.train_epochs = "ten"

    with pytest.raises(ConfigError, match=r"Child.train_epochs got 'ten' \(str\), expected int."):
        Child()


def test_a_declared_default_of_another_type_is_refused():
    class Child(DeclaredConfig):
        data_crop = (24, 24, 3)

    with pytest.raises(ConfigError, match=r"Child.data_crop got \(24, 24, 3\) \(tuple\), expected tuple\[int, int\]. It has 3 items"):
        Child()


def test_fields_declared_in_the_class_work_without_any_init_of_the_parent():
    class Child(DeclaredConfig):
        def __init__(self):
            self.train_seed = 1

    assert Child().data_crop == (24, 24)


def test_class_variables_and_properties_and_private_names_are_no_fields():
    config = DeclaredConfig()
    config.train_seed = 1
    config._cache = object()
    assert (config.kinds, config.data_pixels) == (3, 576)
    assert not {"kinds", "data_pixels", "_cache"} & set(config.to_dict())


def test_two_objects_share_no_mutable_default():
    DeclaredConfig().data_filters.append(3)
    assert DeclaredConfig().data_filters == [1, 2]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("train_epochs", "3", r"FashionMnistConfig.train_epochs got '3' \(str\), expected int\."),
        ("train_epochs", 1.5, r"got 1.5 \(float\), expected int. If fractions are meant, write its first value with a point"),
        ("train_epochs", True, r"got True \(bool\), expected int"),
        ("train_epochs", None, r"got None \(NoneType\), expected int. If None shall be allowed, annotate it in the class: `name: int"),
        ("train_l2_weight", "much", r"got 'much' \(str\), expected float"),
        ("train_l2_weight", 10**400, r"expected float. It is too large for a float"),
        ("problem_base_dir", 1, r"got 1 \(int\), expected str"),
        ("train_learning_rate_shedule", 0.1, r"got 0.1 \(float\), expected LearningRateSchedule"),
    ],
)
def test_a_later_value_of_another_type_is_refused(name, value, message):
    config = FashionMnistConfig()
    before = getattr(config, name)
    with pytest.raises(ConfigError, match=message):
        setattr(config, name, value)
    assert getattr(config, name) == before


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("data_crop", [24, 24], r"DeclaredConfig.data_crop got \[24, 24\] \(list\), expected tuple\[int, int\]"),
        ("data_crop", (24, 0.5), r"expected tuple\[int, int\]"),
        ("data_weights", {"shirt": "x"}, r"expected dict\[str, float\]"),
        ("data_weights", {1: 2.0}, r"The keys of a dict must be text, because it is saved as JSON"),
        ("data_dir", "data", r"got 'data' \(str\), expected Path"),
        ("train_clip_norm", "x", r"expected float or None"),
        ("train_mode", 1, r"expected Mode"),
        ("train_name", "lamb", r"got 'lamb' \(str\), expected 'sgd' or 'adam'"),
        ("train_schedule", 0.1, r"expected LearningRateSchedule or None"),
        ("train_extra", {1, 2}, r"expected Any. It contains set, which is not plain data"),
    ],
)
def test_a_value_that_does_not_fit_its_annotation_is_refused(name, value, message):
    with pytest.raises(ConfigError, match=message):
        setattr(DeclaredConfig(), name, value)


def test_an_int_becomes_a_float_where_a_float_is_expected():
    config = DeclaredConfig()
    config.train_clip_norm = 1
    config.data_weights = {"coat": 2}
    assert repr([config.train_clip_norm, config.data_weights]) == "[1.0, {'coat': 2.0}]"


def test_numpy_numbers_become_python_numbers():
    config = FashionMnistConfig()
    config.train_epochs = np.int64(3)
    config.train_l2_weight = np.float32(0.5)
    assert (type(config.train_epochs), type(config.train_l2_weight)) == (int, float)


def test_a_field_that_starts_as_none_takes_the_type_of_its_first_other_value():
    config = LongConfig()
    config.train_patience = 3
    config.train_patience = None
    with pytest.raises(ConfigError, match=r"LongConfig.train_patience got 'x' \(str\), expected int or None"):
        config.train_patience = "x"


def test_a_schedule_may_be_replaced_by_any_other_schedule():
    config = FashionMnistConfig()
    config.train_learning_rate_shedule = learning_rates.Cosine(initial_lr=0.1, num_steps=10)
    assert config.train_learning_rate_shedule(0) == 0.1


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", lambda: 1, 1j, np.zeros(3)])
def test_a_value_that_cannot_be_saved_with_the_run_is_refused(value):
    with pytest.raises(ConfigError, match=r"Config.train_thing got .* cannot be saved with the run; a field holds plain data"):
        Config().train_thing = value


def test_a_field_cannot_have_the_name_of_a_method():
    with pytest.raises(ConfigError, match="Config cannot have a field 'copy': a method has this name. Choose another name"):
        Config().copy = 3


def test_annotations_that_cannot_be_read_are_reported():
    class Broken(Config):
        train_x: "NoSuchName" = 3  # noqa: F821

    with pytest.raises(ConfigError, match="The annotations of Broken cannot be read: .*NoSuchName.* Import the names"):
        Broken()


def test_an_annotation_that_no_file_can_hold_is_refused():
    class Broken(Config):
        train_x: set[int] = {1}  # noqa: RUF012

    with pytest.raises(ConfigError, match=r"Broken.train_x got \{1\} \(set\), expected set\[int\]. A set cannot be saved with the run"):
        Broken()


def test_reading_a_misspelt_field_says_what_was_meant():
    with pytest.raises(AttributeError, match="FashionMnistConfig has no field 'train_epoch'. Did you mean 'train_epochs'"):
        FashionMnistConfig().train_epoch  # noqa: B018


def test_reading_a_declared_field_without_a_value_says_so():
    with pytest.raises(AttributeError, match=r"DeclaredConfig.train_seed \(int\) has no value yet. Set it, or give it a default"):
        DeclaredConfig().train_seed  # noqa: B018
    with pytest.raises(ConfigError, match=r"DeclaredConfig.train_seed \(int\) has no value yet"):
        DeclaredConfig().to_dict()


def test_printing_aligns_the_fields_of_each_prefix():
    assert str(FashionMnistConfig()) == (
        "FashionMnistConfig:\n"
        "  problem_number_of_categories = 10\n"
        "  problem_samples              = 60000\n"
        "  problem_base_dir             = '.datasets'\n"
        "\n"
        "  train_epochs                = 10\n"
        "  train_l2_weight             = 0.01\n"
        "  train_batch_size            = 32\n"
        "  train_learning_rate_shedule = Exponential(initial_lr=0.001, k=5.333333333333333e-05)"
    )


def test_printing_works_for_empty_configs_and_unset_fields():
    assert str(Config()) == "Config:"
    assert "train_seed      = (no value yet)" in str(DeclaredConfig())


def test_repr_is_one_line():
    config = Config()
    config.train_epochs = 3
    config.name = "x"
    assert repr(config) == "Config(train_epochs=3, name='x')"


def test_argument_help_lists_every_field_with_its_type():
    assert FashionMnistConfig().as_argument_help().splitlines()[3:5] == ["train_epochs=10 (int)", "train_l2_weight=0.01 (float)"]


def test_a_copy_is_equal_and_shares_nothing():
    config = DeclaredConfig()
    other = config.copy()
    assert other == config
    other.data_filters.append(3)
    assert other != config
    assert config.data_filters == [1, 2]


def test_configs_of_different_classes_are_not_equal():
    class Same(FashionMnistConfig):
        pass

    assert FashionMnistConfig() == FashionMnistConfig()
    assert Same() != FashionMnistConfig()


def test_a_copy_keeps_the_types_of_its_fields():
    with pytest.raises(ConfigError, match="train_epochs got 'x'"):
        FashionMnistConfig().copy().train_epochs = "x"


def test_a_config_travels_to_worker_processes():
    config = LongConfig()
    config.train_patience = 3
    again = pickle.loads(pickle.dumps(config))
    assert again == config
    with pytest.raises(ConfigError, match="train_patience got 'x'"):
        again.train_patience = "x"


def test_positional_arguments_are_refused():
    with pytest.raises(TypeError, match="positional argument"):
        Config(5)
