"""Means over many batches, weighted by the number of samples, summed on the host in float64.

Scalars stay on the device until somebody asks: reading one waits for everything before it, so it is done for many steps at a time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from babel_dl.backend import Backend
from babel_dl.errors import ArgumentError, CheckpointError, ShapeError
from babel_dl.ops.tensor import TensorLike


class NonFinite(NamedTuple):
    """A value that is NaN or infinite.

    Attributes:
        name: Which one.
        update: In which update, counted from 0 since the last reset.
        value: What it was.
    """

    name: str
    update: int
    value: float


class StreamingMean:
    """The mean of the samples of all updates.

        mean = sum(value * num_samples) / sum(num_samples)

    Example:
        >>> loss = StreamingMean()
        >>> loss.update(1.0, num_samples=32)
        >>> loss.update(4.0, num_samples=16)
        >>> loss.result()
        2.0
    """

    def __init__(self) -> None:
        self._total, self._num_samples = 0.0, 0

    def update(self, value: float, num_samples: int = 1) -> None:
        """Adds the mean of some samples.

        Args:
            value: Their mean.
            num_samples: How many they are; at least 1.

        Raises:
            ArgumentError: `num_samples` is below 1.
        """
        _check_count(num_samples)
        self._total += float(value) * int(num_samples)
        self._num_samples += int(num_samples)

    def result(self) -> float:
        """The mean so far; NaN before the first update."""
        return self._total / self._num_samples if self._num_samples else math.nan

    def reset(self) -> None:
        """Forgets everything."""
        self._total, self._num_samples = 0.0, 0

    def state_dict(self) -> dict[str, Any]:
        """What to save: plain numbers that JSON can say."""
        return {"total": self._total, "num_samples": self._num_samples}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on where a saved one was.

        Raises:
            CheckpointError: The state is not one of a StreamingMean; nothing is changed.
        """
        _check_keys("StreamingMean", state, ("total", "num_samples"))
        self._total, self._num_samples = float(state["total"]), int(state["num_samples"])


class StreamingMeans:
    """A streaming mean for each name, fed with scalars that are still on the device.

        add(...)     keeps the scalars and reads none of them: no step waits
        flush()      reads all that are kept, in order, and says whether one is not finite
        means()      flushes, and gives the means

    A name that is missing in some updates is averaged over those that have it. When it is flushed changes no number.

    Example:
        >>> from babel_dl import ops
        >>> means = StreamingMeans()
        >>> for value, num_samples in ((1.0, 32), (4.0, 16)):
        ...     scalar = ops.asarray(value)
        ...     means.add({"loss/total": scalar.native}, num_samples, scalar.backend)
        >>> means.means()
        {'loss/total': 2.0}
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets everything, what was not read yet included."""
        self._means: dict[str, StreamingMean] = {}
        self._kept: list[_Kept] = []
        self._num_read = 0
        self._non_finite: NonFinite | None = None

    def add(self, values: Mapping[str, Any], num_samples: int, backend: Backend, updates: int | None = None) -> None:
        """Keeps the scalars of one update, or of several, unread.

        Args:
            values: Scalars by name, natives or handles: means over the samples. Of several updates natives with an axis for these first.
            num_samples: How many samples each update is about; at least 1.
            backend: Whose natives they are.
            updates: How many entries of that axis count, from its start; None for scalars of one update.

        Raises:
            ArgumentError: `num_samples` is below 1.
        """
        _check_count(num_samples)
        self._kept.append(_Kept(values, num_samples, backend, updates))

    def flush(self) -> NonFinite | None:
        """Reads the scalars that are kept, and adds them to the means.

        Returns:
            The first value since the reset that is NaN or infinite; None if all are finite.

        Raises:
            ShapeError: A value is not a scalar.
        """
        kept, self._kept = self._kept, []
        numbers = iter(_read_all([one for one in kept if one.updates is None]))
        for one in kept:
            if one.updates is None:
                self._take([(name, next(numbers)) for name in one.values], one.num_samples)
                continue
            columns = [(name, _read_column(name, value, one)) for name, value in one.values.items()]
            for update in range(one.updates):
                self._take([(name, column[update]) for name, column in columns], one.num_samples)
        return self._non_finite

    def _take(self, numbers: list[tuple[str, float]], num_samples: int) -> None:
        for name, number in numbers:
            self._means.setdefault(name, StreamingMean()).update(number, num_samples)
            if self._non_finite is None and not math.isfinite(number):
                self._non_finite = NonFinite(name, self._num_read, number)
        self._num_read += 1

    def means(self) -> dict[str, float]:
        """The means by name, in the order in which the names came up.

        Raises:
            ShapeError: A value is not a scalar.
        """
        self.flush()
        return {name: mean.result() for name, mean in self._means.items()}

    def state_dict(self) -> dict[str, Any]:
        """What to save: plain numbers that JSON can say. What is kept is read first."""
        self.flush()
        return {"num_updates": self._num_read, "means": {name: mean.state_dict() for name, mean in self._means.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on where a saved one was.

        Raises:
            CheckpointError: The state is not one of a StreamingMeans; nothing is changed.
        """
        _check_keys("StreamingMeans", state, ("num_updates", "means"))
        means = {name: StreamingMean() for name in state["means"]}
        for name, mean in means.items():
            mean.load_state_dict(state["means"][name])
        self.reset()
        self._num_read, self._means = int(state["num_updates"]), means


class _Kept(NamedTuple):
    values: Mapping[str, Any]
    num_samples: int
    backend: Backend
    updates: int | None


def _read_column(name: str, native: Any, kept: _Kept) -> list[float]:
    column = kept.backend.to_numpy(native)
    if column.shape[1:] not in ((), (1,)):
        raise ShapeError(f"The mean of {name!r} needs scalars, and got shape {column.shape[1:]}. Take its mean() first.")
    return [float(number) for number in column[: kept.updates].reshape(-1)]


def _read_all(kept: Sequence[_Kept]) -> list[float]:
    scalars = [
        (one.backend, name, value.native if isinstance(value, TensorLike) else value)
        for one in kept
        for name, value in one.values.items()
    ]
    for backend, name, native in scalars:
        if backend.shape(native) not in ((), (1,)):
            raise ShapeError(f"The mean of {name!r} needs scalars, and got shape {backend.shape(native)}. Take its mean() first.")
    numbers = [math.nan] * len(scalars)
    for places in _alike(scalars):
        backend = scalars[places[0]][0]
        for place, number in zip(places, read_together([scalars[place][2] for place in places], backend), strict=True):
            numbers[place] = number
    return numbers


def _alike(scalars: Sequence[tuple[Backend, str, Any]]) -> list[list[int]]:
    """The places of the scalars that one transfer can bring. On a CPU nothing is transferred, so each goes alone."""
    groups: dict[Any, list[int]] = {}
    for place, (backend, _, native) in enumerate(scalars):
        alone = backend.devices() == ("cpu",)
        groups.setdefault(place if alone else (id(backend), backend.device(native), backend.dtype(native)), []).append(place)
    return list(groups.values())


def read_together(natives: Sequence[Any], backend: Backend) -> list[float]:
    """Scalars of one type and device in one transfer: on an accelerator every transfer costs as much as a small step.

    Args:
        natives: At least one, each of shape () or (1,).
        backend: Whose natives they are.
    """
    if len(natives) == 1:
        return [float(backend.to_numpy(natives[0]).reshape(()))]
    return [float(number) for number in backend.to_numpy(backend.stack([backend.reshape(native, ()) for native in natives], 0))]


def _check_count(num_samples: int) -> None:
    if num_samples < 1:
        raise ArgumentError(f"A mean is weighted by a number of samples of at least 1, and got {num_samples!r}. Leave out empty batches.")


def _check_keys(who: str, state: Mapping[str, Any], expected: tuple[str, ...]) -> None:
    if not isinstance(state, Mapping) or set(state) != set(expected):
        found = sorted(state) if isinstance(state, Mapping) else type(state).__name__
        raise CheckpointError(f"{who} cannot go on from a state with {found}: it needs {sorted(expected)}. Was it saved by another class?")
