"""The gradient penalty of a WGAN-GP critic: a gradient inside of a loss, the same on all backends and as in PyTorch in float64."""

from collections.abc import Callable
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import babel_dl
from babel_dl import ops
from babel_dl.core import Module, grad, value_and_grad
from babel_dl.data import Dataset
from babel_dl.model.layers import BatchNormalization, Conv2D, Flatten, FullyConnected, LayerNorm, Sequential
from tests.parity.runs import TEMPLATE, first_batches
from tests.parity.twin import to_our_layout, to_torch_layout

TOLERANCE = 1e-5
WEIGHT = 10.0
CRITICS = ("layer_norm", "batch_norm")


class Result(NamedTuple):
    """What a critic makes of a batch.

    Args:
        numbers: The loss and the penalty in it.
        gradients: Of the loss, by the path of the weight, in our layout.
        slope: The gradient of the scores in the mixed images.
    """

    numbers: np.ndarray
    gradients: dict[str, np.ndarray]
    slope: np.ndarray


def make_critic(norm: str) -> Sequential:
    """Two convolutions with leaky ReLU and normalisation, and a score. WGAN-GP advises against batch norm; it must work as well."""
    first, second = (LayerNorm(3), LayerNorm(3)) if norm == "layer_norm" else (BatchNormalization(), BatchNormalization())
    layers: list[Module] = [Conv2D(8, 3, 2, 1, activation=leaky), first, Conv2D(16, 3, 2, 1, activation=leaky), second]
    return Sequential(*layers, Flatten(), FullyConnected(1))


def leaky(x: Any) -> Any:
    """max(x, 0.2 x)."""
    return ops.leaky_relu(x, 0.2)


class TwinCritic(nn.Module):
    """The same by hand in PyTorch, channels first; the flattening goes row by row and channels last, as ours does."""

    def __init__(self, norm: str) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList([nn.Conv2d(1, 8, 3, 2, 1), nn.Conv2d(8, 16, 3, 2, 1)])
        shapes = ([14, 14, 8], [7, 7, 16])
        self.is_layer_norm = norm == "layer_norm"
        self.norms = nn.ModuleList([nn.LayerNorm(s) if self.is_layer_norm else nn.BatchNorm2d(s[-1]) for s in shapes])
        self.score = nn.Linear(7 * 7 * 16, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores (batch, 1) of images (batch, 1, height, width)."""
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.leaky_relu(convolution(x), 0.2)
            x = norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) if self.is_layer_norm else norm(x)
        return self.score(x.permute(0, 2, 3, 1).flatten(1))

    def by_path(self) -> dict[str, torch.Tensor]:
        """Its weights by our paths."""
        layers = [self.convolutions[0], self.norms[0], self.convolutions[1], self.norms[1], None, self.score]
        return {f"/layers/{i}/{name}": p for i, layer in enumerate(layers) if layer is not None for name, p in layer.named_parameters()}


class Batch(NamedTuple):
    """Images in [-1, 1], (batch, 28, 28, 1), and where between them the slope is taken."""

    real: np.ndarray
    fake: np.ndarray
    mix: np.ndarray


@pytest.fixture(scope="module")
def batch(data: Dataset) -> Batch:
    """Pictures of clothes against pictures of other clothes: as hard to tell apart as fakes, and far from noise."""
    images = [np.float32(inputs.image) / 127.5 - 1 for inputs, _ in first_batches(TEMPLATE, data)[:2]]
    return Batch(images[0], images[1][:, ::-1].copy(), np.random.default_rng(0).uniform(size=(len(images[0]), 1, 1, 1)).astype(np.float32))


@pytest.fixture(scope="module")
def weights() -> dict[str, dict[str, np.ndarray]]:
    """For each critic, weights a little off the first ones, where scales and offsets would be all alike."""
    found = {}
    for norm in CRITICS:
        rng = np.random.default_rng(1)
        shapes = {path: tuple(to_our_layout(p.detach().numpy()).shape) if p.ndim in (2, 4) else tuple(p.shape)
                  for path, p in TwinCritic(norm).by_path().items()}
        found[norm] = {path: _drawn(rng, path, shape) for path, shape in shapes.items()}
    return found


def _drawn(rng: np.random.Generator, path: str, shape: tuple[int, ...]) -> np.ndarray:
    is_norm = path.split("/")[2] in ("1", "3")
    scale = 0.3 if is_norm or len(shape) == 1 else 1 / np.sqrt(np.prod(shape[:-1]))
    return (rng.normal(size=shape) * scale + (is_norm and path.endswith("weight"))).astype(np.float32)


@pytest.fixture(scope="module")
def result_of(batch: Batch, weights: dict[str, dict[str, np.ndarray]]) -> Callable[[str, str, str], Result]:
    """What our critic makes of the batch, by backend, normalisation and mode."""
    results: dict[tuple[str, str, str], Result] = {}

    def find(backend_name: str, norm: str, mode: str = "auto") -> Result:
        key = backend_name, norm, mode
        if key not in results:
            with babel_dl.use_backend(backend_name):
                results[key] = _result(batch, weights[norm], norm, mode)
        return results[key]

    return find


def _result(batch: Batch, weights: dict[str, np.ndarray], norm: str, mode: str) -> Result:
    critic = make_critic(norm)
    critic.build_from(batch.real)
    critic.load_state_dict({**critic.state_dict(), **weights})

    def loss(real: Any, fake: Any, mix: Any) -> Any:
        slope = grad(lambda x: ops.sum(critic(x)), real * mix + fake * (1 - mix))
        lengths = ops.sqrt(ops.sum(ops.square(slope), (1, 2, 3)))
        penalty = ops.mean(ops.square(lengths - 1))
        return ops.mean(critic(fake)) - ops.mean(critic(real)) + WEIGHT * penalty, (penalty, slope)

    step = babel_dl.compile(lambda *arrays: value_and_grad(lambda: loss(*arrays), critic, has_aux=True), mode)
    (value, (penalty, slope)), gradients = step(*[ops.asarray(array) for array in batch])
    found = {variable.path: gradient.numpy() for variable, gradient in zip(critic.trainable_variables, gradients, strict=True)}
    return Result(np.array([value.item(), penalty.item()]), found, slope.numpy())


@pytest.fixture(scope="module")
def twin_results(batch: Batch, weights: dict[str, dict[str, np.ndarray]]) -> dict[str, Result]:
    """What PyTorch makes of it in float64, as WGAN-GP is written everywhere."""
    results = {}
    for norm in CRITICS:
        critic = TwinCritic(norm).double()
        with torch.no_grad():
            for path, parameter in critic.by_path().items():
                value = weights[norm][path]
                parameter.copy_(torch.from_numpy(np.array(to_torch_layout(value) if value.ndim in (2, 4) else value)))
        real, fake, mix = (torch.from_numpy(array).double().permute(0, 3, 1, 2) for array in batch)
        mixed = (real * mix + fake * (1 - mix)).requires_grad_()
        (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
        penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
        loss = critic(fake).mean() - critic(real).mean() + WEIGHT * penalty
        loss.backward()
        gradients = {path: p.grad.numpy() for path, p in critic.by_path().items() if p.grad is not None}
        ours = {path: to_our_layout(g) if g.ndim in (2, 4) else g for path, g in gradients.items()}
        results[norm] = Result(np.array([loss.item(), penalty.item()]), ours, slope.detach().permute(0, 2, 3, 1).numpy())
    return results


def assert_close(found: Result, expected: Result) -> None:
    """Loss, penalty, slope and each gradient, by its norm; one of less than a hundredth of the whole against that hundredth."""
    assert found.gradients.keys() == expected.gradients.keys()
    whole = np.sqrt(sum(np.sum(np.square(gradient, dtype=np.float64)) for gradient in expected.gradients.values()))
    errors = {path: _error(found.gradients[path], gradient, whole / 100) for path, gradient in expected.gradients.items()}
    errors |= {"slope": _error(found.slope, expected.slope, 0.0), "loss and penalty": _error(found.numbers, expected.numbers, 0.0)}
    assert {name: error for name, error in errors.items() if error > TOLERANCE} == {}


def _error(found: np.ndarray, expected: np.ndarray, least: float) -> float:
    assert found.shape == expected.shape
    return float(np.linalg.norm(found.astype(np.float64) - expected) / max(np.linalg.norm(expected), least))


@pytest.mark.parametrize("mode", ["auto", "off"])
@pytest.mark.parametrize("norm", CRITICS)
def test_gradients_of_a_penalty_of_gradients_are_those_of_pytorch_in_float64(
    backend_name: str, norm: str, mode: str, result_of: Callable[[str, str, str], Result], twin_results: dict[str, Result]
) -> None:
    assert_close(result_of(backend_name, norm, mode), twin_results[norm])


@pytest.mark.parametrize("norm", CRITICS)
def test_gradients_of_a_penalty_of_gradients_are_the_same_on_all_backends(
    backend_names: tuple[str, ...], norm: str, result_of: Callable[[str, str, str], Result]
) -> None:
    for one, other in combinations(backend_names, 2):
        assert_close(result_of(one, norm, "auto"), result_of(other, norm, "auto"))


@pytest.mark.parametrize("norm", CRITICS)
def test_the_penalty_takes_a_part_in_the_gradients(norm: str, twin_results: dict[str, Result]) -> None:
    """Else the comparisons above would say nothing about it."""
    loss, penalty = twin_results[norm].numbers
    assert WEIGHT * penalty > 0.1 * abs(loss)
    still = [path for path, gradient in twin_results[norm].gradients.items() if np.abs(gradient).max() < 1e-3]
    assert still == ["/layers/3/bias", "/layers/5/bias"], "what is added behind the last kink cancels in the loss"
