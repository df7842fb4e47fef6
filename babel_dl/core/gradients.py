"""Values and gradients of functions that read variables and take tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from babel_dl.backend import Backend, backend_of, current_backend
from babel_dl.backend.dtypes import is_floating
from babel_dl.core.logged import collect_logged, log_value
from babel_dl.core.module import Module
from babel_dl.core.native.adoption import as_module
from babel_dl.core.variable import Variable
from babel_dl.errors import ArgumentError, GradientError, ShapeError
from babel_dl.ops.dispatch import as_tensor, unwrap, wrap, wrap_natives
from babel_dl.ops.tensor import Tensor, TensorLike
from babel_dl.ops.tree import pack, unpack

Scope = Module | Variable | Iterable["Module | Variable"]
Sources = Any
"""What a gradient is taken with respect to: a `Scope`, a tensor (also a framework's own, or a numpy array), or a list of all of these."""


def trainable_variables(scope: Scope) -> list[Variable]:
    """The trainable variables of a module, a variable, or a list of them, each once.

    Raises:
        GradientError: There is none.
    """
    holders = [scope] if isinstance(scope, (Module, Variable)) else list(scope)
    found = _trainable(holders)
    if not found:
        raise GradientError(
            "There is no trainable variable to take a gradient for. Build the module first (initialize, build_from, or one call), "
            "and see that not all of it is frozen."
        )
    return found


def value_and_grad(fn: Callable[..., Any], over: Sources, has_aux: bool = False) -> tuple[Any, list[Tensor]]:
    """Runs a function once, and differentiates its result with respect to variables, and to tensors that it is given.

    Values logged and variables written inside hold afterwards. The same on every backend, compiled or not, also nested: a gradient may be
    a part of a loss, and is differentiated again there.

    Args:
        fn: Takes the tensors of `over`, in their order, so nothing if there are none. Returns a scalar; with `has_aux` a pair of a scalar
            and any nest of tensors. A tensor has its gradient through this argument alone: what `fn` reaches from outside is a constant.
        over: A module (its trainable variables; also a native one), a variable, a tensor, or a list of these.
        has_aux: Whether `fn` returns by-products as well.

    Returns:
        What `fn` returned, and the gradients: one for each variable, in the order of `trainable_variables`, then one for each tensor.

    Raises:
        GradientError: There is nothing to differentiate with respect to, a tensor is not floating, or the result does not depend on one
            variable or tensor; it is named.
        ShapeError: The result is not a scalar.
        ArgumentError: Something in `over` is no module, variable or tensor.
        BackendError: What is in `over` belongs to two backends.

    Example:
        >>> w = Variable(3.0)
        >>> value, (gradient,) = value_and_grad(lambda: w * w, w)
        >>> float(value), float(gradient)
        (9.0, 6.0)
        >>> value, (for_w, for_x) = value_and_grad(lambda x: w * x * x, [w, np.float32(2.0)])
        >>> float(value), float(for_w), float(for_x)
        (12.0, 4.0, 12.0)
    """
    chosen, tensors, backend = _sources(over)

    def run(*natives: Any) -> tuple[Any, Any]:
        with collect_logged() as logged:
            result = fn(*[wrap(native, backend) for native in natives])
        value, aux = result if has_aux else (result, None)
        if not isinstance(value, TensorLike) or value.shape != ():
            shape = value.shape if isinstance(value, TensorLike) else type(value).__name__
            raise ShapeError(f"value_and_grad needs a function that returns a scalar, and it returned {shape}. Take its mean() or sum().")
        return value.native, (unwrap(pack(aux)), unwrap(logged))

    storages, inputs = [variable.storage for variable in chosen], [tensor.native for tensor in tensors]
    native, (aux, logged), gradients = backend.value_and_grad(run, storages, inputs)
    if any(gradient is None for gradient in gradients):
        raise GradientError(_not_reached(chosen, tensors, gradients))
    for name, value in logged.items():
        log_value(name, wrap(value, backend))
    value = wrap(native, backend)
    return ((value, wrap_natives(unpack(aux), backend)) if has_aux else value), [wrap(gradient, backend) for gradient in gradients]


def grad(fn: Callable[..., Any], over: Sources, has_aux: bool = False) -> Any:
    """The gradient of a function's result, without the result; see `value_and_grad`.

    Args:
        fn: Takes the tensors of `over`, returns a scalar; with `has_aux` a pair of a scalar and any nest of tensors.
        over: A tensor, a variable, a module, or a list of these.
        has_aux: Whether `fn` returns by-products as well.

    Returns:
        One gradient for a tensor or a variable, a list for anything else; with `has_aux` a pair of that and the by-products.

    Raises:
        GradientError: There is nothing to differentiate with respect to, a tensor is not floating, or the result does not depend on one
            variable or tensor; it is named.
        ShapeError: The result is not a scalar.
        ArgumentError: Something in `over` is no module, variable or tensor.
        BackendError: What is in `over` belongs to two backends.

    Example:
        >>> slope = grad(lambda x: (x * x).sum(), np.float32([1.0, -2.0]))
        >>> slope.numpy()
        array([ 2., -4.], dtype=float32)
    """
    value, gradients = value_and_grad(fn, over, has_aux)
    found = gradients[0] if _is_tensor(over) else gradients
    return (found, value[1]) if has_aux else found


def _sources(over: Sources) -> tuple[list[Variable], list[TensorLike], Backend]:
    """The variables and the tensors to differentiate with respect to, and where they live.

    Raises:
        GradientError: There is nothing to differentiate with respect to, or a tensor is not floating.
        ArgumentError: Something is no module, variable or tensor.
        BackendError: Tensors of two backends meet.
    """
    holders: list[Module | Variable] = []
    inputs: list[Any] = []
    over = as_module(over)
    is_single = isinstance(over, (Module, str)) or _is_tensor(over) or not isinstance(over, Iterable)
    parts: Any = [over] if is_single else over
    for part in map(as_module, parts):
        if isinstance(part, (Variable, Module)):
            holders.append(part)
        elif _is_tensor(part):
            inputs.append(part)
        else:
            raise ArgumentError(f"A gradient is taken with respect to modules, variables and tensors, and {part!r} is none of these.")
    if not inputs:
        variables = trainable_variables(holders)
        return variables, [], variables[0].backend
    variables = _trainable(holders)
    backend = variables[0].backend if variables else _home(inputs)
    tensors: list[TensorLike] = [as_tensor(part, backend) for part in inputs]
    for place, tensor in enumerate(tensors):
        if not is_floating(tensor.dtype):
            raise GradientError(
                f"Tensor {place} to differentiate with respect to is {tensor.dtype}, and only floating ones have gradients.\n"
                f'  Cast it first: x.astype("float32").'
            )
    return variables, tensors, backend


def _trainable(holders: Iterable[Module | Variable]) -> list[Variable]:
    found: dict[int, Variable] = {}
    for holder in holders:
        for variable in holder.trainable_variables if isinstance(holder, Module) else [holder]:
            if variable.trainable:
                found[id(variable)] = variable
    return list(found.values())


def _is_tensor(part: object) -> bool:
    return isinstance(part, (TensorLike, np.ndarray, np.generic, float, int)) or backend_of(part) is not None


def _home(inputs: Sequence[Any]) -> Backend:
    """Where the first tensor lives that has a backend; numbers and numpy arrays have none."""
    for part in inputs:
        backend = part.backend if isinstance(part, TensorLike) else backend_of(part)
        if backend is not None:
            return backend
    return current_backend()


def _not_reached(variables: list[Variable], tensors: Sequence[TensorLike], gradients: Sequence[Any]) -> str:
    names = [variable.path for variable in variables] + [f"tensor {place} {tensor.shape}" for place, tensor in enumerate(tensors)]
    unused = [name for name, gradient in zip(names, gradients, strict=True) if gradient is None]
    if unused[0] in names[len(variables) :]:
        hint = "Compute the result from the function's argument, not from the tensor outside, and without stop_gradient."
    else:
        hint = f"Use it in the computation, leave it out of the variables, or freeze it: model.freeze({unused[0]!r})."
    return f"The result does not depend on {', '.join(unused)}, so there is no gradient for it.\n  {hint}"
