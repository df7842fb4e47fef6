"""Many steps in one call: a `tf.while_loop` whose body is the traced step."""

from typing import Any

import tensorflow as tf

from babel_dl.backend import device_in_force
from babel_dl.backend.contract import Native, Tree
from babel_dl_tensorflow.compilation import Compiled, Trace, map_leaves
from babel_dl_tensorflow.creation import placed

_POSITION = tf.TensorSpec((), tf.int32)


class CompiledSteps:
    """Runs a step for one slice of its arguments after the other.

    Args:
        step: Takes a tree of slices and a tree of constants.
        backend: Whose devices are in force.
    """

    def __init__(self, step: Compiled, backend: Any) -> None:
        self._step = step
        self._backend = backend
        self._traces: dict[Any, Trace] = {}
        self._latest: tuple[Tree, Any, list[Native]] = ((), None, [])

    def __call__(self, stacked: Tree, start: int, stop: int, constants: Tree) -> Tree:
        """See `Transforms.compile_steps`."""
        if stacked is not self._latest[0]:
            leaves: list[Native] = []
            signature = self._step.flatten(stacked, leaves)
            self._latest = stacked, signature, leaves
        _, signature, leaves = self._latest
        key = (device_in_force(self._backend), signature, constants)
        trace = self._traces.get(key)
        if trace is None:
            trace = self._traces[key] = self._trace(stacked, leaves, constants)
        return trace.run([tf.constant(start), tf.constant(stop), *leaves])

    def _trace(self, stacked: Tree, leaves: list[Native], constants: Tree) -> Trace:
        ready = iter(leaves)
        slices = map_leaves(lambda leaf: next(ready)[0] if hasattr(leaf, "shape") else leaf, stacked)
        step = self._step.trace(((slices, constants), {}), [leaf[0] for leaf in leaves])

        def many(start: Native, stop: Native, *natives: Native) -> list[Native]:
            rooms = [tf.TensorArray(output.dtype, size=stop - start, element_shape=output.shape) for output in step.concrete.outputs]

            def body(index: Native, *filled: Any) -> tuple[Any, ...]:
                found = step.concrete(*[native[index] for native in natives])
                return index + 1, *[room.write(index - start, value) for room, value in zip(filled, found, strict=True)]

            ended = tf.while_loop(lambda index, *_: index < stop, body, (start, *rooms), parallel_iterations=1)
            return [room.stack() for room in ended[1:]]

        specs = [tf.TensorSpec((None, *leaf.shape[1:]), leaf.dtype) for leaf in leaves]
        with placed(self._backend):
            concrete = tf.function(many, autograph=False).get_concrete_function(_POSITION, _POSITION, *specs)
        return Trace.of(concrete, step.results)
