"""`torch.compile(fullgraph=True)` takes our modules as they are, and what `to_native` makes of them, without a break in the graph."""

from typing import Any

import numpy as np
import pytest
import torch

from babel_dl.core import Module
from babel_dl.model.layers import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dropout,
    FullyConnected,
    GlobalAveragePooling2D,
    LayerNorm,
    MaxPooling2D,
    Sequential,
)

pytestmark = [
    pytest.mark.parametrize("backend_name", ["torch"]),
    pytest.mark.usefixtures("backend"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # PyTorch's compiler uses what PyTorch deprecates
]

IMAGES = torch.tensor(np.random.default_rng(0).normal(size=(4, 12, 12, 3)).astype(np.float32))


@pytest.fixture(autouse=True)
def fresh_compiler() -> None:
    """Nothing compiled before counts."""
    torch._dynamo.reset()


def make_network() -> Sequential:
    """A built network of our layers, with batch norm and dropout; the same values each time."""
    network = Sequential(
        Conv2D(8, 3), BatchNormalization(), Activation("relu"), MaxPooling2D(), Conv2D(8, 3, stride=2, padding=1), BatchNormalization(),
        Activation("gelu"), Dropout(0.3), AveragePooling2D(), GlobalAveragePooling2D(), LayerNorm(), FullyConnected(6, activation="tanh"),
        Dropout(0.5), FullyConnected(10),
    )  # fmt: skip
    network(IMAGES)
    return network


class Mixed(Module):
    """Our layers and PyTorch's, with several results."""

    def __init__(self) -> None:
        super().__init__()
        self.first = Conv2D(4, 3)
        self.native = torch.nn.Sequential(torch.nn.Conv2d(4, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU())
        self.last = FullyConnected(2)

    def call(self, x: Any) -> dict[str, Any]:
        x = self.native(self.first(x))
        return {"map": x, "logits": self.last(x.mean((1, 2)))}


def agree(first: Any, second: Any) -> None:
    """The same values, to rounding."""
    torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("is_exported", [False, True])
def test_a_network_compiles_without_graph_breaks(training: bool, is_exported: bool) -> None:
    network, twin = make_network().train(training), make_network().train(training)
    target = network.to_native() if is_exported else network
    compiled = torch.compile(target, fullgraph=True, backend="aot_eager")
    for _ in range(3):
        agree(compiled(IMAGES), twin(IMAGES))
    for name, value in twin.state_dict().items():
        np.testing.assert_allclose(network.state_dict()[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
    assert network.state_dict()["/layers/7/random/counter"] == (4 if training else 1)


def test_it_is_one_graph_and_the_second_call_uses_the_first_ones() -> None:
    counted = torch._dynamo.testing.CompileCounter()
    compiled = torch.compile(make_network().to_native(), fullgraph=True, backend=counted)
    for _ in range(3):
        compiled(IMAGES)
    assert counted.frame_count == 1


def test_the_report_of_pytorch_counts_no_graph_break() -> None:
    for target in (make_network(), make_network().to_native()):
        report = torch._dynamo.explain(target)(IMAGES)
        assert (report.graph_break_count, report.graph_count) == (0, 1), report.break_reasons


@pytest.mark.parametrize("training", [True, False])
def test_a_compiled_export_is_trained_by_pytorch(training: bool) -> None:
    compiled_one, eager_one = make_network().train(training), make_network().train(training)
    histories = []
    for network, wrap in ((compiled_one, True), (eager_one, False)):
        native = network.to_native()
        run = torch.compile(native, fullgraph=True, backend="aot_eager") if wrap else native
        optimizer, losses = torch.optim.SGD(native.parameters(), lr=0.1), []
        for _ in range(5):
            optimizer.zero_grad()
            loss = run(IMAGES).square().mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        histories.append(losses)
    np.testing.assert_allclose(histories[0], histories[1], rtol=1e-3)
    assert histories[0][-1] < histories[0][0]


def test_gradients_reach_the_variables_of_a_module_that_is_compiled_as_it_is() -> None:
    network, twin = make_network().eval(), make_network().eval()
    torch.compile(network, fullgraph=True, backend="aot_eager")(IMAGES).sum().backward()
    twin(IMAGES).sum().backward()
    for variable, wanted in zip(network.trainable_variables, twin.trainable_variables, strict=True):
        agree(variable.native.grad, wanted.native.grad)


@pytest.mark.parametrize("training", [True, False])
def test_native_modules_inside_of_ours_compile_with_them(training: bool) -> None:
    model = Mixed()
    model(IMAGES)
    for target in (model.train(training), model.to_native()):
        before = model.native.native[1].num_batches_tracked.item()
        found = torch.compile(target, fullgraph=True, backend="aot_eager")(IMAGES)
        assert model.native.native[1].num_batches_tracked.item() == before + training
        model.eval()
        if not training:
            agree(found, model(IMAGES))
        model.train(training)


def test_inductor_compiles_what_was_exported() -> None:
    network = Sequential(FullyConnected(8, activation="relu"), BatchNormalization(), Dropout(0.2), FullyConnected(2))
    x = IMAGES.reshape(4, -1)[:, :6].contiguous()
    network(x)
    twin = Sequential(FullyConnected(8, activation="relu"), BatchNormalization(), Dropout(0.2), FullyConnected(2))
    twin(x)
    compiled = torch.compile(network.to_native(), fullgraph=True)
    for _ in range(2):
        agree(compiled(x), twin(x))
    for name, value in twin.state_dict().items():
        np.testing.assert_allclose(network.state_dict()[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
