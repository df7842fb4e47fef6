"""The backend, put together from its families."""

from types import MappingProxyType
from typing import final

from babel_dl.backend import Backend
from babel_dl_torch.creation import TorchCreation, TorchDevices
from babel_dl_torch.datasets import TorchDatasets
from babel_dl_torch.elementwise import TorchElementwise
from babel_dl_torch.kernels import adam, sgd
from babel_dl_torch.neural import TorchNeural
from babel_dl_torch.reduction import TorchReduction
from babel_dl_torch.shape import TorchShape
from babel_dl_torch.state import TorchState
from babel_dl_torch.transforms import TorchTransforms


@final
class TorchBackend(
    TorchCreation, TorchDevices, TorchElementwise, TorchShape, TorchReduction, TorchNeural, TorchState, TorchTransforms,
    TorchDatasets, Backend,
):
    """PyTorch, run eagerly. Functions whose meaning is the contract's are PyTorch's own, with nothing in between."""

    name = "torch"
    kernels = MappingProxyType({"sgd": sgd, "adam": adam})
