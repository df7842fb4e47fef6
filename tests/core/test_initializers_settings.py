"""Initializers with settings: moments from the formulas of PyTorch and Keras, orthogonality, identity."""

from typing import Any

import keras
import numpy as np
import pytest
import torch

from babel_dl import use_backend
from babel_dl.core.initializers import (
    Constant,
    Identity,
    Normal,
    Orthogonal,
    TruncatedNormal,
    Uniform,
    VarianceScaling,
    find_initializer,
)
from babel_dl.errors import ArgumentError
from babel_dl.model.layers import Conv2D, Embedding, FullyConnected

SHAPE = (3, 5, 20, 40)
FAN_IN, FAN_OUT = 3 * 5 * 20, 3 * 5 * 40


def draw(initializer: Any, shape: tuple[int, ...] = SHAPE, seed: int = 0) -> np.ndarray:
    return find_initializer(initializer)(shape, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("initializer", "mean", "variance", "limit"),
    [
        (Normal(0.02, mean=1.0), 1.0, 0.02**2, np.inf), (Normal(0.0), 0.0, 0.0, 0.0), (Uniform(-1, 3), 1.0, 16 / 12, 2.0),
        (TruncatedNormal(0.5), 0.0, 0.25 * 0.8796256610342398**2, 1.0),
        (TruncatedNormal(2.0, mean=-1.0, cut=1.0), -1.0, 4 * 0.29112509, 2.0),
        ("truncated_normal", 0.0, 0.8796256610342398**2, 2.0), ("lecun_normal", 0.0, 1 / FAN_IN, np.inf),
        ("lecun_uniform", 0.0, 1 / FAN_IN, np.sqrt(3 / FAN_IN)), ("kaiming_normal", 0.0, 2 / FAN_IN, np.inf),
        ("kaiming_uniform", 0.0, 2 / FAN_IN, np.sqrt(6 / FAN_IN)), (VarianceScaling(3.0, "fan_out"), 0.0, 3 / FAN_OUT, np.inf),
        (VarianceScaling(0.5, "fan_avg", "uniform"), 0.0, 1 / (FAN_IN + FAN_OUT), np.sqrt(3 / (FAN_IN + FAN_OUT))),
        (VarianceScaling(2.0, "fan_in", "truncated_normal"), 0.0, 2 / FAN_IN, 2 * np.sqrt(2 / FAN_IN) / 0.8796256610342398),
    ],
)  # fmt: skip
def test_values_have_the_moments_and_the_range_of_the_formula(initializer: Any, mean: float, variance: float, limit: float) -> None:
    values = draw(initializer).astype(np.float64)
    assert abs(values.mean() - mean) <= 4 * np.sqrt(variance / values.size)
    np.testing.assert_allclose(values.var(), variance, rtol=4 * np.sqrt(2 / values.size))
    assert np.abs(values - mean).max() <= limit * (1 + 1e-6)


@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
@pytest.mark.parametrize("distribution", ["uniform", "normal", "truncated_normal"])
def test_scaled_variances_are_kerass(mode: str, distribution: str) -> None:
    theirs = {"normal": "untruncated_normal"}.get(distribution, distribution)
    wanted = np.asarray(keras.initializers.VarianceScaling(1.7, mode, theirs, seed=1)(SHAPE))
    ours = draw(VarianceScaling(1.7, mode, distribution))
    np.testing.assert_allclose(ours.std(), wanted.std(), rtol=6 / np.sqrt(ours.size))
    if distribution != "normal":
        np.testing.assert_allclose(np.abs(ours).max(), np.abs(wanted).max(), rtol=0.01)


def test_a_third_over_the_fan_in_is_how_pytorchs_layers_start() -> None:
    torch.manual_seed(0)
    theirs, ours = torch.nn.Conv2d(20, 40, (3, 5)).weight.detach().numpy(), draw(VarianceScaling(1 / 3, "fan_in", "uniform"))
    np.testing.assert_allclose(np.abs(ours).max(), np.abs(theirs).max(), rtol=1e-3)
    np.testing.assert_allclose(ours.std(), theirs.std(), rtol=0.02)


@pytest.mark.parametrize("shape", [(8, 8), (20, 6), (6, 20), (3, 3, 4, 10), (3, 3, 2, 40), (5, 3, 8), (1, 7)])
@pytest.mark.parametrize("gain", [1.0, 1.4])
def test_the_shorter_side_is_orthogonal(shape: tuple[int, ...], gain: float) -> None:
    matrix = draw(Orthogonal(gain), shape).reshape(-1, shape[-1]).astype(np.float64)
    product = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(product, gain**2 * np.eye(len(product)), atol=1e-6)


def test_orthogonal_matrices_are_drawn_without_preference() -> None:
    """Over Haar's measure every entry has mean 0 and variance 1 / n; LAPACK's own choice of signs has not."""
    rng = np.random.default_rng(0)
    many = np.stack([Orthogonal()((4, 4), rng) for _ in range(4000)])
    assert np.abs(many.mean(0)).max() < 4 * np.sqrt(1 / 4 / 4000)
    np.testing.assert_allclose((many**2).mean(0), 0.25, atol=0.02)


def test_an_identity_keeps_the_channels() -> None:
    np.testing.assert_array_equal(draw("identity", (3, 5)), np.eye(3, 5))
    np.testing.assert_array_equal(draw(Identity(2.0), (4, 4)), 2 * np.eye(4))
    x = np.random.default_rng(0).normal(size=(2, 6, 5, 3)).astype(np.float32)
    with use_backend("torch"):
        for window in (3, (1, 5), 1):
            np.testing.assert_allclose(Conv2D(3, window, initializer="identity")(x).numpy(), x, rtol=1e-6)


def test_a_constant_is_everywhere() -> None:
    assert (draw(Constant(0.25), (2, 3)) == 0.25).all() and draw(Constant(-1), ()).dtype == np.float32


@pytest.mark.parametrize(
    "initializer", [Constant(1.0), Uniform(0, 1), Normal(), TruncatedNormal(), VarianceScaling(), Orthogonal, Identity]
)
def test_the_generator_alone_decides(initializer: Any) -> None:
    assert draw(initializer, seed=3).tobytes() == draw(initializer, seed=3).tobytes()
    assert draw(initializer).dtype == np.float32 and draw(initializer).shape == SHAPE
    empty = draw(initializer, (0, 4))
    assert empty.shape == (0, 4)


def test_layers_take_names_instances_and_classes() -> None:
    x = np.ones((2, 4), np.float32)
    with use_backend("torch"):
        named, made, of_class = (FullyConnected(4, initializer=i) for i in ("orthogonal", Orthogonal(), Orthogonal))
        values = [layer.build_from(x).weight.numpy() for layer in (named, made, of_class)]
        assert (Embedding(3, 4, initializer=Constant(2.0))(np.array([1])).numpy() == 2.0).all()
    np.testing.assert_array_equal(values[0], values[1])
    np.testing.assert_array_equal(values[0], values[2])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Uniform(1.0, 1.0), "Uniform needs low below high, and got 1.0 and 1.0"),
        (lambda: Normal(-1.0), "Normal needs a std of at least 0, and got -1.0"),
        (lambda: TruncatedNormal(float("nan")), "TruncatedNormal needs a std of at least 0, and got nan"),
        (lambda: TruncatedNormal(1.0, cut=0.0), "needs a cut of at least 0.1 standard deviations, and got 0.0"),
        (lambda: VarianceScaling(0.0), "VarianceScaling needs a scale above 0, and got 0.0"),
        (lambda: VarianceScaling(1.0, "fan_inn"), "VarianceScaling has no mode 'fan_inn'. Did you mean 'fan_in'"),
        (lambda: VarianceScaling(1.0, distribution="unform"), "has no distribution 'unform'. Did you mean 'uniform'"),
        (lambda: draw("orthogonal", (4,)), r"Orthogonal makes matrices and kernels, .*got the shape \(4,\)"),
        (lambda: draw("identity", ()), r"Identity makes matrices and kernels, .*got the shape \(\)"),
        (lambda: find_initializer(Constant), r"Constant needs arguments: initializer=Constant\(...\)"),
        (lambda: find_initializer(3), r"An initializer is a name or a function of \(shape, generator\), and 3 is neither"),
        (lambda: find_initializer("orthogonl"), "There is no initializer 'orthogonl'. Did you mean 'orthogonal'"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()
