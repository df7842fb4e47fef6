"""Building once: the decorator of the tutorials, rollback of a failed build, and building from shapes alone."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import numpy as np

from babel_dl.ops import tree

Method = TypeVar("Method", bound=Callable[..., Any])


class TensorSpec(NamedTuple):
    """The shape and element type of an input, for building without data. The batch axis is the first; `None` in it is any size.

    Example:
        >>> TensorSpec((None, 28, 28, 1), "uint8").shape
        (None, 28, 28, 1)
    """

    shape: tuple[int | None, ...]
    dtype: str = "float32"


def run_only_once(method: Method) -> Method:
    """Makes a method run once for each instance; later calls return what the first returned. A call that fails does not count.

    Modules are built once without it. It is here because the tutorials write it, and it is exported as `RunOnlyOnce`.
    """
    mark = f"_ran_{method.__name__}"

    @functools.wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        results = vars(self)
        if mark not in results:
            results[mark] = (method(self, *args, **kwargs),)
        return results[mark][0]

    return run  # type: ignore[return-value]


@contextmanager
def all_or_nothing(holder: Any) -> Iterator[None]:
    """Undoes what a failed block did to the attributes, lists and dicts of an object, so that it can be tried again."""
    before = dict(vars(holder))
    contents = {name: value.copy() for name, value in before.items() if isinstance(value, (list, dict))}
    try:
        yield
    except BaseException:
        for name, value in contents.items():
            container = before[name]
            container.clear()
            container.extend(value) if isinstance(container, list) else container.update(value)
        vars(holder).clear()
        vars(holder).update(before)
        raise


def example_arrays(spec: Any) -> Any:
    """The tree with zeros of shape and type in the place of every `TensorSpec`, and arrays in that of shapes."""
    if isinstance(spec, TensorSpec):
        return np.zeros([1 if size is None else size for size in spec.shape], _host_type(spec.dtype))
    if isinstance(spec, (tuple, list)) and not hasattr(spec, "_fields"):
        return type(spec)(example_arrays(item) for item in spec)
    if isinstance(spec, tuple):
        return type(spec)(*(example_arrays(item) for item in spec))
    if isinstance(spec, dict):
        return {name: example_arrays(item) for name, item in spec.items()}
    return tree.map_leaves(np.asarray, spec)


def _host_type(dtype: str) -> Any:
    if dtype == "bfloat16":
        import ml_dtypes

        return ml_dtypes.bfloat16
    return np.dtype(dtype)
