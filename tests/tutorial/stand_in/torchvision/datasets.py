"""`torchvision.datasets.FashionMNIST`: the same arguments, the same files in the same folder, the same samples."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


class FashionMNIST:
    """Pairs of a grey picture and a class.

    Args:
        root: The folder; the files lie in `FashionMNIST/raw` below it, as torchvision puts them there.
        train: The training or the test images.
        download: torchvision downloads what is not there; here the files are there.

    Raises:
        RuntimeError: They are not there.
    """

    def __init__(self, root: str, train: bool = True, download: bool = False) -> None:
        folder, start = Path(root) / "FashionMNIST" / "raw", "train" if train else "t10k"
        if not folder.is_dir():
            raise RuntimeError(f"Dataset not found in {folder.resolve()}. The test that uses this stand-in writes it there.")
        self.targets = np.frombuffer(gzip.decompress((folder / f"{start}-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8)
        pictures = np.frombuffer(gzip.decompress((folder / f"{start}-images-idx3-ubyte.gz").read_bytes()), np.uint8, offset=16)
        self.data = pictures.reshape(len(self.targets), 28, 28)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        """The picture, as PIL has it, and its class.

        Raises:
            IndexError: There is no such sample.
        """
        return Image.fromarray(self.data[index]), int(self.targets[index])
