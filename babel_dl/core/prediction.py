"""Answers of a module outside of training: evaluation mode, no gradients, numpy in and out, compiled where the backend compiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from babel_dl.core import precision
from babel_dl.core.logged import collect_logged
from babel_dl.errors import ArgumentError
from babel_dl.ops import tree
from babel_dl.ops.dispatch import narrow, unwrap, wrap_natives

if TYPE_CHECKING:
    from babel_dl.core.module import Module


@contextmanager
def evaluation_mode(*modules: Module) -> Iterator[None]:
    """Switches modules and all below them to evaluation, and back to what each was."""
    below = [inner for module in modules for inner in module.modules.values()]
    before = [inner.training for inner in below]
    for inner in below:
        inner.training = False
    try:
        yield
    finally:
        for inner, mode in zip(below, before, strict=True):
            inner.training = mode


class Predictor:
    """Runs one module on numpy inputs.

    Args:
        module: What to run.
        hand_over: How the module is called with a dict of inputs by name; None for `module(**inputs)`.
    """

    def __init__(self, module: Module, hand_over: Callable[[dict[str, Any]], Any] | None = None) -> None:
        self.module = module
        self.backend = module.backend
        call = hand_over or (lambda inputs: module(**inputs))

        def run(inputs: dict[str, Any]) -> Any:
            with collect_logged():  # a traced value must not reach a collector outside
                return tree.pack(unwrap(call(wrap_natives(tree.unpack(inputs), self.backend))))

        self._run = run
        self._compile()

    def _compile(self) -> None:
        self.compiled = self.backend.compile(self._run)
        self._revision = precision.revision

    def __deepcopy__(self, memo: dict[int, Any]) -> None:
        """None: the copy of a module makes a predictor of its own, for this one runs the original."""

    @staticmethod
    def of(module: Module) -> Predictor:
        """The predictor of this module, made at the first use; a new one if the module moved to another backend."""
        known = vars(module).get("_predictor")
        if known is None or known.backend is not module.backend:
            known = vars(module)["_predictor"] = Predictor(module)
        return known

    def predict_batch(self, inputs: dict[str, np.ndarray]) -> Any:
        """The answers to a batch; every input has the batch axis first."""
        if not self.module.is_built:
            self.module.build_from(**inputs)
        if self._revision != precision.revision:  # a part may compute in another type now
            self._compile()
        with evaluation_mode(self.module), self.backend.without_gradients():
            answer = tree.unpack(self.compiled(narrow(tree.pack(inputs))))
        return tree.map_leaves(lambda leaf: self.backend.to_numpy(leaf) if self.backend.is_native(leaf) else leaf, answer)

    def predict_sample(self, sample: dict[str, Any]) -> Any:
        """The answer to one sample without a batch axis.

        Raises:
            ArgumentError: There is no input.
        """
        if not sample:
            raise ArgumentError(f"{type(self.module).__name__}.predict needs its inputs by name: model.predict(image=array).")
        batch = {name: tree.map_leaves(lambda value: np.asarray(value)[None], value) for name, value in sample.items()}
        answer = self.predict_batch(batch)
        return tree.map_leaves(lambda leaf: leaf[0] if isinstance(leaf, np.ndarray) and leaf.ndim else leaf, answer)
