"""Transformers that change a whole batch at once, and how a batch goes through a list with and without such."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from babel_dl.data.batch import Batch, as_array, as_arrays, stack_samples
from babel_dl.data.streams import SampleStreams
from babel_dl.data.transformer import Sample, Transformer, is_random, run_transformer, takes_rng
from babel_dl.errors import ArgumentError, DataError

_NAMED_TOKENS = 3


class BatchTransformer(Transformer):
    """Changes a whole batch at once. Subclasses write `batch` and `version`; a single sample goes through `batch` as a batch of one.

    A dataset of arrays whose transformers are all of this kind is gathered a batch at a time, without Python code for each sample. One that
    draws declares a keyword parameter `rng`, a `SampleStreams`: `rng.random(k)` has a row of k numbers for each sample, which depends on
    (seed, epoch, sample index) alone, and not on the batch the sample stands in:

        class Dim(BatchTransformer):
            def batch(self, inp, outp, *, rng):
                factors = 1.0 - 0.3 * rng.random(1)                      # (batch, 1)
                return inp._replace(image=inp.image * factors[:, :, None, None].astype("float32")), outp

    What becomes of a sample may depend on that sample alone, so that a sample is the same in every batch.

    Example:
        >>> from collections import namedtuple
        >>> class Halve(BatchTransformer):
        ...     def batch(self, inp, outp):
        ...         return inp._replace(image=inp.image / np.float32(2)), outp
        ...     @property
        ...     def version(self):
        ...         return "Halve"
        >>> Input, Output = namedtuple("Input", "image"), namedtuple("Output", "label")
        >>> Halve().batch(Input(np.ones((32, 4, 4, 1), "float32")), Output(np.zeros(32)))[0].image.shape
        (32, 4, 4, 1)
        >>> Halve()(Input(np.ones((4, 4, 1), "float32")), Output(0))[0].image.shape
        (4, 4, 1)
    """

    @abstractmethod
    def batch(self, inp: Any, outp: Any) -> Sample:
        """The changed batch.

        Args:
            inp: Named tuple of arrays with a leading batch axis. They may be changed in place.
            outp: The same for the output.

        Returns:
            Two named tuples of arrays with the same leading axis, with the same or other fields.
        """

    def __call__(self, inp: Any, outp: Any, *, rng: np.random.Generator | None = None) -> Sample:
        """The changed sample, as `batch` makes it; the given arrays stay as they are.

        Args:
            inp: Named tuple with the input.
            outp: Named tuple with the output.
            rng: Where the draws come from; needed if it draws.

        Raises:
            ArgumentError: It draws, and no `rng` was given.
        """
        one = [type(part)(*(np.array(as_array(value))[None] for value in part)) for part in (inp, outp)]
        if not self.is_random:
            result = self.batch(*one)
        elif rng is None:
            raise ArgumentError(f"{type(self).__name__} draws random numbers. Hand over rng=numpy.random.default_rng(seed).")
        else:
            result = self.batch(*one, rng=SampleStreams.over([rng]))  # pyright: ignore[reportCallIssue]
        return rows_of(checked_batch(result, 1, type(self).__name__), 0)

    @property
    def is_random(self) -> bool:
        """Whether `batch` draws."""
        return takes_rng(type(self).batch)


def is_vectorised(transformer: Callable[..., Sample]) -> bool:
    """Whether a transformer can change a whole batch at once: one that says `is_vectorised` is believed, else its method `batch` decides.

    A subclass that writes a `__call__` of its own and no `batch` runs sample by sample: the `batch` that it inherits does something else.
    """
    said = getattr(transformer, "is_vectorised", None)
    if said is not None:
        return bool(said)
    kind: type = type(transformer)
    for parent in kind.__mro__:
        if "batch" in vars(parent):
            return True
        if "__call__" in vars(parent):
            return False
    return False


def transform_batch(
    transformers: Sequence[Any], content: Batch | list[Sample], tokens: Sequence[Any], streams: SampleStreams | None = None
) -> Batch:
    """Runs samples through transformers in their order: at once those that are vectorised, the others one sample after the other.

    Samples that are not alike, such as pictures of different sizes, go through all transformers one after the other, until they are.

    Args:
        transformers: What to apply.
        content: A batch of new arrays, or the samples of one.
        tokens: The token of each sample, for messages.
        streams: The random numbers of each sample; `None` where nothing may be drawn.

    Returns:
        Named tuples of new arrays: the bits that each sample would have if it had gone through alone.

    Raises:
        DataError: A transformer failed or returned no sample, or the samples do not fit into one batch.
    """
    for transformer in transformers:
        draws = is_random(transformer)
        if is_vectorised(transformer):
            content = _stacked(content)
        elif isinstance(content, tuple):
            content = [rows_of(content, place) for place in range(len(tokens))]
        if isinstance(content, tuple):
            result = run_transformer(transformer, transformer.batch, draws, content, streams, _where(tokens))
            content = checked_batch(result, len(tokens), type(transformer).__name__)
        else:
            generators = streams.generators() if draws and streams is not None else [None] * len(tokens)
            content = [
                run_transformer(transformer, transformer, draws, sample, rng, f"the sample token {token!r}")
                for sample, token, rng in zip(content, tokens, generators, strict=True)
            ]
    if isinstance(content, tuple):
        return content
    return stack_samples([as_arrays(sample, token) for sample, token in zip(content, tokens, strict=True)], tokens)


def rows_of(batch: Batch, place: int) -> Sample:
    """One sample of a batch, as views of its arrays."""
    inp, outp = (type(part)(*(array[place, ...] for array in part)) for part in batch)
    return inp, outp


def checked_batch(batch: Sample, num_samples: int, owner: str) -> Batch:
    """A batch with dense arrays in the machine's byte order, which the caller may change.

    Args:
        batch: What a transformer returned.
        num_samples: How many samples there have to be.
        owner: The transformer's name, for the message.

    Raises:
        DataError: A field is no array, or its first axis does not count the samples.
    """
    inp, outp = (type(part)(*(_checked(value, name, num_samples, owner) for name, value in part._asdict().items())) for part in batch)
    return inp, outp


def _checked(value: Any, name: str, num_samples: int, owner: str) -> np.ndarray:
    if not isinstance(value, np.ndarray) or not value.ndim or len(value) != num_samples:
        came = f"of shape {value.shape}" if isinstance(value, np.ndarray) else f"as a {type(value).__name__}"
        raise DataError(
            f"{owner}.batch returned the field {name!r} {came} for a batch of {num_samples} samples.\n"
            f"  It must return arrays whose first axis counts the samples."
        )
    array = as_array(value)
    return array if array.flags.writeable else array.copy()


def _stacked(content: Batch | list[Sample]) -> Batch | list[Sample]:
    """Samples as a batch, where that changes no value: arrays and numpy's own numbers, alike in every sample."""
    if isinstance(content, tuple):
        return content
    parts = []
    for place in (0, 1):
        kinds = {type(sample[place]) for sample in content}
        columns = list(zip(*(sample[place] for sample in content), strict=True)) if len(kinds) == 1 else [()]
        if not all(_is_alike(column) for column in columns):
            return content
        parts.append(kinds.pop()(*map(np.stack, columns)))
    return parts[0], parts[1]


def _is_alike(values: Sequence[Any]) -> bool:
    return all(isinstance(value, (np.ndarray, np.generic)) for value in values) and len({(v.shape, v.dtype) for v in values}) == 1


def _where(tokens: Sequence[Any]) -> str:
    named = ", ".join(repr(token) for token in tokens[:_NAMED_TOKENS])
    return f"the batch of the sample tokens {named}{', ...' if len(tokens) > _NAMED_TOKENS else ''}"
