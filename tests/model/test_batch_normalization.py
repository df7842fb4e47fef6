"""Running statistics, against torch.nn.BatchNorm over several steps."""

from typing import Any

import numpy as np
import pytest
import torch

from babel_dl import ops
from babel_dl.backend import Backend
from babel_dl.core import value_and_grad
from babel_dl.errors import ArgumentError, ShapeError
from babel_dl.model.layers import BatchNormalization, LayerNorm

RNG = np.random.default_rng(0)
IMAGES = [(RNG.normal(2.0, 3.0, (4, 5, 6, 3)) * (1 + i)).astype(np.float32) for i in range(4)]
ROWS = [RNG.normal(-1.0, 2.0, (7, 3)).astype(np.float32) for _ in range(4)]


def assert_same_state(layer: BatchNormalization, judge: Any) -> None:
    for name, value in judge.state_dict().items():
        np.testing.assert_allclose(layer.state_dict()[f"/{name}"], value.numpy(), rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("momentum", (0.1, 0.7, 0.0, 1.0, None))
@pytest.mark.parametrize("affine", (True, False))
def test_running_statistics_move_as_pytorchs(backend: Backend, momentum: float | None, affine: bool) -> None:
    layer = BatchNormalization(eps=1e-3, momentum=momentum, affine=affine)
    judge = torch.nn.BatchNorm2d(3, eps=1e-3, momentum=momentum, affine=affine)
    for x in IMAGES:
        y, wanted = layer(x), judge(torch.tensor(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        np.testing.assert_allclose(y.numpy(), wanted.detach().numpy(), rtol=1e-4, atol=1e-5)
        assert_same_state(layer, judge)
    assert layer.num_batches_tracked.item() == 4
    layer.eval(), judge.eval()
    wanted = judge(torch.tensor(IMAGES[0]).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    np.testing.assert_allclose(layer(IMAGES[0]).numpy(), wanted.detach().numpy(), rtol=1e-4, atol=1e-5)
    assert_same_state(layer, judge)


def test_rows_are_normalised_as_by_batch_norm_1d(backend: Backend) -> None:
    layer, judge = BatchNormalization(), torch.nn.BatchNorm1d(3)
    for x in ROWS:
        np.testing.assert_allclose(layer(x).numpy(), judge(torch.tensor(x)).detach().numpy(), rtol=1e-4, atol=1e-5)
    assert_same_state(layer, judge)


def test_without_running_statistics_the_batch_is_used_in_evaluation(backend: Backend) -> None:
    layer = BatchNormalization(track_running_stats=False)
    judge = torch.nn.BatchNorm1d(3, track_running_stats=False).eval()
    trained = layer(ROWS[0]).numpy()
    np.testing.assert_allclose(layer.eval()(ROWS[0]).numpy(), trained, rtol=1e-6)
    np.testing.assert_allclose(trained, judge(torch.tensor(ROWS[0])).detach().numpy(), rtol=1e-4, atol=1e-5)
    assert list(layer.state_dict()) == ["/weight", "/bias"]


def test_scale_and_offset_are_trained_and_statistics_are_not(backend: Backend) -> None:
    layer = BatchNormalization()
    layer(ROWS[0])
    assert {path: v.trainable for path, v in layer.named_variables.items()} == {
        "/weight": True, "/bias": True, "/running_mean": False, "/running_var": False, "/num_batches_tracked": False,
    }  # fmt: skip
    plain = BatchNormalization(affine=False)
    plain(ROWS[0])
    assert plain.trainable_variables == []


def test_statistics_can_be_switched_to_evaluation_for_one_layer(backend: Backend) -> None:
    layer = BatchNormalization()
    layer(ROWS[0])
    before = layer.state_dict()
    layer.eval()
    value_and_grad(lambda: ops.sum(layer(ops.asarray(ROWS[1]))), layer)
    for path, value in layer.state_dict().items():
        np.testing.assert_array_equal(value, before[path])


def test_one_element_has_a_variance_of_zero(backend: Backend) -> None:
    layer = BatchNormalization(momentum=0.5)
    np.testing.assert_allclose(layer(np.full((1, 2), 3.0, np.float32)).numpy(), np.zeros((1, 2)), atol=1e-3)
    assert layer.running_var.numpy().tolist() == [0.5, 0.5]
    assert layer.running_mean.numpy().tolist() == [1.5, 1.5]


def test_large_means_do_not_spoil_the_variance(backend: Backend) -> None:
    x = (RNG.normal(0.0, 1.0, (64, 4)) + 1000).astype(np.float32)
    wanted = (x.astype(np.float64) - x.mean(0, np.float64)) / np.sqrt(x.var(0, dtype=np.float64) + 1e-5)
    np.testing.assert_allclose(BatchNormalization()(x).numpy(), wanted, atol=2e-2)


@pytest.mark.parametrize("momentum", (-0.1, 1.5, float("nan")))
def test_a_momentum_is_a_share(momentum: float) -> None:
    with pytest.raises(ArgumentError, match=f"BatchNormalization needs a momentum from 0 to 1, or None, and got {momentum}"):
        BatchNormalization(momentum=momentum)


@pytest.mark.parametrize("layer", (BatchNormalization, LayerNorm))
@pytest.mark.parametrize("eps", (0.0, -1e-5, float("nan")))
def test_eps_is_above_zero(layer: type, eps: float) -> None:
    with pytest.raises(ArgumentError, match=f"{layer.__name__} needs eps above 0, and got {eps}"):
        layer(eps=eps)


def test_layer_norm_refuses_other_sizes_than_it_was_built_for(backend: Backend) -> None:
    layer = LayerNorm(num_axes=2)
    layer(IMAGES[0])
    with pytest.raises(ShapeError, match=r"LayerNorm got an input of shape \(4, 5, 3, 3\).\n  It was built .* for last axes of \(6, 3\)"):
        layer(IMAGES[0][:, :, :3])
    with pytest.raises(ArgumentError, match="LayerNorm needs num_axes of at least 1, and got 0"):
        LayerNorm(num_axes=0)
