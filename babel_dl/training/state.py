"""What a checkpoint holds of a trainer, and how it goes back: all that is needed to go on, on any backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from babel_dl.core import logging, weights
from babel_dl.core.native.randomness import native_random_state, restore_native_random_state
from babel_dl.core.variable import Variable
from babel_dl.errors import CheckpointError
from babel_dl.training.checkpoint import Checkpoint
from babel_dl.training.progress import Progress

if TYPE_CHECKING:
    from babel_dl.training.trainer import Trainer

KIND = "trainer"


def named_variables(trainer: Trainer) -> dict[str, Variable]:
    """All variables of the trainer, its modules and optimizers: `model/linear/0/weight`, `optimizer/momentum/linear/0/weight`."""
    found: dict[str, Variable] = {}
    seen: set[int] = set()
    for name, module in trainer.modules.items():
        for path, variable in module.named_variables.items():
            if id(variable) not in seen:
                seen.add(id(variable))
                found[f"{name}{path}"] = variable
    found.update({name: variable for name, variable in trainer.variables.items() if id(variable) not in seen})
    for name, optimizer in trainer.optimizers.items():
        found.update({f"{name}/{path}": variable for path, variable in optimizer.named_variables.items()})
    return found


def weight_names(trainer: Trainer) -> list[str]:
    """The names of the tensors that must be finite in a healthy checkpoint: everything that is floating."""
    return [name for name, variable in named_variables(trainer).items() if variable.dtype.startswith(("float", "bfloat"))]


def capture(trainer: Trainer) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The tensors in canonical layout, and the rest as JSON values."""
    tensors = weights.read(named_variables(trainer))
    metadata = {
        "kind": KIND,
        "trainer": type(trainer).__name__,
        "progress": trainer.progress.to_dict(),
        "seed": trainer.seed,
        "metrics": trainer.metrics.state_dict(),
        "callbacks": trainer.callbacks.state_dict(),
        "optimizers": {name: _plain(optimizer.settings()) for name, optimizer in trainer.optimizers.items()},
        "config": trainer.config.to_dict() if trainer.config is not None else None,
        "random_state": native_random_state(trainer.modules.values()),
        "backend": trainer.backend.name,
        "versions": trainer.backend.versions(),
    }
    return tensors, metadata


def restore(trainer: Trainer, checkpoint: Checkpoint) -> None:
    """Puts everything back, or nothing; the trainer's modules must be built.

    Raises:
        CheckpointError: The file is no trainer's checkpoint, or its tensors do not fit; every name that does not is listed.
    """
    metadata = checkpoint.metadata
    if metadata.get("kind") != KIND:
        raise CheckpointError(f"This checkpoint holds {metadata.get('kind', 'something unknown')!r}, not the state of a trainer.")
    weights.write(named_variables(trainer), dict(checkpoint.tensors), type(trainer).__name__)
    for optimizer in trainer.optimizers.values():
        optimizer.take_over()
    trainer.progress = Progress(**metadata["progress"])
    if trainer.seed != metadata["seed"]:
        logging.warn(
            f"The checkpoint was made under seed {metadata['seed']}, and this trainer under seed {trainer.seed}: order and dropout differ "
            f"from here on. To go on exactly, call babel_dl.set_seed({metadata['seed']}) before making model and data."
        )
    trainer.seed = metadata["seed"]
    restore_native_random_state(trainer.modules.values(), metadata.get("random_state"))
    trainer.metrics.load_state_dict(metadata["metrics"])
    trainer.callbacks.load_state_dict(metadata["callbacks"])


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value if isinstance(value, (int, float, bool, str, type(None))) else str(value) for name, value in settings.items()}
