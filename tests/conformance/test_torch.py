"""The contract on PyTorch."""

import numpy as np

from babel_dl.backend import Backend
from babel_dl.testing.conformance import BackendConformance


class TestTorch(BackendConformance):
    """Every promise of the contract, kept by PyTorch."""

    backend_name = "torch"

    def test_a_parameter_of_a_native_module_is_native(self, backend: Backend) -> None:
        import torch

        assert backend.is_native(torch.nn.Linear(2, 3).weight)
        assert backend.shape(torch.nn.Linear(2, 3).weight) == (3, 2)

    def test_from_dlpack_shares_the_memory_of_an_array(self, backend: Backend) -> None:
        source = np.zeros(1000, np.float32)
        native = backend.from_dlpack(source)
        assert native.data_ptr() == source.ctypes.data
