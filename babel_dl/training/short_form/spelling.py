"""How others call the arguments of `fit`, so that a message can say what to write here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from babel_dl.core.registry import MODULES
from babel_dl.errors import ArgumentError, did_you_mean
from babel_dl.training.short_form.resolving import parameters_of

_HERE = {
    "data": ("x", "dataset", "train_data", "training_data", "train_loader", "train_dataset", "train_dataloaders"),
    "model": ("module", "network", "net", "trainer"),
    "model_config": ("config", "module_config", "model_kwargs"),
    "loss": ("loss_fn", "loss_function", "loss_name", "criterion", "objective"),
    "metrics": ("metric", "metric_names", "compute_metrics"),
    "optimizer": ("optim", "optimizer_name"),
    "schedule": ("scheduler", "lr_scheduler", "lr_schedule", "scheduler_name"),
    "callbacks": ("callback",),
    "epochs": ("num_epochs", "num_epoch", "n_epochs", "max_epochs", "num_train_epochs"),
    "steps": ("num_steps", "max_steps", "total_steps"),
    "max_time": ("timeout", "time_limit"),
    "batch_size": ("bs", "train_batch_size"),
    "dev_data": ("validation_data", "valid_data", "val_data", "eval_data", "eval_dataset", "val_loader", "valid_loader", "test_data"),
    "dev_fraction": ("validation_split", "val_split", "valid_split", "test_size", "validation_fraction"),
    "transform": ("transforms", "transformers", "augmentation"),
    "run_folder": ("log_dir", "logdir", "output_dir", "save_dir", "workspace", "default_root_dir"),
    "compile": ("jit_compile", "run_eagerly"),
    "precision": ("mixed_precision", "amp", "dtype"),
    "accumulate": ("accumulate_grad_batches", "gradient_accumulation_steps", "accumulate_steps"),
    "log_every": ("log_steps", "log_interval", "logging_steps", "log_every_n_steps"),
    "resume": ("resume_from", "resume_from_checkpoint", "ckpt_path"),
    "seed": ("random_state", "random_seed", "manual_seed"),
}
_ELSEWHERE = {there: here for here, others in _HERE.items() for there in others}

_RATE = {"learning_rate": "lr", "initial_lr": "lr", "wd": "weight_decay"}
_OF_OPTIMIZERS = ("lr", "learning_rate", "initial_lr", "weight_decay", "wd", "momentum", "clip_norm", "clip_value", "beta1", "beta2", "eps")

_OTHERWISE = {
    "y": "Write arrays as a tuple: fit((x, y), ...).",
    "labels": "Write arrays as a tuple: fit((x, y), ...).",
    "label_smoothing": 'Write: loss={"loss": "cross_entropy", "label_smoothing": 0.1}.',
    "from_logits": "Losses take logits here: leave the last softmax or sigmoid of the model away.",
    "monitor": 'Write: callbacks={"callback": "checkpoint", "monitor": "loss/total"}.',
    "patience": 'Write: callbacks={"callback": "early_stopping", "patience": 3}.',
    "early_stopping": 'Write: callbacks="early_stopping".',
    "shuffle": "A loader says it: dataset.to_dataloader(batch_size, shuffle=False).",
    "drop_last": "A loader says it: dataset.to_dataloader(batch_size, drop_last=True).",
    "num_workers": "A loader says it: dataset.to_dataloader(batch_size, num_workers=2).",
    "device": "Write before: babel_dl.set_backend(name, device).",
    "backend": "Write before: babel_dl.set_backend(name).",
    "verbose": "Lines and the progress bar are callbacks of the trainer.",
}


def check_arguments(unknown: Mapping[str, Any], known: Sequence[str], model: Any, optimizer: Any) -> None:
    """Refuses arguments that `fit` does not have.

    Args:
        unknown: Those that came.
        known: The names of those that it has.
        model: What was given as the model: its own arguments stand in `model_config`.
        optimizer: What was given as the optimizer.

    Raises:
        ArgumentError: There is one; what to write is said.
    """
    for name, value in unknown.items():
        raise ArgumentError(f"fit has no argument {name!r}.{_hint(name, value, known, model, optimizer)}")


def _hint(name: str, value: Any, known: Sequence[str], model: Any, optimizer: Any) -> str:
    if name in _arguments_of(model):
        return f' It is one of the model. Write: model_config={{"{name}": {_short(value)}}}.'
    if name in _OF_OPTIMIZERS:
        kind = optimizer if isinstance(optimizer, str) else "adam"
        return f' Write: optimizer={{"optimizer": "{kind}", "{_RATE.get(name, name)}": {_short(value)}}}.'
    if name in _OTHERWISE:
        return f" {_OTHERWISE[name]}"
    here = _ELSEWHERE.get(name)
    return did_you_mean(name, known) if here is None else f" It is called {here} here."


def _arguments_of(model: Any) -> Mapping[str, Any]:
    """What a model that is not made yet takes."""
    maker = MODULES.known(model) if isinstance(model, str) else model
    return (parameters_of(maker) or {}) if isinstance(maker, type) else {}


def _short(value: Any) -> str:
    return repr(value) if isinstance(value, (bool, int, float, str)) else "..."
