"""The contract on JAX."""

import numpy as np

from babel_dl.backend import Backend
from babel_dl.testing.conformance import BackendConformance


class TestJax(BackendConformance):
    """Every promise of the contract, kept by JAX."""

    backend_name = "jax"

    def test_from_dlpack_shares_the_memory_of_an_array(self, backend: Backend) -> None:
        block = np.zeros(1000 + 16, np.float32)
        start = -block.ctypes.data // 4 % 16  # XLA takes memory over only if it is aligned to 64 bytes.
        source = block[start:start + 1000]
        assert backend.from_dlpack(source).unsafe_buffer_pointer() == source.ctypes.data
