"""Averages of weights over the steps of a training, which often predict better than the weights of any one step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from babel_dl import ops
from babel_dl.backend.dtypes import is_floating
from babel_dl.core.module import Module
from babel_dl.core.variable import Variable, dry_run, is_dry_run
from babel_dl.errors import ArgumentError, BuildError
from babel_dl.ops.tensor import Tensor

_NARROW = ("float16", "bfloat16")


def check_averaging(who: str, decay: float, every: int) -> None:
    """Refuses numbers that average nothing.

    Raises:
        ArgumentError: `decay` is not from 0 to below 1, or `every` is below 1.
    """
    if isinstance(decay, bool) or not isinstance(decay, (int, float)) or not 0 <= decay < 1:
        raise ArgumentError(f"{who} needs a decay from 0 to below 1, and got {decay!r}.")
    if not isinstance(every, int) or every < 1:
        raise ArgumentError(f"{who} needs every of at least 1, and got {every!r}.")


class _Source:
    """The model and its variables, out of sight: a module that is asked for its variables must not answer with those of another."""

    __slots__ = ("model", "pairs")

    def __init__(self, model: Module) -> None:
        self.model = model
        self.pairs: list[tuple[Variable, Variable]] = []


class WeightAverage(Module):
    """Exponential moving averages of a model's weights.

        a = w                               at the first update
        a = a + (1 - decay) * (w - a)       at the later ones, which is decay * a + (1 - decay) * w

    With `warm_up` the decay of an update is min(decay, (1 + n) / (10 + n)), where n updates were made before: early weights fade sooner.

    Keep it in an attribute of a trainer: checkpoints hold the averages, and a resumed run goes on with them bit by bit. Averages of weights
    that are narrower than float32 are kept in float32, where small changes do not get lost; frozen weights are averaged exactly.

    Args:
        model: Whose weights are averaged. It may be built later.
        decay: Share of the average that an update keeps; from 0 to below 1.
        warm_up: Whether the decay grows from small values.
        every: Average at every so many calls of `update`; at least 1.
        average_statistics: Whether running statistics, such as those of batch normalisation, are averaged like weights. If not, the model's
            own of the moment go with the averaged weights, as in PyTorch and Keras. Counters are never averaged.

    Attributes:
        num_updates: A variable that counts the updates.
        averages: A variable for each that is averaged, by the path in the model without its first slash.

    Raises:
        ArgumentError: `decay` or `every` is out of its range, or `model` is no module.

    Example:
        >>> from babel_dl.model.layers import FullyConnected
        >>> layer = FullyConnected(1, use_bias=False).build_from(np.ones((1, 1), "float32"))
        >>> average = WeightAverage(layer, decay=0.75)
        >>> for weight in (4.0, 8.0):
        ...     layer.weight.fill(weight)
        ...     average.update()
        >>> with average.in_force():
        ...     layer.predict(x=np.ones(1)).item()
        5.0
        >>> layer.predict(x=np.ones(1)).item()
        8.0

    Source: Polyak and Juditsky 1992; torch.optim.swa_utils.get_ema_multi_avg_fn; the warm-up is that of TensorFlow's
    ExponentialMovingAverage.
    """

    def __init__(
        self, model: Module, decay: float = 0.999, warm_up: bool = False, every: int = 1, average_statistics: bool = False
    ) -> None:
        super().__init__()
        if not isinstance(model, Module):
            raise ArgumentError(f"WeightAverage averages the weights of a module, and got {model!r}.")
        check_averaging(type(self).__name__, decay, every)
        self.decay = float(decay)
        self.warm_up = warm_up
        self.every = every
        self.average_statistics = average_statistics
        self._source = _Source(model)

    @property
    def model(self) -> Module:
        """Whose weights are averaged."""
        return self._source.model

    # ---------------------------------------------------------------- averaging

    def update(self) -> None:
        """Takes the weights of now into the averages. Call it behind the optimizer's step: in `train_step`, compiled with it, or outside.

        Raises:
            BuildError: The model is not built, or has no weights.
        """
        if is_dry_run() and not self._chosen():
            return  # what runs is not the step, and a part of it that comes later builds the model
        self()

    def build(self) -> None:
        """Makes the averages, beside the variables that they follow."""
        chosen = self._chosen()
        if not chosen:
            name = type(self.model).__name__
            raise BuildError(f"WeightAverage finds no weights in {name}. Build it first (initialize, build_from, or one call).")
        backend = next(iter(chosen.values())).backend

        def state(name: str, shape: tuple[int, ...], dtype: str) -> Variable:
            return Variable(np.zeros(shape, np.float32), False, f"{self.path}/{name}", dtype, backend)

        self.num_updates = state("num_updates", (), "int32")
        self.num_waits = state("num_waits", (), "int32") if self.every > 1 else None
        self.averages = {
            path: state(f"averages/{path}", variable.shape, "float32" if variable.static_dtype in _NARROW else variable.static_dtype)
            for path, variable in chosen.items()
        }
        self._source.pairs = [(variable, self.averages[path]) for path, variable in chosen.items()]

    def call(self) -> None:
        """One update."""
        if is_dry_run():
            return
        backend = self.num_updates.backend
        with backend.without_gradients():
            weight = self._weight_of_the_new()
            kernel = backend.kernels.get("average")
            if kernel is not None:
                kernel([a.storage for _, a in self._source.pairs], [_in_type_of(a, v).native for v, a in self._source.pairs], weight.native)
                return
            for variable, average in self._source.pairs:
                before = average.stored
                average.assign(before + weight.astype(average.static_dtype) * (_in_type_of(average, variable) - before))

    def _weight_of_the_new(self) -> Tensor:
        """1 - decay: 1 at the first update, and 0 at a call that waits."""
        count, later = self.num_updates.stored, 1 - self.decay
        if self.warm_up:
            later = ops.maximum(9.0 / (10.0 + count.astype("float32")), later)  # 1 - (1 + n) / (10 + n)
        weight = ops.where(count == 0, 1.0, later)
        if self.num_waits is None:
            self.num_updates.assign(count + 1)
            return weight
        waits = self.num_waits.stored + 1
        is_due = waits == self.every
        self.num_waits.assign(ops.where(is_due, 0, waits))
        self.num_updates.assign(count + is_due.astype("int32"))
        return ops.where(is_due, weight, 0.0)

    # ---------------------------------------------------------------- using the averages

    @contextmanager
    def in_force(self) -> Iterator[Module]:
        """While it is open the model has the averages for its weights: to evaluate, to predict, to export.

        Afterwards it has its own again, bit by bit, after an error too. Before the first update the model is left as it is. Whoever trains
        the model inside trains the averages, and loses it.

        Returns:
            A context with the model.

        Raises:
            BuildError: The model got weights after the first update, for which there are no averages.
        """
        self._check_is_whole()
        kept: list[tuple[Variable, Tensor]] = []
        try:
            if self.is_built and int(self.num_updates.numpy()):
                for variable, average in self._source.pairs:
                    kept.append((variable, variable.stored.copy()))
                    variable.assign(average.stored)
            yield self.model
        finally:
            for variable, value in kept:
                variable.assign(value)

    @property
    def named_variables(self) -> dict[str, Variable]:
        """The averages and the count by path. They come to be with the model's weights, so that a checkpoint finds its place."""
        if not self.is_built and self._chosen():
            with dry_run():
                self()
        return super().named_variables

    def _chosen(self) -> dict[str, Variable]:
        """What is averaged, by path: parameters, and floating state if that was asked for."""
        return {
            path.lstrip("/"): variable
            for path, variable in self.model.named_variables.items()
            if variable.is_parameter or (self.average_statistics and is_floating(variable.static_dtype))
        }

    def _check_is_whole(self) -> None:
        missing = [path for path in self._chosen() if self.is_built and path not in self.averages]
        if missing:
            raise BuildError(
                f"{type(self.model).__name__} got weights after their averages were begun: {', '.join(missing)}.\n"
                f"  Build all of the model before the first update: call it once, or build_from."
            )


def _in_type_of(average: Variable, variable: Variable) -> Tensor:
    """What the variable holds, in the type in which it is averaged."""
    value = variable.stored
    return value if variable.static_dtype == average.static_dtype else value.astype(average.static_dtype)
