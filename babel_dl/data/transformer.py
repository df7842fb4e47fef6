"""What changes a sample on its way from the getters to the network, and how a dataset applies a list of it."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from babel_dl.core.random import host_generator
from babel_dl.data.streams import STREAM
from babel_dl.errors import DataError

Sample = tuple[Any, Any]
"""The input and the output of one example, each a named tuple."""


class Transformer(ABC):
    """Changes a sample. Subclasses write `__call__` and `version`.

    A transformer that draws random numbers declares a keyword parameter `rng`; it then gets a numpy Generator that depends on (seed, epoch,
    sample index) alone, and belongs into `realtime_transformers`:

        def __call__(self, inp, outp, *, rng):
            return inp._replace(image=inp.image + rng.normal(size=inp.image.shape)), outp

    One that can also change a whole batch at once has a method `batch` beside `__call__`, as each `BatchTransformer`.
    """

    @abstractmethod
    def __call__(self, inp: Any, outp: Any) -> Sample:
        """The changed sample.

        Args:
            inp: Named tuple with the input.
            outp: Named tuple with the output.

        Returns:
            Two named tuples, with the same or other fields.
        """

    @property
    @abstractmethod
    def version(self) -> str:
        """A text that changes whenever the result of `__call__` does; part of the key of every cache behind it."""


def is_random(transformer: Callable[..., Sample]) -> bool:
    """Whether a transformer draws random numbers: one that says `is_random` is believed, else the parameter `rng` decides."""
    said = getattr(transformer, "is_random", None)
    if said is not None:
        return bool(said)
    method = type(transformer).__call__
    return takes_rng(method if inspect.isfunction(method) else transformer)


@lru_cache(maxsize=1024)
def takes_rng(function: Callable[..., Sample]) -> bool:
    """Whether a function has a parameter `rng`."""
    try:
        return "rng" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # a callable written in C has no signature, and no rng
        return False


def name_of(transformer: Callable[..., Sample]) -> str:
    """How messages call a transformer: its class, or its function's name."""
    return getattr(transformer, "__name__", type(transformer).__name__)


def apply_transformers(
    transformers: Sequence[Callable[..., Sample]], sample: Sample, token: object, rng_key: tuple[int, int, int] | None = None
) -> Sample:
    """Runs a sample through transformers, one after the other.

    Args:
        transformers: What to apply.
        sample: Input and output.
        token: The sample's token, for messages.
        rng_key: Seed, epoch and sample index; `None` where nothing may be drawn.

    Raises:
        DataError: A transformer failed or returned no sample; sample token and transformer are named.
    """
    rng = None  # made when it is needed; the transformers of a sample draw from it one after the other
    where = f"the sample token {token!r}"
    for transformer in transformers:
        draws = is_random(transformer)
        if draws and rng is None and rng_key is not None:
            rng = host_generator(rng_key[0], STREAM, *rng_key[1:])
        sample = run_transformer(transformer, transformer, draws, sample, rng, where)
    return sample


def run_transformer(
    transformer: Callable[..., Sample], call: Callable[..., Sample], draws: bool, sample: Sample, rng: Any, where: str
) -> Sample:
    """Runs one transformer on a sample, or on a batch.

    Args:
        transformer: Which one.
        call: The transformer itself, or its method `batch`.
        draws: Whether it draws random numbers.
        sample: Input and output, of a sample or of a batch.
        rng: Where a transformer that draws gets its numbers from; `None` where nothing may be drawn.
        where: What it runs on, for messages.

    Raises:
        DataError: The transformer failed, returned no sample, or draws where nothing may be drawn.
    """
    if draws and rng is None:
        raise DataError(_random_before_cache(transformer))
    try:
        result = call(*sample, rng=rng) if draws else call(*sample)
    except Exception as error:
        raise DataError(
            f"The transformer {name_of(transformer)} failed for {where}.\n"
            f"  {type(error).__name__}: {error}\n"
            f"  It got {_describe(sample[0])} and {_describe(sample[1])}."
        ) from error
    if isinstance(result, tuple) and len(result) == 2 and all(hasattr(part, "_fields") for part in result):
        return result
    raise DataError(
        f"The transformer {name_of(transformer)} returned {_describe(result)} for {where}.\n"
        f"  It must return two named tuples, input and output: return inp._replace(...), outp"
    )


def _describe(part: Any) -> str:
    if not hasattr(part, "_fields"):
        return "None" if part is None else f"a {type(part).__name__}"
    fields = (f"{name}: {_brief(value)}" for name, value in zip(part._fields, part, strict=True))
    return f"{type(part).__name__}({', '.join(fields)})"


def _brief(value: Any) -> str:
    return f"{value.dtype} {tuple(value.shape)}" if hasattr(value, "dtype") and hasattr(value, "shape") else type(value).__name__


def _random_before_cache(transformer: Callable[..., Sample]) -> str:
    return (
        f"The transformer {name_of(transformer)} draws random numbers, and stands in `transformers`, before the cache, where every epoch "
        f"would see the same draw.\n  Append it to `realtime_transformers`."
    )
