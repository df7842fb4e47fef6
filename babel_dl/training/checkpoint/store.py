"""A folder with the checkpoints of a run: `latest` to go on from, `best` to use."""

import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from babel_dl.errors import CheckpointError, did_you_mean
from babel_dl.training.checkpoint.file import Checkpoint, read_checkpoint, write_checkpoint

LATEST = "latest"
BEST = "best"


class CheckpointStore:
    """Keeps `latest.safetensors`, the one before as `latest.previous.safetensors`, and `best.safetensors`.

    At each instant, a kill included, every name that was saved once leads to a whole file.

    Args:
        folder: Where the files lie; made at the first save.
        warn: Gets the text when a damaged checkpoint is passed over; `None` for babel_dl's log.
    """

    def __init__(self, folder: str | os.PathLike[str], warn: Callable[[str], object] | None = None) -> None:
        self.folder = Path(folder)
        self._warn = warn

    def path(self, name: str) -> Path:
        """The file of a name.

        Raises:
            CheckpointError: The name is neither `latest` nor `best`.
        """
        if name not in (LATEST, BEST):
            raise CheckpointError(f"A store has no checkpoint {name!r}.{did_you_mean(str(name), (LATEST, BEST))}")
        return self.folder / f"{name}.safetensors"

    def has(self, name: str) -> bool:
        """Whether there is something to load under this name.

        Raises:
            CheckpointError: The name is neither `latest` nor `best`.
        """
        return any(path.is_file() for path in self._candidates(name))

    def save(
        self,
        name: str,
        tensors: Mapping[str, np.ndarray],
        metadata: dict[str, Any],
        weights: Collection[str] | None = None,
        reject_non_finite: bool = True,
    ) -> Path:
        """Saves under a name, in one step: the file before it stays until the new one is whole.

        Args:
            name: `latest` or `best`.
            tensors: Arrays by name.
            metadata: JSON values.
            weights: The names of the tensors that must be finite; `None` for all.
            reject_non_finite: Whether a NaN or an infinity among them is refused.

        Returns:
            The file.

        Raises:
            CheckpointError: The name is unknown, a weight is missing or not finite, or the file cannot be written. The files that were
                there stay as they are.
        """
        path = self.path(name)
        if reject_non_finite:
            _refuse_non_finite(path, tensors, tensors if weights is None else weights)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CheckpointError(
                f"The folder '{self.folder}' for checkpoints cannot be made: {error.strerror}.\n  Choose another folder."
            ) from error
        write_checkpoint(path, tensors, metadata, keep_old_as=self._previous if name == LATEST else None)
        return path

    def load(self, name: str) -> Checkpoint:
        """Reads and verifies a checkpoint. A damaged or missing `latest` is replaced by the one before, with a warning.

        Args:
            name: `latest` or `best`.

        Raises:
            CheckpointError: The name is unknown, nothing was saved under it, or no file of it is healthy.
        """
        candidates = self._candidates(name)
        failures = []
        for path in candidates:
            try:
                checkpoint = read_checkpoint(path)
            except CheckpointError as error:
                failures.append(error)
                continue
            if failures:
                self._say(f"{failures[0]}\n  Going on from the one before: '{path}'.")
            return checkpoint
        if not self.has(name):
            raise CheckpointError(f"No checkpoint {name!r} in '{self.folder}'.\n  Check the folder, or train first.")
        if len(candidates) == 1:
            raise failures[0]
        reasons = "\n  ".join(map(str, failures))
        raise CheckpointError(f"No checkpoint {name!r} in '{self.folder}' can be loaded.\n  {reasons}") from failures[-1]

    @property
    def _previous(self) -> Path:
        return self.folder / f"{LATEST}.previous.safetensors"

    def _candidates(self, name: str) -> tuple[Path, ...]:
        path = self.path(name)
        return (path, self._previous) if name == LATEST else (path,)

    def _say(self, text: str) -> None:
        if self._warn is not None:
            self._warn(text)
            return
        from babel_dl.core.logging import warn  # late: a log is opened only when there is something to say

        warn(text)


def _refuse_non_finite(path: Path, tensors: Mapping[str, np.ndarray], weights: Collection[str]) -> None:
    for name in weights:
        if name not in tensors:
            raise CheckpointError(f"The weight {name!r} is not among the tensors to save.{did_you_mean(name, tensors)}")
        array = np.asarray(tensors[name])
        floating = np.issubdtype(array.dtype, np.floating) or array.dtype == ml_dtypes.bfloat16
        if floating and not np.isfinite(array).all():
            bad = int(array.size - np.isfinite(array).sum())
            old = f"'{path}' stays as it was." if path.exists() else "Nothing was written."
            raise CheckpointError(
                f"Tensor {name!r} is not finite: {bad} of {array.size} values are NaN or infinite.\n"
                f"  Such weights never replace a healthy checkpoint; {old} Lower the learning rate, or clip the gradients."
            )
