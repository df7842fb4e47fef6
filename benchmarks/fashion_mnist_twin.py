"""The tutorial's training written by hand in PyTorch, on all of Fashion-MNIST: prints dev accuracy and loss by epoch as JSON."""

from __future__ import annotations

import json
import math
import sys

import torch
from torch import nn

from babel_dl.data import load_images
from benchmarks.training.native_torch import network


def tensors(split: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (n, 1, 28, 28), float32 from 0 to 255, and labels (n,)."""
    images, labels = load_images("fashion_mnist", split, data="full")
    return torch.from_numpy(images).unsqueeze(1).float(), torch.from_numpy(labels).long()


def main(epochs: int) -> None:
    """Trains and prints."""
    torch.manual_seed(0)
    (x_train, y_train), (x_dev, y_dev) = tensors("train"), tensors("dev")
    net = network("cnn")
    for parameter in net.parameters():
        if parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.001, momentum=0.95, nesterov=True)
    decay = math.exp(-0.1 / (len(x_train) / 32))
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, decay)
    criterion = nn.CrossEntropyLoss()
    accuracies, losses = [], []
    for _ in range(epochs):
        net.train()
        for chosen in torch.randperm(len(x_train)).split(32):
            loss = criterion(net(x_train[chosen]), y_train[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
        net.eval()
        with torch.no_grad():
            logits = torch.cat([net(batch) for batch in x_dev.split(500)])
        accuracies.append((logits.argmax(1) == y_dev).float().mean().item())
        losses.append(criterion(logits, y_dev).item())
    print(json.dumps({"accuracy": accuracies, "loss": losses}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
