"""From the data that a user has to the loaders of a training: named sources, arrays, datasets, loaders."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from babel_dl.core.random import current_seed, host_generator
from babel_dl.core.registry import TRANSFORMERS
from babel_dl.data import SPLIT_DEV, SPLIT_TRAIN, ArrayDataset, DataLoader, Dataset, load_dataset
from babel_dl.data.loader import DEFAULT_BATCH_SIZE
from babel_dl.data.transformer import is_random
from babel_dl.errors import ArgumentError
from babel_dl.training.inputs import class_name, example_batch
from babel_dl.training.short_form.resolving import NAME, construct, make, title_of

ArrayInput = namedtuple("ArrayInput", ["x"])
"""The input of a dataset that was made of one array without a name."""

ArrayOutput = namedtuple("ArrayOutput", ["y"])
"""The output of a dataset that was made of one array without a name."""

NoOutput = namedtuple("NoOutput", [])
"""The output of a dataset that was made of inputs alone."""


@dataclass(frozen=True)
class Feed:
    """What a training is fed with.

    Attributes:
        train: The loader to train on.
        dev: The loader to evaluate on; None for none.
        settings: What was chosen, as plain data.
    """

    train: Any
    dev: Any | None
    settings: dict[str, Any]


def feed(data: Any, dev_data: Any | None, dev_fraction: float | None, batch_size: int | None, transform: Any) -> Feed:
    """The loaders for what a user has.

    Args:
        data: See `babel_dl.fit`.
        dev_data: What to evaluate on, in the same forms; None for what `data` brings.
        dev_fraction: Which part of the training samples to hold out instead; above 0 and below 1.
        batch_size: Samples in a batch; None for the dataset's own, or else 32.
        transform: A transformer, or several, by name, class, dict or as they are.

    Raises:
        ArgumentError: The data have no form that is known, several choices contradict each other, or a transformer is unknown.
        DataError: A dataset is empty, or a sample cannot be made.
    """
    if dev_data is not None and dev_fraction is not None:
        raise ArgumentError("fit got dev_data and dev_fraction. Give one: data to evaluate on, or the part of the samples to hold out.")
    train, brought, source = _of(data, with_dev=dev_data is None and dev_fraction is None)
    if brought is not None and not (dev_data is None and dev_fraction is None):
        raise ArgumentError("fit got data to evaluate on twice: beside the training data, and as dev_data or dev_fraction. Leave one away.")
    dev = _of(dev_data, with_dev=False, who="dev_data", split=SPLIT_DEV)[0] if dev_data is not None else brought
    if dev_fraction is not None:
        train, dev = _held_out(train, dev_fraction)
    made = [make(TRANSFORMERS, one, _fields_of(train)) for one in _as_list(transform)]
    transformers = [one.part for one in made]
    train_loader = _loader(_transformed(train, transformers, True), batch_size, shuffle=True)
    dev_loader = None if dev is None else _loader(_transformed(dev, transformers, False), batch_size, shuffle=False)
    inputs, outputs = example_batch(train_loader)
    settings = {
        "source": source,
        "train_samples": getattr(train_loader, "num_samples", None),
        "dev_samples": getattr(dev_loader, "num_samples", None),
        "batch_size": getattr(train_loader, "batch_size", None),
        "steps_per_epoch": len(train_loader),
        "shuffle": getattr(train_loader, "shuffle", None),
        "drop_last": getattr(train_loader, "drop_last", None),
        "inputs": _described(inputs),
        "outputs": _described(outputs),
        "transform": [{NAME: one.title, **one.settings} for one in made],
    }
    return Feed(train_loader, dev_loader, settings)


def _of(data: Any, with_dev: bool, who: str = "data", split: str = SPLIT_TRAIN) -> tuple[Any, Any | None, str]:
    """Training data, the data to evaluate on that came with them, and where they come from."""
    if isinstance(data, str) or (isinstance(data, Mapping) and isinstance(data.get(NAME), str)):
        options = {NAME: data} if isinstance(data, str) else dict(data)
        title = f"The data source {options[NAME]!r}"
        dev = construct(load_dataset, {**options, "split": SPLIT_DEV}, title, title).part if with_dev else None
        return construct(load_dataset, {"split": split, **options}, title, title).part, dev, str(options[NAME])
    if _is_ready(data):
        return data, None, title_of(getattr(data, "dataset", data))
    if isinstance(data, tuple) and not hasattr(data, "_fields"):
        if len(data) != 2:
            raise ArgumentError(f"fit got a tuple of {len(data)} as {who}. It takes (x, y), ((x, y), (x_dev, y_dev)), or (train, dev).")
        first, second = data
        if _is_ready(first) and _is_ready(second):
            return first, second, title_of(getattr(first, "dataset", first))
        if _is_pair(first) and _is_pair(second):
            return _dataset(*first), _dataset(*second), "arrays"
        if _is_pair(first) or _is_pair(second):
            place, other = (1, second) if _is_pair(first) else (0, first)
            pairs = "Write ((x, y), (x_dev, y_dev)), or (x, y)."
            raise ArgumentError(f"{who} is a pair of arrays beside a {class_name(other)}, {who}[{place}]. {pairs}")
        return _dataset(first, second), None, "arrays"
    _check_list(data, who)
    _check_readable(data, who)
    return _dataset(data, None), None, "arrays"


def _check_list(data: Any, who: str) -> None:
    """Refuses lists that look like inputs and outputs, which would be read as one array.

    Raises:
        ArgumentError: It is one.
    """
    if isinstance(data, list) and not _are_numbers(data):
        pair = "For inputs and outputs write a tuple of arrays: fit((x, y), ...)."
        raise ArgumentError(f'{who} is a list, which is one array here. {pair} For inputs alone: {{"x": [...]}}.')


def _check_readable(data: Any, who: str) -> None:
    """Refuses what hands out samples in a way that is not read here, and lists that cannot be one array.

    Raises:
        ArgumentError: It is one of these.
    """
    if isinstance(data, list) and len({one.ndim for one in data if isinstance(one, np.ndarray)}) > 1:
        pairs = "Inputs and outputs are a tuple: ((x, y), (x_dev, y_dev))."
        raise ArgumentError(f"{who} is a list of arrays that differ in the number of axes, and a list is one array here. {pairs}")
    is_known = isinstance(data, (np.ndarray, list, tuple, Mapping, range)) or hasattr(data, "__array__")
    if not is_known and (hasattr(data, "__getitem__") or hasattr(data, "__iter__")):
        size = getattr(data, "batch_size", None)
        form = f"fit((x, y), ..., batch_size={size if isinstance(size, int) else DEFAULT_BATCH_SIZE})"
        raise ArgumentError(f"{who} is a {class_name(data)}. Give the arrays, {form}, or a babel_dl.data.Dataset.")


def _are_numbers(data: Any) -> bool:
    """Whether lists hold nothing but numbers, at any depth."""
    if isinstance(data, list):
        return all(map(_are_numbers, data))
    return isinstance(data, (int, float, str, np.generic))  # of texts the dataset says more


def _is_ready(data: Any) -> bool:
    return isinstance(data, Dataset) or hasattr(data, "batches")


def _is_pair(data: Any) -> bool:
    return isinstance(data, tuple) and len(data) == 2 and not hasattr(data, "_fields")


def _dataset(inputs: Any, outputs: Any) -> ArrayDataset:
    for name, part in (("x", inputs), ("y", outputs)):
        if isinstance(part, (str, Dataset)) or hasattr(part, "batches"):
            what = "(train, dev) are two datasets, (x, y) two arrays."
            raise ArgumentError(f"fit got {type(part).__name__} in the place of the array {name}. {what}")
        _check_readable(part, name)
    return ArrayDataset(_named(inputs, ArrayInput, "Inputs"), NoOutput() if outputs is None else _named(outputs, ArrayOutput, "Outputs"))


def _named(values: Any, bare: type[Any], kind: str) -> Any:
    """A named tuple of arrays: a named tuple as it is, of a dict its entries, of an array that array."""
    if isinstance(values, tuple) and hasattr(values, "_fields"):
        return values
    if not isinstance(values, Mapping):
        return bare(values if isinstance(values, (np.ndarray, list)) else np.asarray(values))
    try:
        fields = namedtuple(kind, list(values))
    except (ValueError, TypeError) as error:
        raise ArgumentError(f"fit names the arrays of a dict by its keys, and {list(values)} will not do: {error}.") from error
    return fields(**values)


def _held_out(train: Any, fraction: float) -> tuple[Dataset, Dataset]:
    if not isinstance(train, Dataset):
        raise ArgumentError("fit cannot hold samples out of a loader. Give the dataset and batch_size, or dev_data.")
    if not 0.0 < fraction < 1.0:
        raise ArgumentError(f"fit needs dev_fraction above 0 and below 1, and got {fraction!r}.")
    tokens = train.all_sample_tokens
    count = round(len(tokens) * fraction)
    if not 0 < count < len(tokens):
        raise ArgumentError(f"fit cannot hold {fraction:g} of {len(tokens)} samples out: that leaves one of the two without any.")
    words = host_generator(current_seed(), "dev split").bit_generator.random_raw(len(tokens))
    chosen = set(np.argsort(words, kind="stable")[:count].tolist())
    return _at(train, [place for place in range(len(tokens)) if place not in chosen]), _at(train, sorted(chosen))


def _at(dataset: Dataset, places: Sequence[int]) -> Dataset:
    tokens = dataset.all_sample_tokens
    return _view(dataset, [tokens[place] for place in places])


def _view(dataset: Dataset, tokens: Sequence[Any]) -> Dataset:
    """The same dataset with lists of transformers of its own: what is appended to them stays in this training."""
    view = dataset.filter(lambda token: True)
    view.all_sample_tokens = tokens
    return view


def _as_list(transform: Any) -> list[Any]:
    if transform is None:
        return []
    return list(transform) if isinstance(transform, (list, tuple)) else [transform]


def _fields_of(data: Any) -> dict[str, Any]:
    """The fields that a transformer changes if nobody says which: the only input."""
    kind = getattr(data, "dataset_input_type", None)
    return {"fields": kind._fields} if kind is not None and len(kind._fields) == 1 else {}


def _transformed(data: Any, transformers: Sequence[Any], is_training: bool) -> Any:
    """The data behind the transformers. What draws, and what comes behind it, runs every time, and in training alone."""
    if not transformers:
        return data
    if not isinstance(data, Dataset):
        advice = "Give the dataset and batch_size, or append to its transformers."
        raise ArgumentError(f"fit cannot transform what a loader hands over. {advice}")
    first_random = next((place for place, one in enumerate(transformers) if is_random(one)), len(transformers))
    fixed = transformers[:first_random] if is_training else [one for one in transformers if not is_random(one)]
    view = _view(data, data.all_sample_tokens)
    view.transformers.extend(fixed)
    if fixed and isinstance(view, ArrayDataset):
        view = view.cached()  # samples that lie in memory are transformed once, and gathered as before
    view.realtime_transformers.extend(transformers[first_random:] if is_training else [])
    return view


def _loader(data: Any, batch_size: int | None, shuffle: bool) -> Any:
    if isinstance(data, Dataset):
        return DataLoader(data, batch_size, shuffle=shuffle)
    if batch_size is not None and batch_size != getattr(data, "batch_size", None):
        raise ArgumentError(f"fit got batch_size={batch_size} and a loader, which has its own. Give the dataset instead, or leave it away.")
    return data


def _described(part: Any) -> dict[str, str]:
    """The shape and type of each field, without the batch axis: `(28, 28, 1) uint8`."""
    return {name: f"{tuple(value.shape[1:])} {value.dtype}" for name, value in part._asdict().items() if isinstance(value, np.ndarray)}
