"""A dataset of babel_dl as TensorFlow's own."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import tensorflow as tf

from babel_dl.backend.contract import Datasets
from babel_dl.errors import ArgumentError


def dataset_bridge(dataset: Any, batch_size: int | None = None, seed: int = 0, **options: Any) -> tf.data.Dataset:
    """The dataset as a `tf.data.Dataset`, in batches that are the same as on every other backend; each iteration is the next epoch.

    Args:
        dataset: A dataset of babel_dl.
        batch_size: Samples in a batch; `None` for single samples in their own order.
        seed: The seed of order and random transformers.
        options: The other arguments of `to_dataloader`; only with a batch size.

    Returns:
        Elements are pairs of named tuples of tensors; pictures are channels last. Shapes are those of the first sample.

    Raises:
        ArgumentError: Options came without a batch size.
        DataError: The dataset is empty, or its first sample cannot be made.
    """
    loader = dataset.to_dataloader(batch_size=batch_size or 1, seed=seed, **options)
    if batch_size is not None:
        return _from_epochs(loader.batches, _signature(dataset[0], batched=True), len(loader))
    if options:
        raise ArgumentError(f"to_tfdata: {', '.join(options)} came without batch_size, which single samples do not use. Add batch_size=32.")
    return _from_epochs(lambda epoch: _samples(dataset, epoch, seed), _signature(dataset[0], batched=False), len(dataset))


def _samples(dataset: Any, epoch: int, seed: int) -> Iterator[Any]:
    return (dataset.sample(index, epoch, seed) for index in range(len(dataset)))


def _signature(sample: Any, batched: bool) -> Any:
    return tuple(type(part)(*(_spec(array, batched) for array in part)) for part in sample)


def _spec(array: Any, batched: bool) -> tf.TensorSpec:
    return tf.TensorSpec((None, *array.shape) if batched else array.shape, tf.constant(array).dtype)


def _from_epochs(elements: Callable[[int], Iterator[Any]], signature: Any, num_elements: int) -> tf.data.Dataset:
    epochs = count()
    dataset = tf.data.Dataset.from_generator(lambda: elements(next(epochs)), output_signature=signature)
    return dataset.apply(tf.data.experimental.assert_cardinality(num_elements))


class TensorFlowDatasets(Datasets):
    """Ways out for data."""

    def dataset_bridge(self, dataset: Any, seed: int = 0, **options: Any) -> Any:
        """See the function of this name."""
        return dataset_bridge(dataset, seed=seed, **options)
