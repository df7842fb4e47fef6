"""The values of variables as a flat dictionary, by path, on the host, in canonical layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from babel_dl.core.structure import members
from babel_dl.core.variable import Variable
from babel_dl.errors import CheckpointError

if TYPE_CHECKING:
    from babel_dl.core.module import Module


def read(variables: dict[str, Variable]) -> dict[str, np.ndarray]:
    """Copies of all values."""
    return {path: variable.numpy() for path, variable in variables.items()}


def write(variables: dict[str, Variable], values: dict[str, np.ndarray], owner: str) -> None:
    """Assigns all values, or none.

    Args:
        variables: Where to write, by path.
        values: What to write, by the same paths.
        owner: Whose they are, for the message.

    Raises:
        CheckpointError: Names are missing or left over, or shapes or types differ; every one is listed.
    """
    problems = [f"missing: {path} {variables[path].shape}" for path in variables if path not in values]
    problems += [f"unexpected: {path} {np.shape(values[path])}" for path in values if path not in variables]
    for path in variables.keys() & values.keys():
        variable, value = variables[path], np.asarray(values[path])
        if variable.shape != value.shape:
            problems.append(f"shape: {path} is {variable.shape}, the value has {value.shape}")
        elif variable.dtype != value.dtype.name:
            problems.append(f"type: {path} is {variable.dtype}, the value is {value.dtype.name}")
    if problems:
        listed = "\n  ".join(sorted(problems))
        hint = "build it first (initialize, build_from, or one call)" if not variables else "make it with the same configuration"
        raise CheckpointError(f"The values do not fit into {owner}:\n  {listed}\n  Nothing was changed; {hint}.")
    for path, variable in variables.items():
        variable.assign(np.asarray(values[path]))


def summarize(name: str, modules: dict[str, Module]) -> str:
    """A table: path, class, shapes and number of values of each module that holds variables of its own."""
    rows, seen, trainable, total = [("path", "module", "variables", "values")], set(), 0, 0
    for path, module in modules.items():
        own = {key[1:]: value for key, value in members(module) if isinstance(value, Variable) and id(value) not in seen}
        seen.update(id(value) for value in own.values())
        count = sum(value.size for value in own.values())
        total += count
        trainable += sum(value.size for value in own.values() if value.trainable)
        shapes = ", ".join(f"{key} {value.shape}" for key, value in own.items())
        shows_itself = hasattr(type(module), "kind_in_summary")  # a native module by its own class
        kind = module.kind_in_summary if shows_itself else type(module).__name__  # type: ignore[attr-defined]
        rows.append((path or "/", kind, shapes, f"{count:,}" if own else ""))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join(_cell(cell, width, column) for column, (cell, width) in enumerate(zip(row, widths, strict=True))) for row in rows]
    return "\n".join([name, *(line.rstrip() for line in lines), f"{trainable:,} trainable of {total:,} values"])


def _cell(text: Any, width: int, column: int) -> str:
    return text.rjust(width) if column == 3 else text.ljust(width)
