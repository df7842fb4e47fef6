"""Layers made of functions and of layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from babel_dl.core.module import Module
from babel_dl.core.native.adoption import as_module
from babel_dl.errors import ArgumentError
from babel_dl.model.layer import Layer
from babel_dl.ops.dispatch import returns_handles


class Lambda(Layer):
    """Makes a layer of a function.

    The function receives what `call` receives: our tensors, which native functions accept as well. A native module in the place of a
    function becomes a module of ours first, see `NativeModule`: its weights are found, below `/function`.

    Args:
        function: What to compute.
        name: What messages and summaries call it; None for the function's own name.

    Raises:
        ArgumentError: The function cannot be called, or is a module (put it into the model as it is, so that its weights are found).

    Example:
        >>> from babel_dl import ops
        >>> Lambda(lambda x: 2 * x, name="double")(ops.ones(2)).numpy()
        array([2., 2.], dtype=float32)
    """

    def __init__(self, function: Callable[..., Any], name: str | None = None) -> None:
        super().__init__()
        if isinstance(function, Module):
            raise ArgumentError("Lambda makes a layer of a function, and got a module. Use the module itself; it is a layer already.")
        if not callable(function):
            raise ArgumentError(f"Lambda needs a function, and got {function!r}.")
        self.function = as_module(function)
        self._run = self.function if isinstance(self.function, Module) else returns_handles(function)
        self.name = name or getattr(function, "__name__", type(function).__name__)

    @property
    def title(self) -> str:
        """How messages call it."""
        return f"Lambda {self.name!r}"

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The function's result, natives as handles."""
        return self._run(*args, **kwargs)


class Sequential(Layer):
    """Layers one after the other; the output of each is the input of the next.

    Args:
        layers: Modules, native modules or functions of one tensor, as arguments or as one list.

    Raises:
        ArgumentError: One of them cannot be called.

    Example:
        >>> from babel_dl import ops
        >>> from babel_dl.model.layers import Activation, FullyConnected
        >>> Sequential(FullyConnected(8), Activation("relu"), FullyConnected(2))(ops.zeros((4, 3))).shape
        (4, 2)
    """

    def __init__(self, *layers: Any) -> None:
        super().__init__()
        given = layers[0] if len(layers) == 1 and isinstance(layers[0], (list, tuple)) else layers
        for index, layer in enumerate(given):
            if not callable(layer):
                raise ArgumentError(f"Sequential needs layers, and number {index} is {layer!r}.")
        modules = [as_module(layer) for layer in given]
        self.layers = [module if isinstance(module, Module) else Lambda(module) for module in modules]

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.layers)

    def __getitem__(self, index: int) -> Any:
        return self.layers[index]

    def call(self, x: Any) -> Any:
        """The output of the last layer."""
        for layer in self.layers:
            x = layer(x)
        return x
