"""Modules that tell what mixed precision does to them."""

from collections import namedtuple
from typing import Any

import numpy as np

from babel_dl.core import Module
from babel_dl.core.precision import compute_dtype
from babel_dl.model.layers import FullyConnected, Sequential

Pair = namedtuple("Pair", ["first", "second"])
NARROW = ("bfloat16", "float16")
X = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
EPS = {"bfloat16": 2.0**-8, "float16": 2.0**-11}


class Spy(Module):
    """Remembers what came in and in which type it would compute; gives it back."""

    def call(self, *args: Any, **kwargs: Any) -> Any:
        self.args, self.kwargs, self.compute_dtype = args, kwargs, compute_dtype()
        return args[0] if len(args) == 1 and not kwargs else (args, kwargs)


class Holder(Module):
    """A parameter and a state."""

    def build(self, x: Any) -> None:
        self.weight = self.variable("weight", (4,), "ones")
        self.state = self.variable("state", (4,), "zeros", trainable=False)
        self.count = self.variable("count", (), "zeros", trainable=False, dtype="int32")

    def call(self, x: Any) -> Any:
        self.types = (self.weight.dtype, self.weight.value.dtype, self.state.dtype, self.state.value.dtype, self.count.dtype)
        self.host = self.weight.numpy()
        return x * self.weight + self.state


class Nested(Module):
    """A body, and a head beside it that may say something else."""

    def __init__(self) -> None:
        super().__init__()
        self.body = Sequential(FullyConnected(5), Spy())
        self.head = Sequential(Spy(), FullyConnected(2), Spy())
        self.after = Spy()

    def call(self, x: Any) -> Any:
        self.features = self.body(x)
        self.answer = self.head(self.features)
        return self.after(self.answer)


def spied(model: Nested) -> list[str]:
    """The types that came in, in the order of the calls."""
    spies = (model.body.layers[1], model.head.layers[0], model.head.layers[2], model.after)
    return [spy.args[0].dtype for spy in spies]
