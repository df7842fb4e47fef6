"""Activations, by name, as a function, or as a layer class."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from babel_dl import ops
from babel_dl.core.module import Module
from babel_dl.core.native.adoption import as_module
from babel_dl.errors import ArgumentError, did_you_mean
from babel_dl.model.layer import Layer
from babel_dl.ops.dispatch import returns_handles
from babel_dl.ops.tensor import Tensor, TensorLike

Function = Callable[[Any], Any]

ACTIVATIONS: dict[str, Function] = {
    "relu": ops.relu, "leaky_relu": ops.leaky_relu, "elu": ops.elu, "selu": ops.selu, "gelu": ops.gelu, "silu": ops.silu, "swish": ops.silu,
    "sigmoid": ops.sigmoid, "hard_sigmoid": ops.hard_sigmoid, "tanh": ops.tanh, "softplus": ops.softplus, "softmax": ops.softmax,
    "log_softmax": ops.log_softmax, "linear": lambda x: x,
}  # fmt: skip


def find_activation(activation: str | Function | type[Layer] | None) -> Function:
    """The function for a name, a function, a layer or its class; `None` is the identity.

    Raises:
        ArgumentError: There is no activation of this name, or it cannot be called.
    """
    if activation is None:
        return ACTIVATIONS["linear"]
    if isinstance(activation, str):
        if activation.lower() not in ACTIVATIONS:
            raise ArgumentError(f"There is no activation {activation!r}.{did_you_mean(activation, ACTIVATIONS)}")
        return ACTIVATIONS[activation.lower()]
    found = as_module(activation() if isinstance(activation, type) else activation)
    if not callable(found):
        raise ArgumentError(f"An activation is a name, a function or a layer, and {activation!r} is none.")
    return found if isinstance(found, Module) else returns_handles(found)


def _checked(options: dict[str, Any], function: Function, activation: Any) -> dict[str, Any]:
    parameters = list(inspect.signature(function).parameters.values())
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
    known = [parameter.name for parameter in parameters[1:]]
    wrong = [] if takes_any else [name for name in options if name not in known]
    if wrong:
        hint = did_you_mean(wrong[0], known) if known else " It takes none."
        raise ArgumentError(f"The activation {activation!r} takes no option {wrong[0]!r}.{hint}")
    return options


class Activation(Layer):
    """Applies a function to the input.

        y = function(x, **options)

    Args:
        activation: A name ("relu", "gelu", "softmax", ...), a function of a tensor, a layer or its class; None is the identity.
        options: What the function takes besides x, by name: `negative_slope` of "leaky_relu", `alpha` of "elu", `axis` of "softmax".

    Shapes:
        x: any.      returns: that of x.

    Raises:
        ArgumentError: There is no activation of this name, or it cannot be called, or it does not take one of the options.

    Example:
        >>> Activation("leaky_relu", negative_slope=0.5)(ops.asarray([-1.0, 2.0])).numpy()
        array([-0.5,  2. ], dtype=float32)
    """

    def __init__(self, activation: str | Function | type[Layer] | None, **options: Any) -> None:
        super().__init__()
        function = find_activation(activation)
        self.function = functools.partial(function, **_checked(options, function, activation)) if options else function

    def call(self, x: TensorLike) -> Tensor:
        """The function's result."""
        return self.function(x)
