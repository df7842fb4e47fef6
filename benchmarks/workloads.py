"""What is measured, and who takes part."""

from __future__ import annotations

from importlib.util import find_spec
from typing import NamedTuple

from benchmarks.protocol import Setup

NATIVE = ("ours", "manual", "best")
OTHERS = ("keras", "lightning", "barebones")
NAMES = {
    "ours": "babel_dl", "manual": "manual", "best": "best", "keras": "Keras", "lightning": "Lightning", "barebones": "Lightning barebones",
}  # fmt: skip


class Workload(NamedTuple):
    """A row of the tables: the folder of its contestants, who they are, what is done, and whether its process' memory is compared."""

    folder: str
    styles: tuple[str, ...]
    title: str
    has_memory: bool = True


WORKLOADS = {
    "mlp": Workload("training", (*NATIVE, *OTHERS), "a training step of the MLP 784-64-10, batch 32"),
    "cnn": Workload("training", (*NATIVE, *OTHERS), "a training step of the tutorial's CNN, batch 32"),
    "conv": Workload("training", (*NATIVE, *OTHERS), "a training step of conv 32/64/128 + dense 256, batch 256, Adam"),
    "dcgan": Workload("custom_step", NATIVE, "a step of a convolutional GAN with two Adams, batch 64"),
    "gan": Workload("custom_step", NATIVE, "a step of a dense GAN with two Adams, batch 64"),
    "inference": Workload("inference", (*NATIVE, "keras"), "answers of conv 32/64/128 + dense 256"),
    "loader": Workload("loading", NATIVE, "a batch of uint8 images as a float tensor", has_memory=False),
    "start": Workload("starting", ("ours", "manual"), "from a new process to the end of the first step of the MLP", has_memory=False),
    "depth": Workload("depth", NATIVE, "a training step of dense layers of width 16, batch 4", has_memory=False),
}

FILES = {"keras": "with_keras", "lightning": "with_lightning", "barebones": "with_lightning"}
PACKAGES = {"keras": "keras", "lightning": "lightning", "barebones": "lightning"}


def module_of(setup: Setup) -> str:
    """The module whose `contestant` competes."""
    file = "ours" if setup.style == "ours" else FILES.get(setup.style, f"native_{setup.backend}")
    return f"benchmarks.{WORKLOADS[setup.workload].folder}.{file}"


def takes_part(setup: Setup) -> bool:
    """Whether somebody competes in a workload on a backend, and is installed."""
    if setup.style not in WORKLOADS[setup.workload].styles:
        return False
    if PACKAGES.get(setup.style) == "lightning" and setup.backend != "torch":
        return False
    return setup.style not in PACKAGES or find_spec(PACKAGES[setup.style]) is not None
