"""Ways out for data."""

from abc import ABC, abstractmethod
from typing import Any


class Datasets(ABC):
    """Datasets of babel_dl as the framework's own."""

    @abstractmethod
    def dataset_bridge(self, dataset: Any, seed: int = 0, **options: Any) -> Any:
        """The dataset as the framework's own data type.

        Args:
            dataset: Has a length, `sample(index, epoch, seed)` and `to_dataloader(...)`.
            seed: The seed of order and random transformers.
            options: What the plug-in takes besides; its docstring lists it.
        """
