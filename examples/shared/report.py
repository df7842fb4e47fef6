"""What a run says at its end: a table beside the post's numbers, and a file that programs read."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import babel_dl
from babel_dl.core import current_seed, logging


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table whose columns stand in line; the first is flush left, the others flush right.

    Args:
        head: The titles of the columns.
        rows: The cells; numbers with a decimal point get four places, None is left empty.
    """
    cells = [list(head), *([_text(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = [[cell.rjust(width) if place else cell.ljust(width) for place, (cell, width) in enumerate(zip(row, widths, strict=True))]
             for row in cells]  # fmt: skip
    rule = ["-" * width for width in widths]
    return "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:]))


def say(text: str) -> None:
    """Logs each line of a text.

    Args:
        text: One line or several.
    """
    for line in text.splitlines():
        logging.info(line)


def write_metrics(example: str, data: str, metrics: dict[str, Any]) -> Path:
    """Writes `metrics.json` into the folder of the run.

    Args:
        example: Its name.
        data: "full" or "mini".
        metrics: Numbers, texts, lists and dicts of such.
    """
    about = {"example": example, "backend": babel_dl.get_backend(), "data": data, "seed": current_seed()}
    path = Path(logging.get_log_path() or ".") / "metrics.json"
    path.write_text(json.dumps({**about, **metrics}, indent=1) + "\n")
    return path


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)
