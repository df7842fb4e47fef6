"""A suite that holds a plug-in against the contract `babel_dl.backend.Backend`; numpy in float64 is the judge.

Authors of a plug-in inherit one class and run pytest. The suite needs pytest, numpy and ml_dtypes, and names no framework:

    class TestMyBackend(BackendConformance):
        backend_name = "my_backend"

Tolerances are relative to the scale of a result: 1e-5 in float32, 1e-6 for functions of single elements, see `judge.TOLERANCES`.
"""

from babel_dl.testing.conformance.suite import BackendConformance

__all__ = ["BackendConformance"]
