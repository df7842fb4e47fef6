"""What a trainer is fed with: loaders, and a batch to build modules on."""

from __future__ import annotations

from typing import Any

from babel_dl.data import Dataset
from babel_dl.errors import DataError


def as_loader(data: Any) -> Any:
    """A loader for a dataset; a loader is returned as it is.

    Raises:
        DataError: It is neither.
    """
    if isinstance(data, Dataset):
        return data.to_dataloader()
    if not hasattr(data, "batches"):
        raise DataError(
            f"A trainer needs a Dataset or its loader, and got {class_name(data)}. Make one: dataset.to_dataloader().\n"
            f"  For arrays: ArrayDataset(Input(x=x), Output(y=y)) from babel_dl.data, with named tuples of yours; or\n"
            f"  babel_dl.fit((x, y), model, ...). Datasets and loaders of a framework are not read: give their arrays, or derive from\n"
            f"  babel_dl.data.Dataset."
        )
    return data


def class_name(thing: Any) -> str:
    """The name of an object's class with its module, but of a builtin without it."""
    kind = type(thing)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def example_batch(loader: Any) -> Any:
    """A batch of one sample, to build modules with; read in this process, whatever workers the loader has.

    Raises:
        DataError: The dataset is empty, or the sample cannot be made.
    """
    if isinstance(getattr(loader, "dataset", None), Dataset):
        loader = loader.dataset.to_dataloader(batch_size=1, shuffle=False, prefetch=0)
    return next(iter(loader.batches(0, 0)))
