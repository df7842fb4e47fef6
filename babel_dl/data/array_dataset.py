"""Datasets whose samples lie in arrays, in memory or mapped from disk; whole batches are gathered at once."""

from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from babel_dl.core.random import current_seed
from babel_dl.data.batch import as_array
from babel_dl.data.batch_transformer import is_vectorised, rows_of, transform_batch
from babel_dl.data.dataset import Dataset
from babel_dl.data.fingerprint import digest, fingerprint
from babel_dl.data.mapped import pickle_column, unpickle_column
from babel_dl.data.order import batch_indices
from babel_dl.data.streams import SampleStreams
from babel_dl.data.transformer import Sample
from babel_dl.errors import ArgumentError, DataError

Column = np.ndarray | list[np.ndarray]
"""All values of a field: one array if they have one shape, else a list of arrays."""

_BLOCK = 1024  # samples that go through vectorised transformers at once when they are put into memory


class _KnownRows(NamedTuple):
    """What the tokens were when their rows were last looked up, so that a batch need not look again."""

    tokens: Sequence[Any]
    rows: np.ndarray


class ArrayDataset(Dataset):
    """Samples from arrays whose first axis counts the samples. The arrays are not copied, and memory-mapped ones stay on disk.

        ArrayDataset(NetworkInput(image=images), NetworkOutput(class_id=labels))

    Args:
        inputs: Named tuple of arrays, or of lists of arrays where shapes differ.
        outputs: The same for the wanted outputs.
        config: The configuration of the project; `train_batch_size` is the default size of batches.
        version: A text that changes with the content; `None` for the digest of the arrays, computed when it is asked for.
        tokens: One token for each row, for `filter` and for messages; `None` for 0, 1, 2, ...

    Shapes:
        each array: (samples, *shape of the field).

    Raises:
        ArgumentError: An argument is no named tuple, or the arrays do not count the same number of samples.
    """

    def __init__(
        self, inputs: Any, outputs: Any, config: Any = None, version: str | None = None, tokens: Sequence[Any] | None = None
    ) -> None:
        for name, part in (("inputs", inputs), ("outputs", outputs)):
            if not isinstance(part, tuple) or not hasattr(part, "_fields"):
                raise ArgumentError(f"ArrayDataset: {name} is a {type(part).__name__}, and must be a named tuple of arrays.")
        self._inputs, self._outputs = _as_columns(inputs), _as_columns(outputs)
        super().__init__(config, type(inputs), type(outputs))
        num_samples = self._count()
        self._stated_version = version
        self._known_rows: _KnownRows | None = None
        self._row_of = None if tokens is None else {token: row for row, token in enumerate(tokens)}
        self.all_sample_tokens = range(num_samples) if tokens is None else tokens

    def _count(self) -> int:
        counts = {
            field: len(column) for part in (self._inputs, self._outputs) for field, column in zip(part._fields, part, strict=True)
        }
        if len(set(counts.values())) > 1:
            raise ArgumentError(f"ArrayDataset: the arrays hold different numbers of samples: {counts}. They must agree.")
        if not counts:
            raise ArgumentError("ArrayDataset: the named tuples have no fields. Hand over at least one array.")
        return next(iter(counts.values()))

    def _get_version(self) -> str:
        if self._stated_version is None:
            self._stated_version = digest(*map(fingerprint, (*self._inputs, *self._outputs)))
        return self._stated_version

    def _check_getters(self) -> None:
        """The arrays are the getters."""

    def _raw_sample(self, token: Any) -> Sample:
        row = self._row(token)
        return _part_of(self._inputs, row), _part_of(self._outputs, row)

    def _row(self, token: Any) -> int:
        row = token if self._row_of is None else self._row_of.get(token)
        num_rows = self._num_rows()
        position = row if isinstance(row, (int, np.integer)) else -1
        if not 0 <= position < num_rows:
            raise DataError(
                f"{type(self).__name__} has no row for the sample token {token!r}; it holds {num_rows} rows.\n"
                f"  Set all_sample_tokens to some of the tokens it was made with."
            )
        return int(position)

    def cached(self) -> "ArrayDataset":
        """Itself, if no transformer stands before the cache; else as `Dataset.cached`."""
        return hold_in_memory(self) if self.transformers else self

    @property
    def is_gathered(self) -> bool:
        """Whether no transformer has to see each sample: there is none, or all are vectorised and the samples of a field have one shape."""
        transformers = (*self.transformers, *self.realtime_transformers)
        return not transformers or (self.has_one_shape and all(map(is_vectorised, transformers)))

    def gather(self, indices: np.ndarray, epoch: int = 0, seed: int | None = None) -> Sample:
        """A whole batch at once, behind all transformers.

        Args:
            indices: Sample indices, int64, from 0.
            epoch: The epoch, from 0; it decides what random transformers draw.
            seed: The seed; `None` for the seed in force.

        Returns:
            Named tuples of new arrays.

        Raises:
            DataError: The samples of a ragged field differ in shape, a token has no row, or a transformer failed.
        """
        content = self.stored_samples(indices)
        if isinstance(content, tuple) and not self.realtime_transformers:
            return content
        streams = SampleStreams(current_seed() if seed is None else seed, epoch, indices)
        return transform_batch(self.realtime_transformers, content, self._tokens_of(indices), streams)

    def gather_each(self, parts: Iterator[np.ndarray], epoch: int, seed: int) -> Generator[Sample, None, None]:
        """Batch after batch, as `gather`; what does not change between two batches is done once.

        Args:
            parts: The sample indices of each batch, int64, from 0 and below the number of samples.
            epoch: The epoch, from 0.
            seed: The seed.

        Yields:
            Named tuples of new arrays.

        Raises:
            DataError: As `gather`.
        """
        if not self.has_one_shape or self.transformers or self.realtime_transformers:
            yield from super().gather_each(parts, epoch, seed)
            return
        new, input_kind, output_kind = tuple.__new__, type(self._inputs), type(self._outputs)
        inputs, outputs = _gathers_of(self._inputs), _gathers_of(self._outputs)
        known_rows = self._known_rows_or_none()
        for indices in parts:
            rows = indices if known_rows is None else known_rows[indices]
            # clipping finds nothing to clip, and spares numpy a check and a copy
            columns = [get(rows, 0, None, "clip") for get in inputs], [get(rows, 0, None, "clip") for get in outputs]
            yield new(input_kind, columns[0]), new(output_kind, columns[1])

    def stored_samples(self, indices: np.ndarray) -> Sample | list[Sample]:
        """As `Dataset.stored_samples`; a batch of new arrays where no transformer before the cache has to see each sample.

        Args:
            indices: Sample indices, int64, from 0.

        Raises:
            DataError: A token has no row, or a transformer failed.
        """
        if not self.has_one_shape or not all(map(is_vectorised, self.transformers)):
            return super().stored_samples(indices)
        known_rows = self._known_rows_or_none()
        rows = indices if known_rows is None else known_rows[indices]
        inputs, outputs = ([get(rows, 0) for get in _gathers_of(part)] for part in (self._inputs, self._outputs))
        batch = self._inputs._make(inputs), self._outputs._make(outputs)
        return transform_batch(self.transformers, batch, self._tokens_of(indices)) if self.transformers else batch

    def _known_rows_or_none(self) -> np.ndarray | None:
        """The row of each sample; None where they are the indices."""
        tokens, num_rows = self.all_sample_tokens, self._num_rows()
        if self._row_of is None and isinstance(tokens, range) and tokens == range(num_rows):
            return None
        known = self._known_rows
        if known is None or known.tokens is not tokens or len(known.rows) != len(tokens):
            known = self._known_rows = _KnownRows(tokens, np.asarray([self._row(token) for token in tokens], np.int64))
        return known.rows

    def _tokens_of(self, indices: np.ndarray) -> list[Any]:
        tokens = self.all_sample_tokens
        return [tokens[index] for index in indices.tolist()]

    @property
    def has_one_shape(self) -> bool:
        """Whether every field is one array."""
        return not any(isinstance(column, list) for column in (*self._inputs, *self._outputs))

    def _num_rows(self) -> int:
        return len(self._inputs[0] if self._inputs else self._outputs[0])

    def __getstate__(self) -> dict[str, Any]:
        """For worker processes: memory-mapped arrays travel as the place in their file."""
        state = self.__dict__.copy()
        for name in ("_inputs", "_outputs"):
            state[name] = type(state[name])(*map(pickle_column, state[name]))
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Maps the files again."""
        for name in ("_inputs", "_outputs"):
            state[name] = type(state[name])(*map(unpickle_column, state[name]))
        self.__dict__.update(state)


def hold_in_memory(dataset: Dataset) -> ArrayDataset:
    """All samples of a dataset in arrays, behind its `transformers`, with a copy of its `realtime_transformers`.

    Args:
        dataset: Any dataset.

    Raises:
        DataError: A getter or a transformer failed; it and the sample token are named. Or there are no samples.
    """
    tokens = dataset.all_sample_tokens
    if not len(tokens):
        raise DataError(f"{type(dataset).__name__} has no samples to hold in memory. Check all_sample_tokens, and the filters.")
    blocks = [dataset.stored_samples(block) for block in batch_indices(np.arange(len(tokens)), _BLOCK, drop_last=False)]
    inputs, outputs = _joined(blocks) or _transposed([sample for block in blocks for sample in _samples_of(block)])
    held = ArrayDataset(inputs, outputs, dataset.config, tokens=_named_rows(tokens))
    held.realtime_transformers = list(dataset.realtime_transformers)
    return held


def _joined(blocks: Sequence[Sample | list[Sample]]) -> Sample | None:
    """Batches as one; None where there are lists of samples among them, or batches that are not alike."""
    batches = [block for block in blocks if isinstance(block, tuple)]
    if len(batches) < len(blocks) or len({tuple(map(_kind, batch)) for batch in batches}) > 1:
        return None
    inputs, outputs = ([batch[place] for batch in batches] for place in (0, 1))
    return _concatenated(inputs), _concatenated(outputs)


def _concatenated(parts: list[Any]) -> Any:
    return type(parts[0])(*map(np.concatenate, zip(*parts, strict=True)))


def _kind(part: Any) -> tuple[Any, ...]:
    return type(part), *((array.shape[1:], array.dtype) for array in part)


def _samples_of(block: Sample | list[Sample]) -> list[Sample]:
    if isinstance(block, list):
        return block
    return [rows_of(block, place) for place in range(len((*block[0], *block[1])[0]))]


def _named_rows(tokens: Sequence[Any]) -> Sequence[Any] | None:
    if isinstance(tokens, range) and tokens == range(len(tokens)):
        return None
    try:
        hash(tuple(tokens))
    except TypeError:  # lists or dicts as tokens: their places stand for them
        return None
    return tokens


def _transposed(samples: list[Sample]) -> Sample:
    inputs, outputs = ([sample[place] for sample in samples] for place in (0, 1))
    return _lists(inputs), _lists(outputs)


def _lists(parts: list[Any]) -> Any:
    return type(parts[0])(*([getattr(part, field) for part in parts] for field in type(parts[0])._fields))


def _as_columns(part: Any) -> Any:
    columns = []
    for field, values in zip(part._fields, part, strict=True):
        try:
            column = _as_column(values)
        except (ValueError, TypeError) as error:
            raise ArgumentError(f"ArrayDataset: the field {field!r} cannot be an array: {error}. Hand over arrays of numbers.") from error
        if isinstance(column, np.ndarray) and column.ndim == 0:
            raise ArgumentError(f"ArrayDataset: the field {field!r} is one value. It must be an array whose first axis counts the samples.")
        columns.append(column)
    return type(part)(*columns)


def _as_column(values: Any) -> Column:
    if isinstance(values, np.memmap):
        return values
    if isinstance(values, (list, tuple)) and values and isinstance(values[0], np.ndarray):
        arrays = [as_array(value) for value in values]
        is_even = len({(array.shape, array.dtype) for array in arrays}) == 1
        return np.stack(arrays) if is_even else arrays
    return as_array(values)


def _part_of(part: Any, row: int) -> Any:
    return type(part)(*(np.array(column[row]) for column in part))


def _gathers_of(part: Any) -> list[Callable[..., np.ndarray]]:
    """What takes rows of each column, called as `numpy.ndarray.take`."""
    gathers = []
    for column in part:
        array = np.asarray(column)  # a memory-mapped array takes as slowly as its class says, and gives its class
        is_plain = array.flags.c_contiguous and array.flags.aligned and array.dtype.isnative
        gathers.append(array.take if is_plain else partial(_pick, array))
    return gathers


def _pick(array: np.ndarray, rows: np.ndarray, *_: Any) -> np.ndarray:
    """Rows of an array that `take` would copy as a whole first, which a memory-mapped one need not have room for."""
    return as_array(array[rows])
