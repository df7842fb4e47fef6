"""The Python blocks of the tutorial, taken from its own text."""

import os
import re
from pathlib import Path

SEEDS_VARIABLE = "BABEL_DL_SEEDS_DIR"
SEEDS = Path(__file__).parents[3] / "shared" / "seeds"
BLOCK = re.compile(r"^Example:\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def find_tutorial() -> Path | None:
    """The text of the tutorial; None where nobody said where it is and it does not lie beside the checkout.

    Raises:
        FileNotFoundError: `BABEL_DL_SEEDS_DIR` is set, and the tutorial is not there.
    """
    chosen = os.environ.get(SEEDS_VARIABLE)
    folder = Path(chosen) if chosen else SEEDS
    found = sorted(folder.glob("003_*"))
    if not found and chosen:
        raise FileNotFoundError(f"{SEEDS_VARIABLE} is {chosen}, and there is no file 003_* in it.")
    return found[0] if found else None


def blocks_of(path: Path) -> list[str]:
    """Its blocks under "Example:", in order, with `babilim` read as `babel_dl` and nothing else changed."""
    return [block.replace("babilim", "babel_dl") for block in BLOCK.findall(path.read_text(encoding="utf-8"))]
