"""A training in one call: `babel_dl.fit(data, "simple_conv", {"num_classes": 10}, loss="cross_entropy", metrics="acc", epochs=1)`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

from babel_dl.core import logging
from babel_dl.core.module import Module
from babel_dl.core.precision import find_precision
from babel_dl.core.random import use_seed
from babel_dl.core.registry import CALLBACKS
from babel_dl.errors import ArgumentError
from babel_dl.training.callbacks import Callback, CheckpointCallback, HistoryCallback
from babel_dl.training.callbacks.dispatch import CallbackList
from babel_dl.training.inputs import example_batch
from babel_dl.training.limits import Limits
from babel_dl.training.run_folder import open_run_folder
from babel_dl.training.short_form.default_loss import default_loss
from babel_dl.training.short_form.feeding import Feed, feed
from babel_dl.training.short_form.objective import make_objective
from babel_dl.training.short_form.optimization import Chosen, Extent, choose_optimizer
from babel_dl.training.short_form.own_steps import equip
from babel_dl.training.short_form.resolving import make
from babel_dl.training.short_form.settings import FILE, FitSettings, settings_of
from babel_dl.training.short_form.spelling import check_arguments
from babel_dl.training.short_form.subject import Subject, make_subject
from babel_dl.training.supervised import SupervisedTrainer
from babel_dl.training.trainer import Trainer


@dataclass(frozen=True)
class FitResult:
    """What `babel_dl.fit` leaves behind.

    Attributes:
        metrics: The means of the last epoch: on the data to evaluate on, or else on the training data.
        model: What was trained; of a trainer with steps of its own, the trainer.
        trainer: Goes on with `fit`, evaluates, predicts.
        run_folder: Where log, settings, history and checkpoints lie; None if no files were wanted.
        settings: Everything that it ran with, defaults included.
    """

    metrics: dict[str, float]
    model: Any
    trainer: Trainer
    run_folder: Path | None
    settings: FitSettings


def fit(
    data: Any,
    model: Any,
    model_config: Mapping[str, Any] | None = None,
    *,
    loss: Any = None,
    metrics: Any = None,
    optimizer: Any = None,
    optimizers: Mapping[str, Any] | None = None,
    schedule: Any = None,
    callbacks: Any = None,
    epochs: int | None = None,
    steps: int | None = None,
    max_time: float | timedelta | None = None,
    batch_size: int | None = None,
    dev_data: Any = None,
    dev_fraction: float | None = None,
    transform: Any = None,
    run_folder: str | Path | bool | None = None,
    compile: str | None = None,
    precision: str | int | None = None,
    accumulate: int | None = None,
    log_every: int | None = None,
    resume: bool | str | Path = False,
    debug: bool = False,
    seed: int | None = None,
    **unknown: NoReturn,
) -> FitResult:
    """Trains a model, and everything around it by name. Every choice is printed, and saved with the run.

    A part is a registered name, a class, an object, or a dict of a name and arguments: `{"optimizer": "adam", "lr": 2e-4}`.

    Args:
        data: A source ("mnist", or `{"name": "fashion_mnist", "data": "mini"}`), a dataset or loader, two of them (train, dev), arrays
            (x, y), or ((x, y), (x_dev, y_dev)). x and y are arrays, or dicts or named tuples of arrays; x alone will do. A list is one
            array.
        model: What learns: a module of ours or of the backend's framework, or a `Trainer` with steps of its own. By name, class or object.
        model_config: The arguments to make it with.
        loss: Also a function of (y_pred, y_true), or a dict by fields of the dataset's output. None for the loss registered under the name
            of the model, or else for "cross_entropy" where each sample has one whole number as its class and a score for each class.
        metrics: One or a list, or a dict by fields of the output; logged as `metrics/<name>`.
        optimizer: None for "adam".
        optimizers: By name, for a `Trainer` with steps of its own: `{"generator": {"optimizer": "adam", "schedule": "warmup"}, ...}`. Each
            takes the place of the trainer's own of that name, if it has any of its own.
        schedule: How the learning rate moves; its length is that of the run. None for a rate that stays.
        callbacks: One or a list, beside those that a trainer has anyway; one of the same class takes the place.
        epochs: When to end. Without any limit it is after 1 epoch.
        steps: The same in training steps.
        max_time: The same in seconds, or as a `timedelta`.
        batch_size: Samples in a batch; None for the dataset's own, or else 32.
        dev_data: What to evaluate on after each epoch; None for what `data` brings.
        dev_fraction: Which part of the training samples to hold out instead, chosen by the seed.
        transform: One or a list, applied in this order: "to_tensor", "normalize", "random_flip", ... What draws works in training alone.
        run_folder: Where files go; None for the folder of the log file if it is fresh, or else a new one in `.logs`; False for no files.
        compile: "auto", "off", or a mode of the backend; None for "auto", or for what a given trainer says.
        precision: "float32", "bfloat16" or "float16"; None for "float32", or for what a given trainer says.
        accumulate: Over how many steps gradients are averaged before an optimizer moves; None for 1, or for what a given trainer says.
        log_every: After how many steps numbers are read from the device; None for 100, or for what a given trainer says.
        resume: True to go on with the run in `run_folder`, or the path of a checkpoint.
        debug: Whether to try one step of each phase and a checkpoint first.
        seed: For initial weights, order and everything that draws; None for the seed in force.
        unknown: None; what is written otherwise here is said.

    Returns:
        Metrics, model, trainer, folder and settings.

    Raises:
        ArgumentError: A name or an argument is unknown, missing or out of its range, or choices contradict each other.
        DataError: The data cannot be read, or do not fit the model.
        BabelError: As `Trainer.fit`.

    Example: see docs/short_form.md.
    """
    check_arguments(unknown, _ARGUMENTS, model, optimizer)
    limits = Limits.of(epochs, steps, max_time)
    with nullcontext() if seed is None else use_seed(seed):
        subject, more_callbacks = make_subject(model, model_config), _callbacks(callbacks)  # first: data may take long to read
        source = feed(data, dev_data, dev_fraction, batch_size, transform)
        extent = Extent(_total_steps(limits, len(source.train)), len(source.train))
        if isinstance(subject.part, Trainer):
            trainer = subject.part
            chosen = _own_steps(trainer, extent, optimizer, optimizers, schedule, loss=loss, metrics=metrics)
            measured: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
        else:
            trainer, chosen, measured = _supervised(subject, subject.part, source, extent, optimizer, optimizers, schedule, loss, metrics)
        folder = open_run_folder(run_folder, subject.title, FILE, bool(resume))
        more_callbacks += [callback for one in chosen.values() for callback in one.callbacks]
        trainer.callbacks = CallbackList(_merged(trainer.callbacks.callbacks, more_callbacks, folder))
        _set_numbers(trainer, compile, precision, accumulate, log_every)
        settings = settings_of(subject, source.settings, {n: one.settings for n, one in chosen.items()}, measured, trainer, limits, extent)
        _record(settings, trainer, folder)
        numbers = trainer.fit(source.train, source.dev, limits.epochs, resume, steps=limits.steps, max_time=limits.seconds, debug=debug)
    return FitResult(numbers, subject.part, trainer, folder, settings)


_ARGUMENTS = [name for name in inspect.signature(fit).parameters if name != "unknown"]


def _supervised(
    subject: Subject, model: Module, source: Feed, extent: Extent, optimizer: Any, optimizers: Any, schedule: Any, loss: Any, metrics: Any
) -> tuple[Trainer, dict[str, Chosen], tuple[dict[str, Any], dict[str, Any]]]:
    """A trainer for a model, its optimizer, and what was chosen of loss and metrics."""
    if optimizers:
        raise ArgumentError("fit trains a model by one optimizer=...; optimizers=... are for a Trainer with steps of its own.")
    if loss is None:
        loss = default_loss(model, subject.title, subject.names, example_batch(source.train))
    objective, of_loss, of_metrics = make_objective(loss, metrics)
    chosen = choose_optimizer(optimizer, schedule, extent)
    return SupervisedTrainer(model, objective, chosen.optimizer), {"optimizer": chosen}, (of_loss, of_metrics)


def _own_steps(
    trainer: Trainer, extent: Extent, optimizer: Any, optimizers: Mapping[str, Any] | None, schedule: Any, **refused: Any
) -> dict[str, Chosen]:
    """Gives a trainer with steps of its own the optimizers that are meant for it, and refuses what its steps compute themselves."""
    for name, given in refused.items():
        if given is not None:
            who = type(trainer).__name__
            raise ArgumentError(f"fit takes no {name} with {who}: it is a Trainer, and its own steps compute and report losses.")
    return equip(trainer, extent, optimizer, optimizers, schedule)


def _callbacks(callbacks: Any) -> list[Callback]:
    wanted = [] if callbacks is None else callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
    return [make(CALLBACKS, one).part for one in wanted]


def _merged(own: Sequence[Callback], given: Sequence[Callback], folder: Path | None) -> list[Callback]:
    """A trainer's own callbacks with those given: in the place of one of the same class, or else in front of what writes checkpoints, so
    that `best` holds what they changed. Without a folder, those that would make one are left out."""
    if folder is None:
        own = [one for one in own if not (isinstance(one, (CheckpointCallback, HistoryCallback)) and one.folder is None)]
    merged: list[Callback] = []
    for one in own:
        same = [other for other in given if type(other) is type(one)]
        merged += [other for other in same if other not in merged] if same else [one]
    rest = [other for other in given if other not in merged]
    place = next((place for place, one in enumerate(merged) if isinstance(one, CheckpointCallback)), len(merged))
    return [*merged[:place], *rest, *merged[place:]]


def _set_numbers(
    trainer: Trainer, compile: str | None, precision: str | int | None, accumulate: int | None, log_every: int | None
) -> None:
    """Sets what was given, and leaves the trainer's own settings otherwise."""
    for name, count in (("accumulate", accumulate), ("log_every", log_every)):
        if count is not None:
            if not isinstance(count, int) or count < 1:
                raise ArgumentError(f"fit needs {name} of at least 1, and got {count!r}.")
            setattr(trainer, name, count)
    if compile is not None:
        trainer.compile_mode = compile
    if precision is not None:
        trainer.precision = find_precision(precision)


def _total_steps(limits: Limits, steps_per_epoch: int) -> int | None:
    counts = [] if limits.epochs is None else [limits.epochs * steps_per_epoch]
    return min([*counts, *([] if limits.steps is None else [limits.steps])], default=None)


def _record(settings: FitSettings, trainer: Trainer, folder: Path | None) -> None:
    """Prints the settings, saves them, and hands them to checkpoints."""
    for line in str(settings).splitlines():
        logging.info(line)
    if folder is not None:
        settings.save(folder / FILE)
    if trainer.config is None or isinstance(trainer.config, FitSettings):
        trainer.config = settings
