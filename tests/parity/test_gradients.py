"""Outputs and gradients of the template's network on real images: those of PyTorch in float64, within 1e-5."""

from collections.abc import Callable
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

import babel_dl
from babel_dl import ops
from babel_dl.data import Dataset
from tests.parity.runs import TEMPLATE, first_batches
from tests.parity.template import FashionMnistLoss
from tests.parity.twin import TwinModel, loss_of

TOLERANCE = 1e-5
MODES = ("train", "eval")


class Result(NamedTuple):
    """What a network makes of a batch."""

    loss: float
    gradients: dict[str, np.ndarray]
    statistics: dict[str, np.ndarray]


@pytest.fixture(scope="module")
def batch(data: Dataset) -> Any:
    """The first batch of the tutorial."""
    return first_batches(TEMPLATE, data)[0]


@pytest.fixture(scope="module")
def weights(data: Dataset) -> dict[str, np.ndarray]:
    """Weights a little off the first ones.

    At the first ones the gradient of the first normalisation's scale is 0 but for rounding: all offsets are 0, so the scale cancels in the
    second normalisation, and a relative error would say nothing.
    """
    rng = np.random.default_rng(0)
    values = TEMPLATE.make_model(data).state_dict()
    for path, value in values.items():
        if value.ndim == 1:
            values[path] = (value + rng.uniform(-0.3, 0.3, value.shape)).astype(np.float32)
    return values


@pytest.fixture(scope="module")
def result_of(batch: Any, weights: dict[str, np.ndarray], data: Dataset) -> Callable[[str, str], Result]:
    """What our network makes of the batch, by backend and mode."""
    results: dict[tuple[str, str], Result] = {}

    def find(backend_name: str, mode: str) -> Result:
        if (backend_name, mode) not in results:
            with babel_dl.use_backend(backend_name):
                results[backend_name, mode] = _result(batch, weights, data, mode)
        return results[backend_name, mode]

    return find


@pytest.fixture(scope="module")
def twin_results(batch: Any, weights: dict[str, np.ndarray]) -> dict[str, Result]:
    """What PyTorch makes of it in float64, by mode."""
    results = {}
    for mode in MODES:
        twin = TwinModel().double().load_canonical(weights).train(mode == "train")
        loss = loss_of(twin, batch)
        loss.backward()
        statistics = {path: value.numpy() for path, value in twin.named_by_path().items() if not value.is_leaf or not value.requires_grad}
        results[mode] = Result(loss.item(), twin.canonical_gradients(), statistics)
    return results


def _result(batch: Any, weights: dict[str, np.ndarray], data: Dataset, mode: str) -> Result:
    model, loss = TEMPLATE.make_model(data), FashionMnistLoss()
    model.load_state_dict(weights).train(mode == "train")
    inputs, outputs = batch

    def run(image: Any, class_id: Any) -> Any:
        return babel_dl.value_and_grad(lambda: loss(model(image=image), type(outputs)(class_id)), model)

    value, gradients = babel_dl.compile(run)(ops.asarray(inputs.image), ops.asarray(outputs.class_id))
    paths = [variable.path for variable in model.trainable_variables]
    statistics = {variable.path: variable.numpy() for variable in model.untrainable_variables}
    return Result(float(value), {path: g.numpy() for path, g in zip(paths, gradients, strict=True)}, statistics)


def assert_close(found: Result, expected: Result) -> None:
    """Loss, each gradient and each statistic, by its norm.

    A gradient of less than a hundredth of the whole is a small difference of large sums; it is compared with that hundredth.
    """
    assert found.loss == pytest.approx(expected.loss, rel=TOLERANCE)
    assert found.gradients.keys() == expected.gradients.keys()
    assert found.statistics.keys() == expected.statistics.keys()
    whole = np.sqrt(sum(np.sum(np.square(gradient, dtype=np.float64)) for gradient in expected.gradients.values()))
    errors = {path: _error(found.gradients[path], gradient, whole / 100) for path, gradient in expected.gradients.items()}
    errors |= {path: _error(found.statistics[path], value, 1e-3) for path, value in expected.statistics.items()}
    assert {path: error for path, error in errors.items() if error > TOLERANCE} == {}


def _error(found: np.ndarray, expected: np.ndarray, least: float) -> float:
    assert found.shape == expected.shape
    return float(np.linalg.norm(found.astype(np.float64) - expected) / max(np.linalg.norm(expected), least))


@pytest.mark.parametrize("mode", MODES)
def test_loss_and_gradients_are_those_of_pytorch_in_float64(
    backend_name: str, mode: str, result_of: Callable[[str, str], Result], twin_results: dict[str, Result]
):
    assert_close(result_of(backend_name, mode), twin_results[mode])


@pytest.mark.parametrize("mode", MODES)
def test_loss_and_gradients_are_the_same_on_all_backends(
    backend_names: tuple[str, ...], mode: str, result_of: Callable[[str, str], Result]
):
    for one, other in combinations(backend_names, 2):
        assert_close(result_of(one, mode), result_of(other, mode))


@pytest.mark.parametrize("mode", MODES)
def test_logits_are_those_of_pytorch_in_float64(backend_name: str, mode: str, batch: Any, weights: dict[str, np.ndarray], data: Dataset):
    twin = TwinModel().double().load_canonical(weights).train(mode == "train")
    with torch.no_grad():
        expected = twin(torch.from_numpy(batch[0].image).double().permute(0, 3, 1, 2)).numpy()
    with babel_dl.use_backend(backend_name):
        model = TEMPLATE.make_model(data).load_state_dict(weights).train(mode == "train")
        assert _error(model(batch[0].image).class_id.numpy(), expected, 0.0) <= TOLERANCE
