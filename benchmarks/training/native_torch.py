"""The same training in plain PyTorch: as the manuals show it, and as well as we know how. That is, for the MLP, steps as one compiled graph
(forward, gradients, update), eleven of them in a call; where there are convolutions channels-last tensors and a fused optimizer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.protocol import Contestant, Setup
from benchmarks.training import task

STEPS_PER_CALL = 11
"""It divides the 187 steps of an epoch. More make the compilation longer, and no step faster."""


def contestant(setup: Setup) -> Contestant:
    """The twin of a style."""
    model = setup.workload
    if setup.style == "best" and model == "mlp":
        return task.trained(model, _one_graph())
    return task.trained(model, _loop(model, setup.style == "best"))


def network(model: str) -> nn.Sequential:
    """The network of a workload, with PyTorch's own first weights."""
    if model == "mlp":
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
    blocks: list[nn.Module] = []
    if model == "conv":
        for before, filters in ((1, 32), (32, 64), (64, 128)):
            blocks += [nn.Conv2d(before, filters, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(3 * 3 * 128, 256), nn.ReLU(), nn.Linear(256, 10))
    for before, filters in ((1, 12), (12, 18), (18, 18)):
        blocks += [nn.BatchNorm2d(before), nn.Conv2d(before, filters, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    blocks += [nn.BatchNorm2d(18), nn.Conv2d(18, 18, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(18)]
    return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(18, 18), nn.ReLU(), nn.Linear(18, 10))


def loaded(model: str) -> nn.Sequential:
    """The network with the task's first weights."""
    net = network(model)
    values = [value for name, value in task.weights(model).items() if name.startswith(("kernel", "weight"))]
    layers = [layer for layer in net if isinstance(layer, (nn.Conv2d, nn.Linear))]
    with torch.no_grad():
        for layer, value in zip(layers, values, strict=True):
            kernel = torch.from_numpy(value)
            layer.weight.copy_(kernel.permute(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return net


def _loop(model: str, is_best: bool) -> Callable[[int], float]:
    net, done, memory = loaded(model), 0, torch.channels_last if is_best else torch.contiguous_format
    net.to(memory_format=memory)  # type: ignore[call-overload]
    if task.SETTINGS[model].rule == "adam":
        rule: Any = torch.optim.Adam(net.parameters(), task.LEARNING_RATE, (task.BETA1, task.BETA2), task.EPS, fused=is_best)
    else:
        rule = torch.optim.SGD(net.parameters(), task.LEARNING_RATE, momentum=task.MOMENTUM, nesterov=True, fused=is_best)
    criterion = nn.CrossEntropyLoss()

    def run(epoch: int) -> float:
        nonlocal done
        losses, hits = [], []
        for image, label in task.batches(model, epoch):
            for group in rule.param_groups:
                group["lr"] = task.learning_rate(done)
            x = torch.from_numpy(image).permute(0, 3, 1, 2).float()
            x = (x / 255.0 if model == "mlp" else x).contiguous(memory_format=memory)
            y = torch.from_numpy(label).long()
            logits = net(x)
            loss = criterion(logits, y)
            rule.zero_grad()
            loss.backward()
            rule.step()
            losses.append(loss.detach())
            hits.append((logits.detach().argmax(1) == y).float().mean())
            done += 1
        torch.stack(hits).mean().item()
        return torch.stack(losses).mean().item()

    return run


def _one_graph() -> Callable[[int], float]:
    weights = [torch.from_numpy(value) for value in task.weights("mlp").values()]
    momenta, sums, done = [torch.zeros_like(w) for w in weights], torch.zeros(2), 0
    images, labels = task.arrays()

    def loss_of(weights: list[torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = torch.relu(torch.addmm(weights[1], x, weights[0]))
        logits = torch.addmm(weights[3], hidden, weights[2])
        return F.cross_entropy(logits, y), (logits.argmax(1) == y).float().mean()

    def steps(image: torch.Tensor, label: torch.Tensor, rates: torch.Tensor) -> None:
        for x, y, rate in zip(image.float() / 255.0, label.long(), rates, strict=True):
            gradients, (loss, hits) = torch.func.grad_and_value(loss_of, has_aux=True)(weights, x, y)
            for w, m, g in zip(weights, momenta, gradients, strict=True):
                m.mul_(task.MOMENTUM).add_(g)
                w.sub_(rate * (g + task.MOMENTUM * m))
            sums.add_(torch.stack((loss, hits)))

    compiled = torch.compile(steps, fullgraph=True, dynamic=False)

    def run(epoch: int) -> float:
        nonlocal done
        order = task.order("mlp", epoch)
        rates = torch.from_numpy(task.learning_rates(done, len(order)))
        sums.zero_()
        for first in range(0, len(order), STEPS_PER_CALL):
            chosen = order[first : first + STEPS_PER_CALL]
            image = torch.from_numpy(images.take(chosen.reshape(-1), 0, mode="clip")).view(*chosen.shape, 784)
            compiled(image, torch.from_numpy(np.take(labels, chosen)), rates[first : first + STEPS_PER_CALL])
        done += len(order)
        return float(sums[0]) / len(order)

    return run
