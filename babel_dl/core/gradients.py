"""Values and gradients of functions that read variables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from babel_dl.core.logged import collect_logged, log_value
from babel_dl.core.module import Module
from babel_dl.core.variable import Variable
from babel_dl.errors import GradientError, ShapeError
from babel_dl.ops.dispatch import unwrap, wrap, wrap_natives
from babel_dl.ops.tensor import Tensor, TensorLike
from babel_dl.ops.tree import pack, unpack

Scope = Module | Variable | Iterable["Module | Variable"]


def trainable_variables(scope: Scope) -> list[Variable]:
    """The trainable variables of a module, a variable, or a list of them, each once.

    Raises:
        GradientError: There is none.
    """
    holders = [scope] if isinstance(scope, (Module, Variable)) else list(scope)
    found: dict[int, Variable] = {}
    for holder in holders:
        for variable in holder.trainable_variables if isinstance(holder, Module) else [holder]:
            if variable.trainable:
                found[id(variable)] = variable
    if not found:
        raise GradientError(
            "There is no trainable variable to take a gradient for. Build the module first (initialize, build_from, or one call), "
            "and see that not all of it is frozen."
        )
    return list(found.values())


def value_and_grad(fn: Callable[[], Any], variables: Scope, has_aux: bool = False) -> tuple[Any, list[Tensor]]:
    """Runs a function once, and differentiates its result with respect to variables.

    Values logged and variables written inside hold afterwards. The same on every backend, compiled or not, also nested.

    Args:
        fn: Takes nothing and returns a scalar; with `has_aux` a pair of a scalar and any nest of tensors.
        variables: A module (its trainable variables), a variable, or a list of these.

    Returns:
        What `fn` returned, and a gradient for each variable, in the order of `trainable_variables(variables)`.

    Raises:
        GradientError: There is no trainable variable, or the result does not depend on one of them; its path is named.
        ShapeError: The result is not a scalar.

    Example:
        >>> w = Variable(3.0)
        >>> value, (gradient,) = value_and_grad(lambda: w * w, w)
        >>> float(value), float(gradient)
        (9.0, 6.0)
    """
    chosen = trainable_variables(variables)
    backend = chosen[0].backend

    def run() -> tuple[Any, Any]:
        with collect_logged() as logged:
            result = fn()
        value, aux = result if has_aux else (result, None)
        if not isinstance(value, TensorLike) or value.shape != ():
            shape = value.shape if isinstance(value, TensorLike) else type(value).__name__
            raise ShapeError(f"value_and_grad needs a function that returns a scalar, and it returned {shape}. Take its mean() or sum().")
        return value.native, (unwrap(pack(aux)), unwrap(logged))

    native, (aux, logged), gradients = backend.value_and_grad(run, [variable.storage for variable in chosen])
    unused = [variable.path for variable, gradient in zip(chosen, gradients, strict=True) if gradient is None]
    if unused:
        raise GradientError(
            f"The result does not depend on {', '.join(unused)}, so there is no gradient for it.\n"
            f"  Use it in the computation, leave it out of the variables, or freeze it: model.freeze({unused[0]!r})."
        )
    for name, value in logged.items():
        log_value(name, wrap(value, backend))
    value = wrap(native, backend)
    return ((value, wrap_natives(unpack(aux), backend)) if has_aux else value), [wrap(gradient, backend) for gradient in gradients]
