"""Datasets whose samples lie in arrays, in memory or mapped from disk; whole batches are gathered at once."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from babel_dl.data.batch import as_array, stack_samples
from babel_dl.data.dataset import Dataset
from babel_dl.data.fingerprint import digest, fingerprint
from babel_dl.data.mapped import pickle_column, unpickle_column
from babel_dl.data.transformer import Sample
from babel_dl.errors import ArgumentError, DataError

Column = np.ndarray | list[np.ndarray]
"""All values of a field: one array if they have one shape, else a list of arrays."""


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
        """Whether no transformer has to see each sample."""
        return not self.transformers and not self.realtime_transformers

    def gather(self, indices: np.ndarray) -> Sample:
        """A whole batch at once.

        Args:
            indices: Sample indices, int64.

        Returns:
            Named tuples of new arrays.

        Raises:
            DataError: The samples of a ragged field differ in shape, or a token has no row.
        """
        tokens = self.all_sample_tokens
        if self._row_of is None and tokens == range(self._num_rows()):
            rows = indices
        else:
            rows = np.asarray([self._row(tokens[index]) for index in indices.tolist()], np.int64)
        if any(isinstance(column, list) for column in (*self._inputs, *self._outputs)):
            chosen = [tokens[index] for index in indices.tolist()]
            return stack_samples([(_part_of(self._inputs, row), _part_of(self._outputs, row)) for row in rows], chosen)
        return _take(self._inputs, rows), _take(self._outputs, rows)

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
    samples = [dataset.stored_sample(token) for token in tokens]
    if not samples:
        raise DataError(f"{type(dataset).__name__} has no samples to hold in memory. Check all_sample_tokens, and the filters.")
    inputs, outputs = ([sample[place] for sample in samples] for place in (0, 1))
    held = ArrayDataset(_transposed(inputs), _transposed(outputs), dataset.config, tokens=_named_rows(tokens))
    held.realtime_transformers = list(dataset.realtime_transformers)
    return held


def _named_rows(tokens: Sequence[Any]) -> Sequence[Any] | None:
    if isinstance(tokens, range) and tokens == range(len(tokens)):
        return None
    try:
        hash(tuple(tokens))
    except TypeError:  # lists or dicts as tokens: their places stand for them
        return None
    return tokens


def _transposed(parts: list[Any]) -> Any:
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


def _take(part: Any, rows: np.ndarray) -> Any:
    return type(part)(*(np.take(np.asarray(column), rows, axis=0) for column in part))
