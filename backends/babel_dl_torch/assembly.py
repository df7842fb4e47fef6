"""The backend, put together from its families."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, final

from babel_dl.backend import Backend, device_in_force
from babel_dl_torch.creation import TorchCreation, TorchDevices
from babel_dl_torch.datasets import TorchDatasets
from babel_dl_torch.elementwise import TorchElementwise
from babel_dl_torch.kernels import adam, average, sgd, track
from babel_dl_torch.native_modules import TorchNativeModules
from babel_dl_torch.neural import TorchNeural
from babel_dl_torch.randomness import random_bits
from babel_dl_torch.reduction import TorchReduction
from babel_dl_torch.shape import TorchShape
from babel_dl_torch.state import TorchState
from babel_dl_torch.tracing import taken_as_constant
from babel_dl_torch.transforms import TorchTransforms


@final
class TorchBackend(
    TorchCreation, TorchDevices, TorchElementwise, TorchShape, TorchReduction, TorchNeural, TorchState, TorchTransforms,
    TorchDatasets, TorchNativeModules, Backend,
):
    """PyTorch, run eagerly. Functions whose meaning is the contract's are PyTorch's own, with nothing in between."""

    name = "torch"
    kernels: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "sgd": sgd, "adam": adam, "average": average, "track": track, "random_bits": random_bits,
    }  # fmt: skip
    """A plain dict: beside a proxy of one, `torch.compile` refuses what is written to dicts, and the buffers of a module are in one."""

    def know_constant(self, function: Callable[[], Any]) -> None:
        """For `torch.compile`, which cannot look into context variables: it takes the answer of when it traces."""
        taken_as_constant(function)


taken_as_constant(device_in_force)
