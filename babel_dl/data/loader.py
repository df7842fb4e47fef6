"""Batches of a dataset, epoch after epoch: the same on every backend, with any number of workers, and from any position."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from babel_dl.core.random import current_seed
from babel_dl.data.batch import Batch
from babel_dl.data.order import batch_indices, epoch_order
from babel_dl.data.workers import Task, batches_from_processes, batches_from_thread, batches_gathered, make_batch
from babel_dl.errors import ArgumentError, DataError

if TYPE_CHECKING:
    from babel_dl.data.dataset import Dataset

DEFAULT_BATCH_SIZE = 32
STATE = ("seed", "epoch", "position")


class DataLoader:
    """Walks through a dataset in batches.

        order of an epoch     = f(seed, epoch)
        augmentation          = f(seed, epoch, sample index)

    Each `for` loop is the next epoch. Arrays are numpy, C order, and new for every batch. Datasets of arrays, without transformers or with
    vectorised ones alone, are gathered a batch at a time, which is faster than any worker: in the calling thread, or by a thread that works
    ahead where a batch takes half a millisecond and more. All others are read by a thread or by processes.

    Args:
        dataset: Where the samples are.
        batch_size: Samples in a batch; `None` for `train_batch_size` of the dataset's configuration, or else 32.
        shuffle: Whether each epoch has another order.
        drop_last: Whether to leave out a last batch that is not full.
        num_workers: How many processes read samples; 0 for a thread of this process. They are started for each epoch.
        prefetch: How many batches to read ahead, for each worker; 0 to read without a thread when a batch is asked for.
        seed: The seed of order and augmentation; `None` for the seed in force.

    Attributes:
        num_samples: How many samples an epoch has, those that `drop_last` leaves out included.
        epoch: The epoch that runs, or comes next.

    Raises:
        ArgumentError: A number is too small.
        DataError: The dataset is empty; or `drop_last` would leave no batch.
    """

    def __init__(
        self,
        dataset: "Dataset",
        batch_size: int | None = None,
        shuffle: bool = True,
        drop_last: bool = False,
        num_workers: int = 0,
        prefetch: int = 2,
        seed: int | None = None,
    ) -> None:
        from_config = getattr(dataset.config, "train_batch_size", None)
        chosen = next((size for size in (batch_size, from_config) if size is not None), DEFAULT_BATCH_SIZE)
        self.dataset = dataset
        self.batch_size = _checked("batch_size", chosen, 1)
        self.shuffle = bool(shuffle)
        self.drop_last = bool(drop_last)
        self.num_workers = _checked("num_workers", num_workers, 0)
        self.prefetch = _checked("prefetch", prefetch, 0)
        self.seed = current_seed() if seed is None else int(seed)
        self.num_samples = check_length(dataset)
        self.epoch = 0
        self._position = 0  # samples of this epoch that were handed over
        self._is_resuming = False
        if self.num_samples == 0:
            raise DataError(f"{type(dataset).__name__} is empty: there is nothing to load. Check all_sample_tokens, and the filters.")
        if len(self) == 0:
            raise DataError(
                f"The loader of {type(dataset).__name__} has no batch: {self.num_samples} samples do not fill one of {self.batch_size}, "
                f"and drop_last leaves it out.\n  Use drop_last=False or a smaller batch_size."
            )

    def __len__(self) -> int:
        """How many batches an epoch has."""
        full, rest = divmod(self.num_samples, self.batch_size)
        return full if self.drop_last or not rest else full + 1

    def __iter__(self) -> Iterator[Batch]:
        """The next epoch; after `load_state_dict` the rest of the one that was stored.

        Yields:
            Input and output, named tuples of arrays with a leading batch axis.

        Raises:
            DataError: A getter or a transformer failed, samples do not fit into one batch, or a worker died.
        """
        if self._position and (not self._is_resuming or self._start_step() >= len(self)):
            self.set_epoch(self.epoch + 1)  # the last loop was left early, or stored at the very end of an epoch
        self._is_resuming = False
        epoch, first = self.epoch, self._start_step()
        with closing(self._run(epoch, first)) as batches:
            for step, batch in enumerate(batches, first + 1):
                self.epoch, self._position = epoch, min(step * self.batch_size, self.num_samples)
                yield batch
        self.set_epoch(epoch + 1)

    def batches(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from any step on. What is handed over does not depend on, or change, the loader's own position.

        Args:
            epoch: The epoch, from 0.
            start_step: How many batches to leave out at the start; they are not read.

        Yields:
            Input and output, named tuples of arrays with a leading batch axis.

        Raises:
            ArgumentError: A number is below 0, or `start_step` is beyond the end of the epoch.
            DataError: As iteration.
        """
        _checked("epoch", epoch, 0)
        if _checked("start_step", start_step, 0) > len(self):
            raise ArgumentError(f"DataLoader: start_step is {start_step}, and an epoch has {len(self)} batches.")
        return self._run(epoch, start_step)

    def set_epoch(self, epoch: int) -> None:
        """Makes an epoch the next one, from its start.

        Args:
            epoch: The epoch, from 0.

        Raises:
            ArgumentError: It is below 0.
        """
        self.epoch, self._position, self._is_resuming = _checked("epoch", epoch, 0), 0, False

    def state_dict(self) -> dict[str, int]:
        """Where iteration stands: the seed, the epoch, and how many of its samples were handed over."""
        return {"seed": self.seed, "epoch": self.epoch, "position": self._position}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Goes to where another loader stood; the next loop hands over what that one had not.

        Args:
            state: From `state_dict`; also of a loader with another batch size, number of workers or backend.

        Raises:
            DataError: The state has other entries, or its position does not fit this dataset and batch size.
        """
        if set(state) != set(STATE):
            raise DataError(
                f"DataLoader: a state has the entries {', '.join(STATE)}, and this one has {', '.join(map(str, state)) or 'none'}.\n"
                f"  Pass what state_dict() gave."
            )
        seed, epoch, position = (int(state[name]) for name in STATE)
        if epoch < 0 or not 0 <= position <= self.num_samples:
            raise DataError(
                f"DataLoader: the state stands at sample {position} of epoch {epoch}, and this dataset has {self.num_samples} samples.\n"
                f"  Load it into a loader of the dataset it was made with."
            )
        if position % self.batch_size and position != self.num_samples:
            raise DataError(
                f"DataLoader: the state stands at sample {position}, between two batches of {self.batch_size}.\n"
                f"  Use the batch_size it was made with, or one that divides {position}."
            )
        self.seed, self.epoch, self._position, self._is_resuming = seed, epoch, position, True

    def _start_step(self) -> int:
        return -(-self._position // self.batch_size)

    def _run(self, epoch: int, start_step: int) -> Generator[Batch, None, None]:
        order = epoch_order(self.num_samples, self.seed, epoch, self.shuffle)
        parts = batch_indices(order, self.batch_size, self.drop_last, start_step)
        if self.dataset.is_gathered:
            return batches_gathered(self.dataset, self.seed, epoch, parts, self.prefetch)
        tasks: Iterator[Task] = ((epoch, indices) for indices in parts)
        if self.num_workers == 0 and self.prefetch == 0:
            return (make_batch(self.dataset, self.seed, *task) for task in tasks)
        if self.num_workers == 0:
            return batches_from_thread(self.dataset, self.seed, tasks, self.prefetch)
        num_workers = max(1, min(self.num_workers, len(self) - start_step))
        return batches_from_processes(self.dataset, self.seed, tasks, num_workers, self.prefetch)


def _checked(name: str, value: Any, at_least: int) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < at_least:
        raise ArgumentError(f"DataLoader: {name} is {value!r}, and must be a whole number of at least {at_least}.")
    return int(value)


def check_length(dataset: "Dataset") -> int:
    """The number of samples of a dataset, which a subclass may not count in another way.

    Args:
        dataset: Any dataset.

    Raises:
        DataError: Its `__len__` is not the number of its tokens.
    """
    num_samples = len(dataset.all_sample_tokens)
    if len(dataset) != num_samples:
        raise DataError(
            f"{type(dataset).__name__} says it has {len(dataset)} samples, and has {num_samples} tokens.\n"
            f"  Delete its __len__: the number of tokens in all_sample_tokens is the length."
        )
    return num_samples
