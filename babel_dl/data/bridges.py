"""Ways out: a dataset as the data type of a framework. The plug-in builds it; nothing here knows a framework."""

from typing import TYPE_CHECKING, Any

from babel_dl.backend import load_backend
from babel_dl.core.random import current_seed

if TYPE_CHECKING:
    from babel_dl.data.dataset import Dataset


def to_native(dataset: "Dataset", backend_name: str, seed: int | None = None, **options: Any) -> Any:
    """A dataset in the form that a backend's framework expects.

    Args:
        dataset: Any dataset.
        backend_name: The plug-in's name; it need not be the backend in force.
        seed: The seed of order and random transformers; `None` for the seed in force.
        options: What else the plug-in's `dataset_bridge` takes.

    Raises:
        UnknownBackendError: No plug-in has this name.
        BackendNotInstalledError: The framework is missing; the message has the pip line.
        BrokenBackendError: The framework cannot be imported.
    """
    return load_backend(backend_name).dataset_bridge(dataset, seed=current_seed() if seed is None else seed, **options)
