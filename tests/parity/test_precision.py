"""Narrow types on every backend: each layer against PyTorch in float64, and 50 steps of a training against those of the others.

A result that was rounded once is off by at most half of `EPS`, relative to itself; what is compared with the largest number of a result is
allowed a few of them, because a layer rounds what it takes, what it gives, and on the way back the same again.
"""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

from babel_dl import use_backend
from babel_dl.backend import Backend
from babel_dl.core import Module, compile, value_and_grad
from babel_dl.data import Dataset
from babel_dl.model.layers import BatchNormalization, Conv2D, Flatten, FullyConnected, LayerNorm, Sequential
from tests.model.conftest import CASES, Case
from tests.parity.runs import DROPOUT, SMOOTH, TEMPLATE, Recorder, Setup, largest_difference

EPS = {"bfloat16": 2.0**-8, "float16": 2.0**-11}
NARROW = {"bfloat16": ml_dtypes.bfloat16, "float16": np.float16}
NUM_STEPS = 50
TOLERANCES = {"bfloat16": 2 * EPS["bfloat16"], "float16": 4 * EPS["float16"]}
"""How far the losses of 50 steps on two backends may part, relative: 0.8 % and 0.2 %. Measured: 0.40 % and 0.08 %."""
LOOSE = 5e-2
"""The same for a network with kinks, in which rounding switches ReLUs and maxima. Measured: 1.7 % in both types."""


def rounded(values: np.ndarray, dtype: str) -> np.ndarray:
    """The nearest values that the narrow type has, in float32; whole numbers as they are."""
    return values if values.dtype.kind == "i" else values.astype(NARROW[dtype]).astype(np.float32)


def narrow_layer(case: Case, dtype: str, x: np.ndarray) -> Module:
    """A built layer under a policy, whose parameters the narrow type holds exactly, none of them at its start."""
    layer, rng = case.layer(), np.random.default_rng(1)
    layer.precision = dtype
    layer.build_from(x)
    for variable in layer.trainable_variables:
        variable.assign(rounded((variable.numpy() + rng.normal(0, 0.3, variable.shape)).astype(np.float32), dtype))
    return layer


def judged(case: Case, layer: Module, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """PyTorch's result in float64, random weights for its elements, and the gradients of the weighted sum."""
    held = {path: torch.tensor(v.numpy().astype(np.float64), requires_grad=v.trainable) for path, v in layer.named_variables.items()}
    y = case.judge(held, torch.tensor(x if x.dtype.kind == "i" else x.astype(np.float64)))
    weights = np.random.default_rng(2).normal(size=tuple(y.shape)).astype(np.float32)
    trained = {path: held[path] for path, variable in layer.named_variables.items() if variable.trainable}
    gradients = torch.autograd.grad((y * torch.tensor(weights)).sum(), list(trained.values())) if trained else ()
    return y.detach().numpy(), weights, {path: g.numpy() for path, g in zip(trained, gradients, strict=True)}


def expect_near(got: np.ndarray, wanted: np.ndarray, tolerance: float, largest: float | None = None) -> None:
    largest = float(np.abs(wanted).max(initial=0.0)) if largest is None else largest
    np.testing.assert_allclose(got.astype(np.float64), wanted, rtol=0, atol=tolerance * max(largest, 1e-6))


@pytest.mark.parametrize(("dtype", "mode"), [("bfloat16", "auto"), ("float16", "off")])
@pytest.mark.parametrize("name", CASES)
def test_a_layer_and_its_gradients_are_the_judges_but_for_rounding(backend: Backend, name: str, dtype: str, mode: str):
    case = CASES[name]
    x = rounded(case.input(), dtype)
    layer = narrow_layer(case, dtype, x)
    wanted, weights, gradients = judged(case, layer, x)

    def weighted(x: Any, weights: Any) -> Any:
        y = layer(x)
        return (y * weights).sum(), y

    def step(x: Any, weights: Any) -> Any:
        if not layer.trainable_variables:
            return layer(x), []
        (_, y), found = value_and_grad(lambda: weighted(x, weights), layer, has_aux=True)
        return y, found

    y, found = compile(step, mode)(x, weights)
    assert y.dtype == "float32"
    expect_near(y.numpy(), wanted, 3 * EPS[dtype])
    largest = max((float(np.abs(g).max()) for g in gradients.values()), default=0.0)
    for gradient, exact in zip(found, gradients.values(), strict=True):
        assert gradient.dtype == "float32"
        expect_near(gradient.numpy(), exact, 3 * EPS[dtype], largest)


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("make", [lambda: Conv2D(6, 3), lambda: FullyConnected(6), BatchNormalization, LayerNorm], ids=range(4))
def test_gradients_of_parameters_add_up_over_many_places_without_loss(backend: Backend, make: Callable[[], Module], dtype: str):
    rng = np.random.default_rng(0)
    x = rounded(rng.uniform(size=(32, 24, 24, 4)).astype(np.float32), dtype)
    weights = rounded(rng.uniform(size=(32, 24, 24, 1)).astype(np.float32), dtype)
    layer = make()
    layer(x)

    def gradients(policy: str) -> list[np.ndarray]:
        layer.precision = policy
        _, found = value_and_grad(lambda: (layer(x) * weights).sum(), layer)
        return [gradient.numpy() for gradient in found]

    exact = gradients("float32")
    for narrow, wanted in zip(gradients(dtype), exact, strict=True):  # 18,432 places; in bfloat16 a sum of ones stops at 256
        expect_near(narrow, wanted, EPS[dtype], max(float(np.abs(gradient).max()) for gradient in exact))


# ---------------------------------------------------------------- training


@pytest.fixture(scope="module")
def losses_of(data: Dataset) -> Callable[..., np.ndarray]:
    """The losses of the first steps of a setup on a backend, under a policy. Loss scaling comes with float16 by itself."""
    found: dict[Any, np.ndarray] = {}

    def find(setup: Setup, backend_name: str, policy: str | None, mode: str = "auto", num_steps: int = NUM_STEPS) -> np.ndarray:
        key = (setup, backend_name, policy, mode, num_steps)
        if key not in found:
            with use_backend(backend_name):
                recorder = Recorder(num_steps)
                trainer = setup.make_trainer(data, [recorder])
                trainer.compile_mode = mode
                if policy is not None:
                    trainer.model.precision = policy
                trainer.fit(data.to_dataloader(seed=setup.seed))
                assert {value.dtype.name for value in trainer.model.state_dict().values()} <= {"float32", "int32"}
                found[key] = np.array(recorder.losses)
        return found[key]

    return find


SETUPS = [pytest.param(SMOOTH, id="sgd-momentum"), pytest.param(DROPOUT, id="adam-dropout")]


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("setup", SETUPS)
def test_50_steps_have_the_same_losses_on_all_backends(
    backend_names: tuple[str, ...], losses_of: Callable[..., np.ndarray], setup: Setup, dtype: str
):
    for one, other in combinations(backend_names, 2):
        assert largest_difference(losses_of(setup, one, dtype), losses_of(setup, other, dtype)) <= TOLERANCES[dtype]


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("setup", SETUPS)
def test_50_steps_follow_those_of_float32(backend_name: str, losses_of: Callable[..., np.ndarray], setup: Setup, dtype: str):
    exact, narrow = losses_of(setup, backend_name, None), losses_of(setup, backend_name, dtype)
    assert 0 < largest_difference(narrow, exact) <= TOLERANCES[dtype]
    assert exact[-1] < 0.75 * exact[0]  # something was learnt


@pytest.mark.parametrize("dtype", NARROW)
def test_steps_as_they_are_and_compiled_ones_agree(backend_name: str, losses_of: Callable[..., np.ndarray], dtype: str):
    eager, compiled = (losses_of(DROPOUT, backend_name, dtype, mode, 10) for mode in ("off", "auto"))
    assert largest_difference(eager, compiled) <= TOLERANCES[dtype]


@pytest.mark.parametrize("dtype", NARROW)
def test_a_network_with_kinks_arrives_where_float32_does(backend_name: str, losses_of: Callable[..., np.ndarray], dtype: str):
    assert largest_difference(losses_of(TEMPLATE, backend_name, dtype), losses_of(TEMPLATE, backend_name, None)) <= LOOSE


def test_a_policy_of_float32_changes_not_one_bit_of_a_training(backend_name: str, losses_of: Callable[..., np.ndarray]):
    plain, said = (losses_of(DROPOUT, backend_name, policy, "auto", 10) for policy in (None, "float32"))
    assert plain.tobytes() == said.tobytes()


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("backend_name", ["torch"])
def test_torch_compile_takes_a_narrow_network_as_one_graph(backend: Backend, dtype: str):
    model = Sequential(Conv2D(4, 3, activation="relu"), BatchNormalization(), Flatten(), LayerNorm(), FullyConnected(3))
    model.precision = dtype
    x = torch.rand(2, 8, 8, 1)
    model(x)
    model.eval()
    compiled = torch.compile(lambda image: model(image), fullgraph=True, backend="eager")
    assert torch.equal(compiled(x), model(x)) and compiled(x).dtype is torch.float32
