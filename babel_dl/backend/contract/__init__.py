"""The contract between babel_dl and a framework, one file for each family of functions. A plug-in has the same files."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from babel_dl.backend.contract.creation import Creation, Devices, Native
from babel_dl.backend.contract.datasets import Datasets
from babel_dl.backend.contract.elementwise import Elementwise
from babel_dl.backend.contract.execution import State, Storage, Transforms, Tree
from babel_dl.backend.contract.native_modules import Adopted, NativeModules, NativeOptions, NativeTensor
from babel_dl.backend.contract.neural import Neural, Pairs
from babel_dl.backend.contract.reduction import Reduction
from babel_dl.backend.contract.shape import Shape

KERNELS = ("sgd", "adam", "average", "track", "random_bits")
"""The rules that a backend may replace by a fused kernel. All but the last update their storages, the first three in place, and return
nothing.

    sgd(parameters, gradients, momenta, learning_rate, momentum, nesterov, weight_decay)
        parameters, momenta: lists of Storage (`momenta` is None if momentum is 0; zeros before the first step); gradients: list of
        Native; learning_rate: scalar Native, float32; momentum: float or scalar Native; weight_decay: float. Dampening is 0:
        g = gradient + weight_decay * parameter;  m = momentum * m + g;  parameter -= learning_rate * (g + momentum * m if nesterov else m)
    adam(parameters, gradients, first_moments, second_moments, step, learning_rate, beta1, beta2, eps, weight_decay, decoupled)
        step: scalar Native, float32, 1 at the first call; beta1, beta2, eps, weight_decay: float; decoupled: bool (AdamW):
        parameter -= learning_rate * (m / (1 - beta1**step)) / (sqrt(v / (1 - beta2**step)) + eps)
    average(averages, values, weight)
        averages: list of Storage; values: list of Native, of the types of the averages; weight: scalar Native, float32:
        average += weight * (value - average)
    track(counter, averages, values, factors, weight)
        counter: Storage of an int32 scalar; averages: list of Storage; values: list of Native, of the types of the averages; factors: list
        of float; weight: float from 0 to 1. What was read from the storages before stays what it was:
        counter += 1;  average += weight * (factor * value - average)
    random_bits(key, counter, count) -> Native
        key: two int of 32 bits with sign; counter: scalar Native, int32, of any value; count: int, 0 or more. int32 of shape (count,), the
        same bits as those of `babel_dl.core.random.random_bits`
"""


class Backend(Creation, Devices, Elementwise, Shape, Reduction, Neural, State, Transforms, Datasets, NativeModules):
    """Everything that babel_dl asks of a framework. A plug-in makes it final; nothing above it names a framework.

    Attributes:
        name: The plug-in's name, for `set_backend` and messages.
        kernels: Fused replacements of rules that are otherwise written once in neutral functions, by the rule's name. One exists
            only where it is faster; the conformance suite holds its numbers against the neutral rule. See `KERNELS`.
    """

    name: ClassVar[str]
    kernels: ClassVar[Mapping[str, Callable[..., Any]]] = MappingProxyType({})

    def know_handle(self, kind: type, native_of: Callable[[Any], Native], handle_of: Callable[[Native], Any]) -> None:
        """Tells the framework about a class of handles, where its functions take no stranger without. By default nothing.

        Args:
            kind: The class.
            native_of: The native tensor in a handle.
            handle_of: A handle around a native tensor.
        """

    def know_constant(self, function: Callable[[], Any]) -> None:
        """Tells the framework's own compilers about a function whose answer does not change while they trace our code. By default nothing.

        Args:
            function: Takes nothing; returns a bool, a number or a word.
        """


__all__ = [
    "KERNELS",
    "Adopted",
    "Backend",
    "Creation",
    "Datasets",
    "Devices",
    "Elementwise",
    "Native",
    "NativeModules",
    "NativeOptions",
    "NativeTensor",
    "Neural",
    "Pairs",
    "Reduction",
    "Shape",
    "State",
    "Storage",
    "Transforms",
    "Tree",
]
