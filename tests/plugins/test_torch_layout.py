"""On PyTorch channels last costs nothing: no tensor is moved in memory, by a layer or by an update. And `inductor` compiles a step once."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from babel_dl import ops
from babel_dl.core import Module, Tensor, compile, value_and_grad
from babel_dl.model.layers import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    FullyConnected,
    GlobalAveragePooling2D,
    MaxPooling2D,
    Sequential,
)
from babel_dl.training.optimizers import SGD, Adam, AdamW, Optimizer

pytestmark = [pytest.mark.parametrize("backend_name", ["torch"]), pytest.mark.usefixtures("backend")]

MOVES = {"clone", "copy_", "_to_copy", "contiguous", "_reshape_copy", "constant_pad_nd", "cat", "index", "as_strided_copy"}
"""PyTorch's operations that write elements to other places and calculate nothing."""

SHAPES = [(4, 12, 12, 3), (4, 28, 28, 1), (1, 12, 12, 3)]


def make_images(shape: tuple[int, ...]) -> Tensor:
    return ops.asarray(np.random.default_rng(0).normal(size=shape).astype(np.float32))


def make_network(images: Tensor) -> Sequential:
    """A built network with every kind of layer that works on images."""
    network = Sequential(
        BatchNormalization(), Conv2D(8, (3, 3)), Activation("relu"), MaxPooling2D(),
        BatchNormalization(), Conv2D(4, (3, 3), padding="valid"), Activation("relu"), AveragePooling2D(),
        Conv2D(6, (1, 1)), GlobalAveragePooling2D(), FullyConnected(10),
    )  # fmt: skip
    network(images)
    return network


def loss_and_gradients(network: Module, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    return value_and_grad(lambda: ops.mean(ops.square(network(images))), network)


def operations_of(run: Callable[[], Any]) -> list[tuple[str, int]]:
    """What PyTorch's core was asked to do, backwards too: the operation's name, and the number of axes of its result."""
    from torch import Tensor as Native
    from torch.utils._python_dispatch import TorchDispatchMode

    found: list[tuple[str, int]] = []

    class Journal(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            found.append((func._overloadpacket.__name__, result.ndim if isinstance(result, Native) else 0))
            return result

    with Journal():
        run()
    return found


def moves_of(run: Callable[[], Any]) -> list[tuple[str, int]]:
    """The operations that moved more than a vector: running statistics are vectors, and are replaced in each step."""
    return [(name, ndim) for name, ndim in operations_of(run) if name in MOVES and ndim > 1]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_step_of_a_convolutional_network_moves_no_data(shape: tuple[int, ...]) -> None:
    images = make_images(shape)
    network, optimizer = make_network(images), SGD(0.01)

    def step() -> None:
        optimizer.apply(loss_and_gradients(network, images)[1], network.trainable_variables)

    step()
    assert moves_of(step) == []


def test_a_move_would_be_seen() -> None:
    images = make_images(SHAPES[0]).native
    assert moves_of(lambda: images.permute(0, 3, 1, 2).contiguous()) == [("clone", 4)]
    assert moves_of(lambda: images.permute(0, 3, 1, 2).reshape(4, -1)) == [("clone", 4)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_what_each_layer_gives_is_contiguous_with_channels_last(shape: tuple[int, ...]) -> None:
    images = make_images(shape)
    for layer in make_network(images).layers:
        images = layer(images)
        assert images.native.is_contiguous(), layer


def test_kernels_are_dense_leaves_whose_oihw_view_is_channels_last() -> None:
    import torch

    network = make_network(make_images(SHAPES[0]))
    kernels = [variable for variable in network.trainable_variables if len(variable.shape) == 4]
    assert [kernel.shape for kernel in kernels] == [(3, 3, 3, 8), (3, 3, 8, 4), (1, 1, 4, 6)]
    for kernel in kernels:
        view = kernel.native.permute(3, 2, 0, 1)
        assert kernel.native.is_leaf
        assert view.is_contiguous(memory_format=torch.channels_last)
        assert view.untyped_storage().nbytes() == view.numel() * view.element_size()


def test_gradients_have_the_strides_of_their_parameters() -> None:
    images = make_images(SHAPES[0])
    network = make_network(images)
    _, gradients = loss_and_gradients(network, images)
    for variable, gradient in zip(network.trainable_variables, gradients, strict=True):
        assert gradient.native.stride() == variable.native.stride(), variable.path


@pytest.mark.parametrize(
    ("make_optimizer", "kernel"),
    [(SGD, "_fused_sgd_"), (partial(SGD, momentum=0.0), "_fused_sgd_"), (Adam, "_fused_adam_"), (AdamW, "_fused_adamw_")],
    ids=["SGD with momentum", "SGD", "Adam", "AdamW"],
)
def test_all_parameters_are_updated_by_one_fused_kernel(make_optimizer: Callable[[float], Optimizer], kernel: str) -> None:
    images = make_images(SHAPES[0])
    network, optimizer = make_network(images), make_optimizer(0.1)
    _, gradients = loss_and_gradients(network, images)
    optimizer.apply(gradients, network.trainable_variables)
    names = [name for name, _ in operations_of(lambda: optimizer.apply(gradients, network.trainable_variables))]
    assert [name for name in names if name.startswith(("_fused", "_foreach"))] == [kernel]


def test_inductor_compiles_a_step_once_and_trains_as_pytorch_does() -> None:
    import torch

    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(5, 16, 6)).astype(np.float32)
    targets = rng.normal(size=(5, 16, 3)).astype(np.float32)
    layer, optimizer, runs = FullyConnected(3), SGD(0.1, momentum=0.9), []
    layer(ops.asarray(inputs[0]))
    twin = torch.nn.Linear(6, 3)
    with torch.no_grad():
        twin.weight.copy_(torch.from_numpy(layer.weight.numpy().T))
        twin.bias.copy_(torch.from_numpy(layer.bias.numpy()))
    native = torch.optim.SGD(twin.parameters(), 0.1, momentum=0.9, nesterov=True)

    def step(x: Tensor, y: Tensor) -> Tensor:
        runs.append(x)
        loss, gradients = value_and_grad(lambda: ops.mean(ops.square(layer(x) - y)), layer)
        optimizer.apply(gradients, layer.trainable_variables)
        return loss

    compiled = compile(step, "inductor")
    for x, y in zip(inputs, targets, strict=True):
        wanted = torch.nn.functional.mse_loss(twin(torch.from_numpy(x)), torch.from_numpy(y))
        native.zero_grad()
        wanted.backward()
        native.step()
        np.testing.assert_allclose(float(compiled(x, y)), wanted.item(), rtol=1e-5)
    assert len(runs) == 2  # as it is, which makes what is missing; then to be written down
    np.testing.assert_allclose(layer.weight.numpy(), twin.weight.detach().numpy().T, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(layer.bias.numpy(), twin.bias.detach().numpy(), rtol=1e-4, atol=1e-6)
