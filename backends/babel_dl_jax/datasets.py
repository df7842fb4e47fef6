"""A dataset of babel_dl as batches of JAX arrays. JAX has no data type for datasets, so this is an iterable."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from babel_dl.backend import device_in_force, load_backend
from babel_dl.backend.contract import Datasets
from babel_dl_jax.creation import place
from babel_dl_jax.dtypes import check_host_dtype


class DeviceBatches:
    """Batches on the device, each a pair of named tuples of arrays. A `for` loop is the next epoch.

    JAX sends a batch while it computes, and nothing waits for it here.

    Args:
        loader: What `to_dataloader` gives.
        device: Where the batches go: `"cpu"`, `"cuda:0"`, ...

    Attributes:
        loader: For its epoch and its state.
    """

    def __init__(self, loader: Any, device: str) -> None:
        self.loader = loader
        self.device = device

    def __len__(self) -> int:
        """How many batches an epoch has."""
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        """The next epoch.

        Yields:
            Input and output, named tuples of JAX arrays.

        Raises:
            DataError: A getter or a transformer failed.
            DTypeError: An array has 64 bits while JAX is switched to 32.
        """
        for inp, outp in self.loader:
            yield type(inp)(*map(self._send, inp)), type(outp)(*map(self._send, outp))

    def _send(self, array: np.ndarray) -> jax.Array:
        check_host_dtype(array.dtype)
        return place(array, self.device)


def dataset_bridge(dataset: Any, device: str | None = None, **options: Any) -> DeviceBatches:
    """The dataset as batches of JAX arrays.

    Args:
        dataset: A dataset of babel_dl.
        device: Where the batches go; `None` for the device in force.
        options: The arguments of `to_dataloader`.

    Raises:
        DataError: The dataset is empty.
    """
    return DeviceBatches(dataset.to_dataloader(**options), device or device_in_force(load_backend("jax")))


class JaxDatasets(Datasets):
    """Ways out for data."""

    def dataset_bridge(self, dataset: Any, seed: int = 0, **options: Any) -> Any:
        """See the function of this name."""
        return dataset_bridge(dataset, seed=seed, **options)
