"""PyTorch: as the manual shows it; and with a fused optimizer."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.depth import task
from benchmarks.protocol import Contestant, Setup


def contestant(setup: Setup) -> Contestant:
    """The twin of a style."""
    return task.deepened(lambda depth: _round(depth, setup.style == "best"))


def _round(depth: int, is_best: bool) -> Callable[[int], float]:
    layers: list[nn.Module] = []
    values = iter(task.weights(depth))
    for matrix in values:
        layer = nn.Linear(task.WIDTH, task.WIDTH)
        layer.load_state_dict({"weight": torch.from_numpy(matrix.T.copy()), "bias": torch.from_numpy(next(values))})
        layers += [layer, nn.ReLU()]
    net = nn.Sequential(*layers[:-1])
    rule = torch.optim.SGD(net.parameters(), task.RATE, momentum=task.MOMENTUM, nesterov=True, fused=is_best)

    def run(number: int) -> float:
        losses = []
        for x, y in task.batches(number):
            loss = F.cross_entropy(net(torch.from_numpy(x)), torch.from_numpy(y).long())
            rule.zero_grad()
            loss.backward()
            rule.step()
            losses.append(loss.detach())
        return torch.stack(losses).mean().item()

    return run
