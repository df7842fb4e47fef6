"""PyTorch: one step of the MLP as its manual shows it, in a process that does nothing else."""

from __future__ import annotations

from benchmarks.starting.process import contestant

__all__ = ["contestant"]


def main() -> None:
    """Trains a step."""
    import torch
    from torch import nn

    from benchmarks.starting.process import example

    images, labels = map(torch.from_numpy, example())
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(net.parameters(), 0.001, momentum=0.95, nesterov=True)
    loss = nn.CrossEntropyLoss()(net(images.float() / 255.0), labels.long())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    loss.item()
    print("trained", flush=True)


if __name__ == "__main__":
    main()
