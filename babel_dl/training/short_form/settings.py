"""Everything that a training by `babel_dl.fit` runs with, defaults included: printed, saved, and kept in checkpoints."""

from __future__ import annotations

from typing import Any

from babel_dl.backend import get_device
from babel_dl.core import Config
from babel_dl.training.limits import Limits
from babel_dl.training.short_form.optimization import Extent
from babel_dl.training.short_form.resolving import NAME, title_of
from babel_dl.training.short_form.subject import Subject
from babel_dl.training.trainer import Trainer

FILE = "settings.json"
"""The file in the folder of a run that says that `fit` ran there, and with what."""


class FitSettings(Config):
    """The resolved choices of a run. Dictionaries hold a name and the arguments that go with it, defaults included.

    `train_total_steps` is None where only the time is limited; the numbers of data are None where a loader does not tell them.
    """

    model_name: str
    model_class: str
    model_config: dict[str, Any]
    data_source: str
    data_train_samples: int | None
    data_dev_samples: int | None
    data_batch_size: int | None
    data_steps_per_epoch: int
    data_shuffle: bool | None
    data_drop_last: bool | None
    data_inputs: dict[str, str]
    data_outputs: dict[str, str]
    data_transform: list[dict[str, Any]]
    train_loss: dict[str, Any]
    train_metrics: dict[str, Any]
    train_optimizers: dict[str, Any]
    train_callbacks: list[str]
    train_epochs: int | None
    train_steps: int | None
    train_max_time: float | None
    train_total_steps: int | None
    train_accumulate: int
    train_log_every: int
    run_backend: str
    run_device: str
    run_compile: str
    run_precision: str
    run_seed: int
    run_versions: dict[str, str]

    def _shown(self, name: str) -> str:
        """Names with their arguments as calls, for people: `adam(initial_lr=0.001, schedule=None)`."""
        return _shown(vars(self)[name]) if name in vars(self) else super()._shown(name)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_shown, value)) or "none"
    if not isinstance(value, dict):
        return str(value)
    key = next((key for key in (NAME, "kind") if key in value), "")
    arguments = ", ".join(f"{name}={_shown(item)}" for name, item in value.items() if name != key)
    if key:
        return f"{value[key]}({arguments})" if arguments else str(value[key])
    return arguments or "none"


def settings_of(
    subject: Subject,
    data: dict[str, Any],
    optimizers: dict[str, Any],
    measured: tuple[dict[str, Any], dict[str, Any]],
    trainer: Trainer,
    limits: Limits,
    extent: Extent,
) -> FitSettings:
    """All choices of a run in one object.

    Args:
        subject: What is trained.
        data: What was chosen of the data, without the prefix `data_`.
        optimizers: What was chosen of each optimizer.
        measured: What was chosen of loss and metrics.
        trainer: With its callbacks and numbers.
        limits: When it ends.
        extent: How many steps that is.
    """
    settings = FitSettings.from_dict({})
    settings.model_name, settings.model_class, settings.model_config = subject.title, subject.kind, subject.config
    for name, value in data.items():
        setattr(settings, f"data_{name}", value)
    settings.train_loss, settings.train_metrics = measured
    settings.train_optimizers = optimizers
    settings.train_callbacks = [title_of(type(callback)) for callback in trainer.callbacks.callbacks]
    settings.train_epochs, settings.train_steps, settings.train_max_time = limits.epochs, limits.steps, limits.seconds
    settings.train_total_steps = extent.steps
    settings.train_accumulate, settings.train_log_every = trainer.accumulate, trainer.log_every
    settings.run_backend, settings.run_device = trainer.backend.name, get_device()
    settings.run_versions = dict(trainer.backend.versions())
    settings.run_compile, settings.run_precision, settings.run_seed = trainer.compile_mode, trainer.precision, trainer.seed
    return settings
