"""The same training in plain PyTorch: as the manuals show it, and as well as we know how."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from benchmarks import task


def network(model: str) -> nn.Module:
    """The seed's CNN, or the MLP 784-64-10."""
    if model == "mlp":
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
    blocks: list[nn.Module] = []
    for before, filters in ((1, 12), (12, 18), (18, 18)):
        blocks += [nn.BatchNorm2d(before), nn.Conv2d(before, filters, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    blocks += [nn.BatchNorm2d(18), nn.Conv2d(18, 18, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(18)]
    return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(18, 18), nn.ReLU(), nn.Linear(18, 10))


def make_round(model: str, style: str) -> Callable[[int], float]:
    """A function that trains one epoch and returns its mean loss.

    Style "manual" is the usual loop, "best" has channels last and a fused optimizer.
    """
    images, labels = task.arrays()
    net, is_best, step = network(model), style == "best", 0
    if is_best:
        net = net.to(memory_format=torch.channels_last)
    options = {"fused": True} if is_best else {}
    optimizer = torch.optim.SGD(net.parameters(), task.LEARNING_RATE, momentum=task.MOMENTUM, nesterov=True, **options)
    criterion = nn.CrossEntropyLoss()

    def run(epoch: int) -> float:
        nonlocal step
        losses, hits = [], []
        for image, label in task.batches(images, labels, epoch):
            for group in optimizer.param_groups:
                group["lr"] = task.learning_rate(step)
            x = torch.from_numpy(image).permute(0, 3, 1, 2).float()
            x = x / 255.0 if model == "mlp" else x
            x = x.to(memory_format=torch.channels_last) if is_best else x.contiguous()
            y = torch.from_numpy(label).long()
            logits = net(x)
            loss = criterion(logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
            hits.append((logits.detach().argmax(1) == y).float().mean())
            step += 1
        torch.stack(hits).mean().item()
        return torch.stack(losses).mean().item()

    return run
