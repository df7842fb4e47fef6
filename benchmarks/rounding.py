"""How far rounding carries the losses of the seed's CNN apart, with the seed's momentum and without any.

    python -m benchmarks.rounding                     eight seeds
    python -m benchmarks.rounding --seeds 3

Within a comparison the same initial weights and batches, 100 free steps. Printed is the largest relative difference of the losses so far:
of one hand-written PyTorch loop in float32 from itself in float64, which shows what the network does with rounding, and of babel_dl on
TensorFlow and on JAX from babel_dl on PyTorch.
"""

from __future__ import annotations

import argparse
import copy

import numpy as np
import torch
from torch import nn

import babel_dl
from babel_dl.core import logging
from babel_dl.data import ArrayDataset
from babel_dl.training import SupervisedTrainer
from babel_dl.training.optimizers import SGD
from benchmarks.training import ours, task
from benchmarks.training.native_torch import network

MARKS = (20, 50, 100)
BATCH_SIZE = task.SETTINGS["cnn"].batch_size


def started(seed: int) -> nn.Module:
    """The network by hand, with initial weights drawn as babel_dl draws them: Glorot's, and biases of 0."""
    torch.manual_seed(seed)
    net = network("cnn")
    for layer in net.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return net


def losses(net: nn.Module, seed: int, momentum: float, dtype: torch.dtype) -> np.ndarray:
    """The losses of the first 100 steps in one precision."""
    net = copy.deepcopy(net).to(dtype)
    optimizer = torch.optim.SGD(net.parameters(), task.LEARNING_RATE, momentum=momentum, nesterov=momentum > 0)
    found = []
    for _, (image, label) in zip(range(MARKS[-1]), task.batches("cnn", seed), strict=False):
        x = torch.from_numpy(image).permute(0, 3, 1, 2).to(dtype)
        loss = nn.functional.cross_entropy(net(x), torch.from_numpy(label).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return np.array(found)


def backend_losses(backend: str, seed: int, momentum: float) -> np.ndarray:
    """The losses of the first 100 steps of babel_dl on a backend."""
    images, labels = task.arrays()
    with babel_dl.use_backend(backend, "cpu"), babel_dl.use_seed(seed):
        data = ArrayDataset(ours.Inputs(images), ours.Outputs(labels)).to_dataloader(BATCH_SIZE, drop_last=True)
        optimizer = SGD(task.LEARNING_RATE, momentum)
        trainer = SupervisedTrainer(ours.Classifier("cnn"), ours.CrossEntropy(), optimizer, callbacks=[])
        trainer.prepare(next(iter(data.batches(0))))
        steps = [trainer.compiled_train_step(batch) for _, batch in zip(range(MARKS[-1]), data.batches(0), strict=False)]
        return np.array([float(trainer.backend.to_numpy(values["loss/total"])) for values in steps])


def row(what: str, momentum: float, seed: int, found: np.ndarray, judge: np.ndarray) -> str:
    """The largest relative difference after 20, 50 and 100 steps."""
    differences = np.abs(found - judge) / judge
    return f"| {what} | {momentum} | {seed} | " + " | ".join(f"{differences[:mark].max():.0e}" for mark in MARKS) + " |"


def main() -> None:
    """Prints a row for each seed and momentum."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8, help="how many initial weights and orders to try")
    arguments = parser.parse_args()
    logging.set_console(lambda line: None)  # only the table
    print("| compared | momentum | seed | " + " | ".join(f"{mark} steps" for mark in MARKS) + " |")
    print("|---" * (3 + len(MARKS)) + "|")
    for momentum in (task.MOMENTUM, 0.0):
        for seed in range(arguments.seeds):
            net = started(seed)
            single, double = (losses(net, seed, momentum, dtype) for dtype in (torch.float32, torch.float64))
            print(row("PyTorch by hand, float32 and float64", momentum, seed, single, double))
            judge = backend_losses("torch", seed, momentum)
            for backend in ("tensorflow", "jax"):
                print(row(f"babel_dl, {backend} and torch", momentum, seed, backend_losses(backend, seed, momentum), judge), flush=True)


if __name__ == "__main__":
    main()
