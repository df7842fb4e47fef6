"""A dataset of babel_dl as PyTorch's own."""

from typing import Any

import torch

from babel_dl.backend.contract import Datasets
from babel_dl_torch.creation import from_host


class DatasetView(torch.utils.data.Dataset):
    """Samples as named tuples of CPU tensors, for `torch.utils.data.DataLoader`; pictures stay channels last.

    Random transformers draw by seed, epoch and sample index, so the number of workers and PyTorch's own seed do not matter. Call
    `set_epoch` before each epoch, as with `DistributedSampler`.

    Args:
        dataset: Anything with a length and `sample(index, epoch, seed)`.
        seed: The seed of random transformers.
    """

    def __init__(self, dataset: Any, seed: int) -> None:
        self.dataset = dataset
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Sets what random transformers draw from now on.

        Args:
            epoch: The epoch, from 0.
        """
        self.epoch = epoch

    def __len__(self) -> int:
        """How many samples there are."""
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """One sample.

        Args:
            index: 0 to `len(self) - 1`; negative numbers count from the end.

        Raises:
            IndexError: There is no such sample.
            DataError: A getter or a transformer failed; it and the sample token are named.
            DTypeError: PyTorch has no such element type.
        """
        inp, outp = self.dataset.sample(index, self.epoch, self.seed)
        return type(inp)(*map(from_host, inp)), type(outp)(*map(from_host, outp))


def dataset_bridge(dataset: Any, seed: int = 0) -> DatasetView:
    """The dataset as PyTorch's own.

    Args:
        dataset: A dataset of babel_dl.
        seed: The seed of random transformers.
    """
    return DatasetView(dataset, seed)


class TorchDatasets(Datasets):
    """Ways out for data."""

    def dataset_bridge(self, dataset: Any, seed: int = 0, **options: Any) -> Any:
        """See the function of this name."""
        return dataset_bridge(dataset, seed=seed, **options)
