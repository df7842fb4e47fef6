"""The numbers of a run in files that other programs read."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from babel_dl.core.registry import register_callback
from babel_dl.training.callbacks.base import REPORT, Callback
from babel_dl.training.run_folder import run_folder

if TYPE_CHECKING:
    from babel_dl.training.trainer import Trainer


@register_callback("history")
class HistoryCallback(Callback):
    """Writes one row for each training part and each evaluation: `history.jsonl` as they come, `history.csv` after each epoch.

    A row has `epoch` (counted from 1), `step`, `split` ("train" or "dev"), and the metrics. A resumed run drops the rows of steps that
    are made again. An evaluation outside of `fit` belongs to no epoch, and makes no row.

    Args:
        folder: Where the files lie; None for the folder of the run.

    Attributes:
        rows: All rows so far.
    """

    on_failure = REPORT

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = None if folder is None else Path(folder)
        self.rows: list[dict[str, Any]] = []
        self._is_fitting = False

    def _file(self, name: str) -> Path:
        if self.folder is None:
            self.folder = run_folder()
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / name

    def on_fit_start(self, trainer: Trainer) -> None:
        """Reads what an earlier part of the run wrote, up to where it goes on."""
        self._is_fitting = True
        path = self._file("history.jsonl")
        known = _read_rows(path) if path.exists() and trainer.step else self.rows
        self.rows = [row for row in known if row["epoch"] <= trainer.epoch]
        self._replace(path, "".join(json.dumps(row) + "\n" for row in self.rows))

    def on_train_end(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """Adds the row of the training part."""
        self._add(trainer, "train", metrics)

    def on_dev_end(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """Adds the row of an evaluation."""
        if self._is_fitting:
            self._add(trainer, "dev", metrics)

    def _add(self, trainer: Trainer, split: str, metrics: dict[str, float]) -> None:
        row = {"epoch": trainer.epoch + 1, "step": trainer.step, "split": split, **metrics}
        self.rows.append(row)
        with open(self._file("history.jsonl"), "a") as file:
            file.write(json.dumps(row) + "\n")

    def on_epoch_end(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """Writes the table."""
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        path = self._file("history.csv")
        with open(path.with_suffix(".csv.tmp"), "w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(self.rows)
        os.replace(path.with_suffix(".csv.tmp"), path)

    def on_fit_end(self, trainer: Trainer) -> None:
        """No more rows."""
        self._is_fitting = False

    def on_fit_interrupted(self, trainer: Trainer) -> None:
        """No more rows."""
        self._is_fitting = False

    def on_fit_failed(self, trainer: Trainer, error: BaseException) -> None:
        """No more rows."""
        self._is_fitting = False

    @staticmethod
    def _replace(path: Path, text: str) -> None:
        temporary = path.with_suffix(path.suffix + ".tmp")
        temporary.write_text(text)
        os.replace(temporary, path)


def _read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, up to a line that a full disk or a crash cut off."""
    rows = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows
