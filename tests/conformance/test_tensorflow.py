"""The contract on TensorFlow."""

from babel_dl.backend import Backend
from babel_dl.testing.conformance import BackendConformance


class TestTensorflow(BackendConformance):
    """Every promise of the contract, kept by TensorFlow."""

    backend_name = "tensorflow"

    def test_a_native_variable_is_native(self, backend: Backend) -> None:
        import tensorflow as tf

        assert backend.is_native(tf.Variable([1.0, 2.0]))
        assert backend.shape(tf.Variable([1.0, 2.0])) == (2,)
