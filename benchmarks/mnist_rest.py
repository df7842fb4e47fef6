"""The tasks of seeds 001, 002 and 004 for `python -m benchmarks.mnist`: each runs an example, and holds its numbers against the seed's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.mnist import Row, Task, run_example

SCRATCH_LINEAR, SCRATCH_CNN, RESNET, LAB = 0.9251, 0.9666, 0.9925, 0.9793
"""What the seeds printed, and what each backend must reach; the last one must be beaten."""


def run_scratch(model: str, backend: str, data_dir: Path, out_dir: Path) -> dict[str, Any]:
    """The results of one model of `examples/mnist_from_scratch`, 20 epochs.

    Args:
        model: "raw", "linear" or "cnn".
        backend: Where it runs.
        data_dir: Where MNIST is.
        out_dir: For what it writes.
    """
    found = run_example("examples.mnist_from_scratch", backend, data_dir, out_dir, "--model", model, "--epochs", "20")
    return found["results"][model]


def run_scratch_linear(backend: str, data_dir: Path, out_dir: Path) -> Row:
    """The linear model from raw tensors, on what the post calls test and on the true test images."""
    found = run_scratch("raw", backend, data_dir, out_dir)
    return {
        "accuracy, post's test": found["accuracy"],
        "loss, post's test": found["loss"],
        "accuracy, true test": found["true_accuracy"],
        "reached": found["accuracy"] >= SCRATCH_LINEAR,
    }


def run_scratch_cnn(backend: str, data_dir: Path, out_dir: Path) -> Row:
    """The convolutional network with the loop of layers, optimizer and loader."""
    found = run_scratch("cnn", backend, data_dir, out_dir)
    return {
        "accuracy, post's test": found["accuracy"],
        "loss, post's test": found["loss"],
        "accuracy, true test": found["true_accuracy"],
        "validation loss": found["validation"][-1],
        "reached": found["accuracy"] >= SCRATCH_CNN,
        "keep": {"validation": found["validation"]},
    }


def run_resnet(backend: str, data_dir: Path, out_dir: Path) -> Row:
    """The residual network, trained twice: accuracy on all 10,000 test images, and whether the final weights have the same bits."""
    folders = [out_dir / "first", out_dir / "second"]
    for folder in folders:
        folder.mkdir()
    first, second = (run_example("examples.mnist_resnet", backend, data_dir, folder, "--epochs", "10") for folder in folders)
    is_same = first["digest"] == second["digest"]
    return {
        "best valid": first["best"],
        "last valid": first["dev"][-1],
        "last train": first["train"][-1],
        "two runs, same bits": "yes" if is_same else "no",
        "reached": first["best"] >= RESNET and is_same,
        "keep": {name: first[name] for name in ("train", "dev", "digest")},
    }


def run_lab(backend: str, data_dir: Path, out_dir: Path) -> Row:
    """The lab's network, tested on images from 0 to 255 as the lab does it, and from 0 to 1 as it was trained."""
    found = run_example("examples.mnist_lab", backend, data_dir, out_dir, "--epochs", "20")
    right, as_in_the_post = found["accuracy"], found["accuracy_as_in_the_post"]
    return {
        "accuracy, 0 to 1": right,
        "accuracy, 0 to 255": as_in_the_post,
        "cost, epoch 1": found["costs"][0],
        "cost, epoch 20": found["costs"][-1],
        "reached": right > LAB,
        "keep": {"costs": found["costs"]},
    }


TASKS = {
    "scratch_linear": Task(
        "Seed 001: the linear model from raw tensors",
        f"20 epochs, accuracy >= {SCRATCH_LINEAR} on what the post calls test",
        run_scratch_linear,
        {"accuracy, post's test": SCRATCH_LINEAR, "loss, post's test": 0.2707},
    ),
    "scratch_cnn": Task(
        "Seed 001: the convolutional network with the same loop",
        f"20 epochs, accuracy >= {SCRATCH_CNN} on what the post calls test",
        run_scratch_cnn,
        {"accuracy, post's test": SCRATCH_CNN, "loss, post's test": 0.1135, "validation loss": 0.0009 * 125},
    ),
    "resnet": Task(
        "Seed 002: the residual network",
        f"10 epochs, seed 12, best accuracy >= {RESNET} on all 10,000 test images; two runs with the same bits",
        run_resnet,
        {"best valid": 0.9925, "last valid": 0.9924, "last train": 0.9996},
    ),
    "lab": Task(
        "Seed 004: the lab's network",
        f"20 epochs, accuracy above {LAB}",
        run_lab,
        {"accuracy, 0 to 255": LAB, "cost, epoch 1": 0.218764, "cost, epoch 20": 0.002687},
    ),
}
