"""A function that is traced once for each signature of its arguments, and then called as one operation.

`tf.function` looks at its arguments on every call: 135 us for two tensors and eight variables. Here the signature is a tuple, and its trace
is called by `StatefulPartitionedCall` directly: 20 us for the same.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

# Private, and asked because a call that a tape may see must go the long way round; there is no public question.
from tensorflow.python.eager.record import could_possibly_record

from babel_dl.backend import device_in_force
from babel_dl.backend.contract import Native, Tree
from babel_dl_tensorflow.creation import TENSORS, EagerTensor, placed

raw: Any = tf.raw_ops


_ARRAYS = (*TENSORS, np.ndarray, np.generic)


class _Place:
    """Stands for a tensor in a tree: its position in the flat list."""

    __slots__ = ("position",)

    def __init__(self, position: int) -> None:
        self.position = position


class Trace(NamedTuple):
    """A traced function, what it reads besides its arguments, and the tree of its results with a place for each tensor."""

    concrete: Any
    captured: list[Any]
    dtypes: list[tf.DType]
    results: Tree

    @classmethod
    def of(cls, concrete: Any, results: Tree) -> "Trace":
        """Of a concrete function; `results` has a place for each of its outputs."""
        return cls(concrete, list(concrete.captured_inputs), [output.dtype for output in concrete.outputs], results)

    def run(self, leaves: list[Native]) -> Tree:
        """The results for these arguments, all of them tensors."""
        if could_possibly_record():
            outputs = self.concrete(*leaves)
        else:
            outputs = raw.StatefulPartitionedCall(args=leaves + self.captured, Tout=self.dtypes, f=self.concrete)
        return _filled(self.results, outputs)


class Compiled:
    """Calls `fn` with natives for all arrays in its arguments: traced, or as it is.

    Args:
        backend: Makes natives of numpy arrays.
        fn: Takes and returns trees.
        is_traced: Whether to trace at all.
        with_xla: Whether XLA compiles what was traced.
    """

    def __init__(self, backend: Any, fn: Callable[..., Tree], is_traced: bool, with_xla: bool) -> None:
        self._backend = backend
        self._fn = fn
        self._is_traced = is_traced
        self._with_xla = with_xla
        self._traces: dict[Any, Trace] = {}

    def __call__(self, *args: Tree, **kwargs: Tree) -> Tree:
        leaves: list[Native] = []
        signature = (device_in_force(self._backend), self.flatten((args, kwargs), leaves))
        if not (self._is_traced and tf.executing_eagerly()):  # inside of another trace this one becomes a part of it
            return self._call(_emptied((args, kwargs), _ARRAYS, []), leaves)
        trace = self._traces.get(signature)
        if trace is None:
            trace = self._traces[signature] = self.trace((args, kwargs), leaves)
        return trace.run(leaves)

    def _call(self, arguments: Tree, natives: Sequence[Native]) -> Tree:
        args, kwargs = _filled(arguments, natives)
        return self._fn(*args, **kwargs)

    def trace(self, arguments: Tree, leaves: list[Native]) -> Trace:
        """The function, traced for arguments like these.

        Args:
            arguments: The positional ones and the named ones.
            leaves: Their tensors, from `flatten`; shapes and types matter.
        """
        arguments, results = _emptied(arguments, _ARRAYS, []), []

        def traced(*natives: Native) -> list[Native]:
            outputs: list[Native] = []
            results[:] = [_emptied(self._call(arguments, natives), TENSORS, outputs)]
            return outputs

        specs = [tf.TensorSpec(leaf.shape, leaf.dtype) for leaf in leaves]
        with placed(self._backend):
            concrete = tf.function(traced, autograph=False, jit_compile=self._with_xla or None).get_concrete_function(*specs)
            if self._with_xla:  # the call below runs a function's body as it is; a call inside of that body goes to XLA
                compiled = concrete
                concrete = tf.function(lambda *natives: compiled(*natives), autograph=False).get_concrete_function(*specs)
        return Trace.of(concrete, results[0])

    def flatten(self, tree: Tree, leaves: list[Native]) -> Any:
        """Appends the tensors of a tree to `leaves`; returns the rest as a key, with shape and dtype for each tensor."""
        kind = type(tree)
        if kind is EagerTensor:
            leaves.append(tree)
            return tuple(tree.shape), tree.dtype
        if isinstance(tree, tuple | list):
            return kind, *[self.flatten(item, leaves) for item in tree]
        if isinstance(tree, dict):
            return kind, tuple(tree), *[self.flatten(item, leaves) for item in tree.values()]
        if isinstance(tree, np.ndarray | np.generic):
            return self.flatten(self._backend.asarray(tree, tree.dtype.name), leaves)
        if isinstance(tree, TENSORS):
            leaves.append(tf.convert_to_tensor(tree))
            return tree.shape, tree.dtype
        return kind, tree


def _emptied(tree: Tree, kinds: tuple[type, ...], found: list[Any]) -> Tree:
    """The tree with a place for each leaf of these kinds, which are appended to `found`, in the order of `Compiled.flatten`."""

    def replace(leaf: Any) -> Any:
        if not isinstance(leaf, kinds):
            return leaf
        found.append(leaf)
        return _Place(len(found) - 1)

    return map_leaves(replace, tree)


def _filled(tree: Tree, values: Sequence[Native]) -> Tree:
    """The tree with the value for each place."""
    return map_leaves(lambda leaf: values[leaf.position] if type(leaf) is _Place else leaf, tree)


def map_leaves(function: Callable[[Any], Any], tree: Tree) -> Tree:
    """The tree with `function` applied to everything that is no container."""
    if isinstance(tree, tuple | list):
        items = [map_leaves(function, item) for item in tree]
        return items if type(tree) is list else type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    if isinstance(tree, dict):
        return {key: map_leaves(function, item) for key, item in tree.items()}
    return function(tree)
