"""Runs an example as a reader does: as a program, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def run_program(module: str, logs: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m module` on the clothes that come with babel_dl.

    Args:
        module: Of the example.
        logs: Where the folder of the run is made.
        arguments: The rest of the command line.
    """
    search = os.pathsep.join([str(ROOT), str(ROOT / "backends"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": search, "MPLBACKEND": "agg"}
    command = [sys.executable, "-m", module, "--data", "mini", "--logs", str(logs), *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def metrics_of(folder: Path) -> dict[str, Any]:
    """What a run wrote for programs to read.

    Args:
        folder: Of the run.
    """
    return json.loads((folder / "metrics.json").read_text())
