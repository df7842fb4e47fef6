"""Makes the embedded subset of Fashion-MNIST from the full set: `python -m babel_dl.data.sources.make_mini SOURCE TARGET`.

Of each class it takes the 600 training and 100 test pictures whose SHA-256 is smallest, in their published order: a choice that needs no
random numbers, so anybody can repeat it. Pixels are stored as published, in IDX files compressed by xz (gzip would take more than 3 MB).
"""

import hashlib
import lzma
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from babel_dl.data.sources.catalog import find_source
from babel_dl.data.sources.idx import format_idx, read_idx
from babel_dl.data.splits import SPLIT_DEV, SPLIT_TRAIN

NUM_PER_CLASS = {SPLIT_TRAIN: 600, SPLIT_DEV: 100}


def choose(images: np.ndarray, labels: np.ndarray, num_per_class: int) -> np.ndarray:
    """The rows to keep, in rising order.

    Args:
        images: Pictures, uint8.
        labels: Their classes.
        num_per_class: How many of each class.

    Shapes:
        images: (samples, height, width).      labels: (samples,).      returns: (classes * num_per_class,).
    """
    digests = [hashlib.sha256(image.tobytes()).digest() for image in images]
    rows = []
    for number in np.unique(labels):
        rows += sorted(np.flatnonzero(labels == number).tolist(), key=digests.__getitem__)[:num_per_class]
    return np.sort(np.asarray(rows))


def make_mini(source_folder: Path, target_folder: Path) -> None:
    """Writes the four files of the subset.

    Args:
        source_folder: Where the four files of the full set lie.
        target_folder: Where the files go; made if missing.

    Raises:
        DataError: A file of the full set is missing, truncated or altered.
    """
    source = find_source("fashion_mnist")
    target_folder.mkdir(parents=True, exist_ok=True)
    for split, num_per_class in NUM_PER_CLASS.items():
        images, labels = (read_idx(source_folder / file.name, file.sha256) for file in source.files[split])
        rows = choose(images, labels, num_per_class)
        for file, array in zip(source.mini[split], (images[rows], labels[rows]), strict=True):
            content = format_idx(array)
            packed = lzma.compress(content, preset=9 | lzma.PRESET_EXTREME)
            (target_folder / file.name).write_bytes(packed)
            print(f"{file.name}: {array.shape}, {len(packed):,} bytes, SHA-256 of the content {hashlib.sha256(content).hexdigest()}")


def main(arguments: Sequence[str]) -> int:
    """The command line.

    Args:
        arguments: The folder of the full set, and the folder to write to.

    Returns:
        The exit status.
    """
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    make_mini(Path(arguments[0]), Path(arguments[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
