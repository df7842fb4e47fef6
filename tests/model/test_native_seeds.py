"""The networks of seeds 000, 001, 002 and 004, their classes as written there: in our trainer they learn what their own loop learns."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.nn.init as init

from babel_dl.core import NativeModule, TensorSpec
from babel_dl.training.optimizers import SGD, Adam
from tests.model.native_examples import BATCH, batches, make_trainer, pictures

pytestmark = [pytest.mark.parametrize("backend_name", ["torch"]), pytest.mark.usefixtures("backend")]


class SimpleConvClassifier(nn.Sequential):
    """Seed 000, without the line that registers it."""

    def __init__(self, in_channels: int, num_classes: int):
        super().__init__(
            nn.Conv2d(in_channels, 16, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.BatchNorm2d(16),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.BatchNorm2d(32),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.BatchNorm2d(64),
            nn.MaxPool2d(2),
            nn.Conv2d(64, 128, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(1),
            nn.Linear(128, num_classes),
        )


class Lambda(nn.Module):
    """Seed 001."""

    def __init__(self, func):
        super(Lambda, self).__init__()  # noqa: UP008  (as written)
        self.func = func

    def forward(self, x):
        return self.func(x)


def cnn_of_seed_001() -> nn.Module:
    """Seed 001: the model of its last program."""
    return nn.Sequential(
        Lambda(lambda x: x.view(-1, 1, 28, 28)),
        nn.Conv2d(1, 16, kernel_size=3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 16, kernel_size=3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 10, kernel_size=3, stride=2, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(4),
        Lambda(lambda x: x.view(x.size(0), -1)),
    )


class ResBlock(nn.Module):
    """Seed 002."""

    def __init__(self, nf):
        super().__init__()

        self.conv1 = nn.Conv2d(nf, nf, kernel_size=3, stride=1, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(nf)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(nf, nf, kernel_size=3, stride=1, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(nf)

    def forward(self, x):
        o = self.conv1(x)
        o = self.bn1(o)
        o = self.relu(o)
        o = self.conv2(o)
        o = self.bn2(o)
        o = o + x
        o = self.relu(o)
        return o


# kernel of 3x3, stride of 2 and padding 1
def convk3s2p1(ni, nf):
    """Seed 002."""
    return nn.Sequential(
        nn.Conv2d(ni, nf, 3, 2, 1, bias=False),
        nn.BatchNorm2d(nf),
        nn.ReLU()
    )  # fmt: skip


def resnet_of_seed_002() -> nn.Module:
    """Seed 002, without the move to a GPU."""
    return nn.Sequential(
        convk3s2p1(1, 8),
        ResBlock(8),
        convk3s2p1(8, 16),
        ResBlock(16),
        convk3s2p1(16, 32),
        ResBlock(32),
        convk3s2p1(32, 16),
        convk3s2p1(16, 10),
        nn.Flatten()
    )  # fmt: skip


class MNIST_CNN(nn.Module):
    """Seed 004."""

    def __init__(self):
        super().__init__()
        # Layer 1: ImageInput Shape=(?, 1, 28, 28)
        # Conv   : ImageOutput Shape=(?, 32, 28, 28)
        # Pool   : ImageOutput Shape=(?, 32, 14, 14)
        self.layer1 = nn.Sequential(
            nn.Conv2d(1, 32, kernel_size = 3, stride = 1, padding = 1),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size = 2, stride = 2)
        )
        # Layer 2: ImageInput Shape=(?, 32, 14, 14)
        # Conv   : ImageOutput Shape=(?, 64, 14, 14)
        # Pool   : ImageOutput Shape=(?, 64, 7, 7)
        self.layer2 = nn.Sequential(
            nn.Conv2d(32, 64, kernel_size = 3, stride = 1, padding = 1),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size = 2, stride = 2),
        )
        # Final Fully Connected
        # 7 x 7 x 64 inputs => 10 outputs
        self.fc = nn.Linear(7 * 7 * 64, 10)
        init.xavier_uniform_(self.fc.weight)

    def forward(self, x):
        out = self.layer1(x)
        out = self.layer2(out)
        #print(out.size()) #torch.size([100, 64, 7, 7])
        out = out.view(out.size(0), -1) # Flatten for FC
        out = self.fc(out)
        return out


SEEDS: dict[str, tuple[Callable[[], nn.Module], Callable[..., Any], Callable[..., Any], int]] = {
    "000": (lambda: SimpleConvClassifier(1, 10), partial(Adam, 1e-3), partial(torch.optim.Adam, lr=1e-3), 98_666),
    "001": (cnn_of_seed_001, partial(SGD, 0.1, 0.9, nesterov=False), partial(torch.optim.SGD, lr=0.1, momentum=0.9), 3_930),
    "002": (resnet_of_seed_002, partial(SGD, 0.02, 0.9, nesterov=False), partial(torch.optim.SGD, lr=0.02, momentum=0.9), 36_460),
    "004": (MNIST_CNN, partial(Adam, 1e-3), partial(torch.optim.Adam, lr=1e-3), 50_186),
}
"""The network, our optimizer, PyTorch's, and the number of parameters that CHECKLIST.md counts (for 004: counted by hand)."""


def its_own_loop(model: nn.Module, optimizer: torch.optim.Optimizer, data: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """The loop that all four have, on pictures with the channels first."""
    model.train()
    for images, labels in data:
        optimizer.zero_grad()
        output = model(torch.tensor(images).reshape(-1, 1, 28, 28))
        F.cross_entropy(output, torch.tensor(labels).long()).backward()
        optimizer.step()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_network_of_a_seed_learns_in_our_trainer_what_it_learns_in_its_own_loop(seed: str) -> None:
    make, ours, theirs, num_parameters = SEEDS[seed]
    torch.manual_seed(12)
    model = make()
    torch.manual_seed(12)
    twin = make()
    data = pictures(48, size=28)
    trainer = make_trainer(model, ours())
    trainer.fit(data.to_dataloader(batch_size=BATCH), epochs=1)
    its_own_loop(twin, theirs(twin.parameters()), batches(1, data))
    assert sum(parameter.numel() for parameter in model.parameters()) == num_parameters
    trained, wanted = model.state_dict(), twin.state_dict()
    torch.manual_seed(12)
    start = make().state_dict()
    for name, value in wanted.items():
        moved = (value.double() - start[name].double()).norm().item()
        difference = (trained[name].double() - value.double()).norm().item()
        assert difference <= 1e-3 * moved + 1e-6, f"{name} is {difference:.1e} apart after it moved by {moved:.1e}"
    assert list(trainer.model.named_variables) == ["/" + name.replace(".", "/") for name in wanted]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_network_of_a_seed_is_built_from_shapes_and_predicts(seed: str) -> None:
    torch.manual_seed(12)
    native = SEEDS[seed][0]()
    model = NativeModule(native).build_from(TensorSpec((None, 28, 28, 1)))
    image = np.random.default_rng(0).random((28, 28, 1), np.float32)
    found = model.predict(image=image)
    with torch.no_grad():
        wanted = native.eval()(torch.from_numpy(image).reshape(1, 1, 28, 28))
    np.testing.assert_allclose(found, wanted[0].numpy(), rtol=1e-4, atol=1e-5)
