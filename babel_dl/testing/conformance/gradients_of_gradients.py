"""The primitives of neural networks can be differentiated twice: a penalty of gradients goes through each of them."""

from babel_dl.backend import Backend
from babel_dl.testing.conformance.cases import Case, check_second_gradients, each_differentiable
from babel_dl.testing.conformance.neural_cases import ALL


class SecondGradientConformance:
    """Gradients of gradients against second differences of plain numpy loops."""

    @each_differentiable(ALL)
    def test_second_gradient_of_primitive_agrees_with_finite_differences(self, backend: Backend, case: Case) -> None:
        check_second_gradients(backend, case)
