"""How far the losses of the MNIST GAN's first steps are apart between PyTorch and another backend.

    python -m benchmarks.gan_losses                          TensorFlow and JAX, and PyTorch a second time
    python -m benchmarks.gan_losses --backend jax --steps 50

The runs are those of `examples/mnist/gan.py`: its networks, its data, its ten epochs' learning rates, and its seed unless `--seed` says
another one. They are stopped after so many steps, and the losses of each step are compared, not means. Nothing is judged or drawn.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

import babel_dl
from babel_dl.core import logging
from babel_dl.training.callbacks import Callback
from benchmarks.contestants import PACKAGES
from examples.mnist.curves import Curves
from examples.mnist.data import SEED
from examples.mnist.gan import train

EPOCHS = 10
MARKS = (20, 50, 100, 200)
LOSSES = ("loss/g", "loss/d")


class Stop(Callback):
    """Ends a run early, its schedule being that of the whole run.

    Args:
        steps: After how many steps.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_step_end(self, trainer: Any) -> None:
        """Looks at the step."""
        if trainer.step >= self.steps:
            trainer.stop(f"the first {self.steps} steps are enough.")


def losses(backend: str, steps: int, seed: int, data: str) -> np.ndarray:
    """The losses of the first steps on a backend, (steps, 2): the generator's and the discriminator's."""
    curves = Curves()
    with babel_dl.use_backend(backend, "cpu"), babel_dl.use_seed(seed):
        train(data, EPOCHS, None, [curves, Stop(steps)], log_every=1, run_folder=False)
    return np.array([curves.values[name] for name in LOSSES]).T


def differences(found: np.ndarray, judge: np.ndarray) -> dict[str, Any]:
    """The largest differences within the first steps: absolute ones by loss and mark, and relative ones within all steps."""
    apart = np.abs(found - judge)
    marks = sorted({mark for mark in MARKS if mark < len(apart)} | {len(apart)})
    by_mark = {name: [float(apart[:mark, place].max()) for mark in marks] for place, name in enumerate(LOSSES)}
    relative = (apart / np.abs(judge)).max(axis=0)
    return {"steps": len(apart), "marks": marks, **by_mark, "relative": [float(value) for value in relative]}


def main() -> None:
    """Prints a row for each backend."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", action="append", choices=tuple(PACKAGES), help="may be repeated; all by default")
    parser.add_argument("--steps", type=int, default=MARKS[-1], help="how many")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of first weights, order and noise ({SEED})")
    parser.add_argument("--data", choices=("full", "mini"), default="full", help="all of MNIST, or the clothes that come with babel_dl")
    parser.add_argument("--out", type=Path, default=None, help="a JSON file for the figures")
    arguments = parser.parse_args()
    before = logging.set_console(lambda line: None)  # only the table
    settings = (arguments.steps, arguments.seed, arguments.data)
    judge = losses("torch", *settings)
    rows = {backend: differences(losses(backend, *settings), judge) for backend in arguments.backend or PACKAGES}
    logging.set_console(before)
    marks = next(iter(rows.values()))["marks"]
    print("| against torch | loss | " + " | ".join(f"{mark} steps" for mark in marks) + " | relative |")
    print("|---" * (3 + len(marks)) + "|")
    for backend, row in rows.items():
        for place, name in enumerate(LOSSES):
            print(f"| {backend} | {name} | " + " | ".join(f"{value:.0e}" for value in row[name]) + f" | {row['relative'][place]:.0e} |")
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
