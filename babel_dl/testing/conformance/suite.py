"""All families of promises in one class."""

from collections.abc import Iterator
from typing import ClassVar

import pytest

from babel_dl.backend import Backend, use_backend
from babel_dl.testing.conformance.compilation import CompilationConformance, TraceShapesConformance
from babel_dl.testing.conformance.creation import CastConformance, CreationConformance, DeviceConformance
from babel_dl.testing.conformance.elementwise import ElementwiseConformance
from babel_dl.testing.conformance.gradients import GradientConformance
from babel_dl.testing.conformance.gradients_of_gradients import SecondGradientConformance
from babel_dl.testing.conformance.gradients_of_inputs import InputGradientConformance
from babel_dl.testing.conformance.kernels import KernelConformance
from babel_dl.testing.conformance.neural import NeuralConformance
from babel_dl.testing.conformance.reduction import ReductionConformance
from babel_dl.testing.conformance.shape import ShapeConformance
from babel_dl.testing.conformance.state import StateConformance
from babel_dl.testing.conformance.steps_in_calls import StepsInCallsConformance
from babel_dl.testing.conformance.trees import TreeConformance


class BackendConformance(
    CreationConformance, CastConformance, DeviceConformance, ElementwiseConformance, ShapeConformance, ReductionConformance,
    NeuralConformance, StateConformance, GradientConformance, InputGradientConformance, SecondGradientConformance,
    CompilationConformance, StepsInCallsConformance, TraceShapesConformance, TreeConformance, KernelConformance,
):
    """Holds a backend against every promise of the contract. Inherit, name the backend, and let pytest collect the class.

    Attributes:
        backend_name: The plug-in's name. If its framework is missing the tests fail; they are not skipped.

    Example (a file of tests; shown, not run, because pytest collects the class):

        from babel_dl.testing.conformance import BackendConformance

        class TestMyBackend(BackendConformance):
            backend_name = "my_backend"
    """

    backend_name: ClassVar[str]

    @pytest.fixture
    def backend(self) -> Iterator[Backend]:
        """The backend under test, in force while a test runs."""
        with use_backend(self.backend_name) as backend:
            yield backend

    def test_the_backend_calls_itself_by_the_name_of_its_plug_in(self, backend: Backend) -> None:
        if backend.name != self.backend_name:
            raise AssertionError(f"The plug-in {self.backend_name!r} loads a backend that calls itself {backend.name!r}.")

    def test_no_method_of_the_contract_is_abstract(self, backend: Backend) -> None:
        if not isinstance(backend, Backend):
            raise AssertionError(f"{type(backend).__name__} is no babel_dl.backend.Backend.")
