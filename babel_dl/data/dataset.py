"""Data as a list of samples: tokens say which, getters read the fields, transformers make them fit the network."""

import operator
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from babel_dl.backend import PYTORCH_BACKEND, TF_BACKEND
from babel_dl.core.random import current_seed
from babel_dl.data.batch import as_arrays
from babel_dl.data.bridges import to_native
from babel_dl.data.cache import SampleCache
from babel_dl.data.fields import NamedTupleType, check_named_tuple_type
from babel_dl.data.fingerprint import code_version, fingerprint_arguments
from babel_dl.data.loader import DataLoader, check_length
from babel_dl.data.transformer import Sample, apply_transformers
from babel_dl.errors import DataError

if TYPE_CHECKING:
    from babel_dl.data.array_dataset import ArrayDataset


class Dataset:
    """Samples of two named tuples, the input of the network and the output that is wanted of it.

    A subclass says in its constructor which samples there are, and has a getter for each field:

        class Words(Dataset):
            def __init__(self, config):
                super().__init__(config, dataset_input_type=NetworkInput, dataset_output_type=NetworkOutput)
                self.all_sample_tokens = ["cat", "dog"]      # any sequence; a token is what the getters need to find the sample

            def get_image(self, sample_token):
                return read_image(f"{sample_token}.png")

    A sample goes: getters -> `transformers` -> cache -> `realtime_transformers` -> user. A transformer in `transformers` runs once if there
    is a cache; one in `realtime_transformers` runs every time, and may draw random numbers.

    Args:
        config: The configuration of the project; `train_batch_size` is the default size of batches. All fields are part of the cache's key.
        dataset_input_type: Named tuple class of the input.
        dataset_output_type: Named tuple class of the output.
        cache_dir: A folder where samples are kept on disk after `transformers`; made if missing. `None` for no cache on disk.

    Attributes:
        transformers: What runs before the cache, first to last.
        realtime_transformers: What runs after the cache, first to last.

    Raises:
        ArgumentError: An input or output type is not a named tuple class.
        DataError: A field has no getter; class, field and the method to write are named.
    """

    _arguments: str

    def __new__(cls, *args: Any, **kwargs: Any):
        """Sees what a subclass is made with, such as a split or a folder: it is part of the cache's key."""
        dataset = super().__new__(cls)
        dataset._arguments = fingerprint_arguments(args, kwargs)
        return dataset

    def __init__(
        self,
        config: Any = None,
        dataset_input_type: NamedTupleType | None = None,
        dataset_output_type: NamedTupleType | None = None,
        cache_dir: str | Path | None = None,
    ) -> None:
        owner = type(self).__name__
        self.config = config
        self.dataset_input_type = check_named_tuple_type(dataset_input_type, owner, "dataset_input_type")
        self.dataset_output_type = check_named_tuple_type(dataset_output_type, owner, "dataset_output_type")
        self.transformers: list[Callable[..., Sample]] = []
        self.realtime_transformers: list[Callable[..., Sample]] = []
        self.cache_dir = None if cache_dir is None else Path(cache_dir)
        self._tokens: Sequence[Any] | None = None
        self._sample_cache: SampleCache | None = None
        self._check_getters()

    @property
    def all_sample_tokens(self) -> Sequence[Any]:
        """One token for each sample. Set it to any sequence; something that can be walked through only once becomes a list.

        Raises:
            DataError: It was never set.
        """
        if self._tokens is None:
            raise DataError(
                f"{type(self).__name__} has no samples yet: its constructor sets no all_sample_tokens.\n"
                f"  Set it to what the getters take: self.all_sample_tokens = range(1000), or a list of file names."
            )
        return self._tokens

    @all_sample_tokens.setter
    def all_sample_tokens(self, tokens: Any) -> None:
        """Any iterable of tokens; what is no sequence is read into a list at once."""
        is_sequence = hasattr(tokens, "__len__") and hasattr(tokens, "__getitem__") and not hasattr(tokens, "keys")
        self._tokens = tokens if is_sequence else list(tokens)

    @property
    def version(self) -> str:
        """A text that changes whenever the content of the source does; part of the cache's key. Override `_get_version` to set it."""
        return self._get_version()

    def _get_version(self) -> str:
        return code_version(type(self))

    def __len__(self) -> int:
        """How many samples there are."""
        return len(self.all_sample_tokens)

    def __getitem__(self, index: int) -> Sample:
        """The sample as it is in epoch 0 under the seed in force.

        Args:
            index: 0 to `len(self) - 1`; negative numbers count from the end.

        Raises:
            IndexError: There is no such sample.
            DataError: A getter or a transformer failed; it and the sample token are named.
        """
        return self.sample(index)

    def __iter__(self) -> Iterator[Sample]:
        """All samples, in their own order."""
        return (self.sample(index) for index in range(len(self.all_sample_tokens)))

    def sample(self, index: int, epoch: int = 0, seed: int | None = None) -> Sample:
        """The sample as the network sees it in an epoch: a function of its arguments alone.

        Args:
            index: 0 to `len(self) - 1`; negative numbers count from the end.
            epoch: The epoch, from 0; it decides what random transformers draw.
            seed: The seed; `None` for the seed in force.

        Returns:
            Input and output, named tuples of arrays.

        Raises:
            IndexError: There is no such sample.
            DataError: A getter or a transformer failed; it and the sample token are named.
        """
        position, tokens = operator.index(index), self.all_sample_tokens
        if not -len(tokens) <= position < len(tokens):
            raise IndexError(f"{type(self).__name__} has {len(tokens)} samples, and no index {position}.")
        position %= len(tokens)
        token = tokens[position]
        stored = self.stored_sample(token)
        if not self.realtime_transformers:
            return stored
        key = (current_seed() if seed is None else int(seed), int(epoch), position)
        return as_arrays(apply_transformers(self.realtime_transformers, stored, token, key), token)

    def stored_sample(self, token: Any) -> Sample:
        """The sample behind `transformers` and before `realtime_transformers`, from the cache on disk if there is one.

        Args:
            token: One of `all_sample_tokens`.

        Returns:
            Input and output, named tuples of arrays that the caller may change.

        Raises:
            DataError: A getter or a transformer failed; it and the sample token are named.
        """
        if self.cache_dir is None:
            return self._computed_sample(token)
        if self._sample_cache is None:
            self._sample_cache = SampleCache(self.cache_dir)
        return self._sample_cache.sample(self, token, self._computed_sample)

    def stored_samples(self, indices: np.ndarray) -> Sample | list[Sample]:
        """Some samples behind `transformers` and before `realtime_transformers`.

        Args:
            indices: Sample indices, int64, from 0.

        Returns:
            A list of them; or a batch of new arrays where they lie in arrays.

        Raises:
            DataError: As `stored_sample`.
        """
        tokens = self.all_sample_tokens
        return [self.stored_sample(tokens[index]) for index in indices.tolist()]

    def filter(self, predicate: Callable[[Any], bool]) -> "Dataset":
        """A dataset of the samples whose token passes. This one stays as it is; the lists of transformers are copied.

        Args:
            predicate: From a token to whether its sample stays.

        Raises:
            DataError: The class overrides `__len__` so that it does not count the tokens.
        """
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__)
        view.transformers, view.realtime_transformers = list(self.transformers), list(self.realtime_transformers)
        view._sample_cache = None
        view.all_sample_tokens = [token for token in self.all_sample_tokens if predicate(token)]
        check_length(view)
        return view

    def cached(self) -> "ArrayDataset":
        """All samples read once and held in memory, behind `transformers` and before a copy of `realtime_transformers`.

        Raises:
            DataError: A getter or a transformer failed; it and the sample token are named. Or there are no samples.
        """
        from babel_dl.data.array_dataset import hold_in_memory  # it derives from this class

        return hold_in_memory(self)

    @property
    def has_one_shape(self) -> bool:
        """Whether all samples of a field are known to have one shape, so that any of them fit into one array."""
        return False

    @property
    def is_gathered(self) -> bool:
        """Whether `gather` can take whole batches at once, without Python code for each sample."""
        return False

    def gather(self, indices: np.ndarray, epoch: int = 0, seed: int | None = None) -> Sample:
        """A whole batch at once; only where `is_gathered`.

        Args:
            indices: Sample indices, int64.
            epoch: The epoch, from 0.
            seed: The seed; `None` for the seed in force.

        Raises:
            DataError: The samples are read one by one.
        """
        asked = f"the {len(indices)} of epoch {epoch} and seed {seed}"
        raise DataError(f"{type(self).__name__} reads its samples one by one, also {asked}. Call cached() first.")

    def gather_each(self, parts: Iterator[np.ndarray], epoch: int, seed: int) -> Generator[Sample, None, None]:
        """Batch after batch, as `gather`.

        Args:
            parts: The sample indices of each batch, int64, from 0 and below the number of samples.
            epoch: The epoch, from 0.
            seed: The seed.

        Yields:
            Named tuples of new arrays.

        Raises:
            DataError: As `gather`.
        """
        yield from (self.gather(indices, epoch, seed) for indices in parts)

    def to_dataloader(
        self,
        batch_size: int | None = None,
        shuffle: bool = True,
        drop_last: bool = False,
        num_workers: int = 0,
        prefetch: int = 2,
        seed: int | None = None,
    ) -> DataLoader:
        """Batches for training; see `DataLoader` for arguments and errors."""
        return DataLoader(self, batch_size, shuffle, drop_last, num_workers, prefetch, seed)

    def to_torch(self, **options: Any) -> Any:
        """A view of this dataset as PyTorch's own `Dataset`; samples are named tuples of its tensors.

        Args:
            options: See `dataset_bridge` of the plug-in.

        Raises:
            BackendError: The framework is not installed, or broken.
        """
        return to_native(self, PYTORCH_BACKEND, **options)

    def to_tfdata(self, **options: Any) -> Any:
        """This dataset as TensorFlow's own `tf.data.Dataset`.

        Args:
            options: `batch_size` and the other arguments of `to_dataloader`; without a batch size it gives single samples.

        Raises:
            BackendError: The framework is not installed, or broken.
        """
        return to_native(self, TF_BACKEND, **options)

    def _check_getters(self) -> None:
        for field in (*self.dataset_input_type._fields, *self.dataset_output_type._fields):
            self._getter(field)

    def _getter(self, field: str) -> Callable[[Any], Any]:
        getter = getattr(self, f"get_{field}", None)
        if callable(getter):
            return getter
        kind = self.dataset_input_type if field in self.dataset_input_type._fields else self.dataset_output_type
        raise DataError(
            f"{type(self).__name__} has no getter for the field {field!r} of {kind.__name__}.\n"
            f"  Write this method into {type(self).__name__}:   def get_{field}(self, sample_token): ..."
        )

    def _computed_sample(self, token: Any) -> Sample:
        return as_arrays(apply_transformers(self.transformers, self._raw_sample(token), token), token)

    def _raw_sample(self, token: Any) -> Sample:
        return self._read(self.dataset_input_type, token), self._read(self.dataset_output_type, token)

    def _read(self, kind: NamedTupleType, token: Any) -> Any:
        values = []
        for field in kind._fields:
            try:
                value = self._getter(field)(token)
            except Exception as error:
                raise DataError(
                    f"{type(self).__name__}.get_{field} failed for the sample token {token!r}.\n  {type(error).__name__}: {error}"
                ) from error
            # a copy, because a transformer that works in place would change the source, and the next epoch would see it changed twice
            values.append(np.array(value, order="C") if isinstance(value, np.ndarray) else value)
        return kind(*values)
