"""Task 1 of the post: a classifier of four convolutions.

    python -m examples.mnist.classification                     one epoch
    python -m examples.mnist.classification --backend jax       the same on another framework; BABEL_DL_BACKEND=jax does it too
    python -m examples.mnist.classification --data mini         without MNIST: clothes that come with babel_dl
"""

import numpy as np

import babel_dl
from babel_dl import SPLIT_DEV
from babel_dl.core import Module, logging
from babel_dl.training import FitResult
from examples.mnist import simple_conv  # noqa: F401  (registers the network's name)
from examples.mnist.data import SEED, SOURCES, samples
from examples.shared import command_line
from examples.shared.digits import class_names
from examples.shared.pictures import draw_mistakes
from examples.shared.report import say, table, write_metrics

POST = 0.9804
"""The post's dev accuracy after one epoch."""

SCHEDULE = {"name": "warmup", "start_factor": 1 / 3, "schedule": "cosine"}
"""From a third of the rate up to all of it, as in the post, within a tenth of the steps; then down to 0 at the end of the run."""


def train(data: str, epochs: int, run_folder: bool | None = None) -> FitResult:
    """Trains a fresh network.

    Args:
        data: "full" or "mini".
        epochs: How many.
        run_folder: None for checkpoints and history in the folder of the run; False for no files.
    """
    return babel_dl.fit(
        SOURCES[data],
        "simple_conv",
        {"in_channels": 1, "num_classes": 10},
        loss="cross_entropy",
        metrics="acc",
        optimizer="adam",
        schedule=SCHEDULE,
        epochs=epochs,
        batch_size=16,
        run_folder=run_folder,
    )


def logits_of(model: Module, images: np.ndarray) -> np.ndarray:
    """A classifier's answers to many images, (samples, classes).

    Args:
        model: A trained classifier.
        images: (samples, height, width, channels), uint8.
    """
    model.eval()
    return np.concatenate([model(part).numpy() for part in np.array_split(images, max(1, len(images) // 250))])


def main() -> None:
    """Trains, prints the dev accuracy beside the post's, and draws what was taken for something else."""
    parser = command_line.make_parser(__doc__ or "", epochs=1, seed=SEED)
    arguments = parser.parse_args()
    command_line.start(arguments, "MnistClassification")
    result = train(arguments.data, arguments.epochs)
    images, labels = samples(arguments.data, SPLIT_DEV)
    logits = logits_of(result.model, images)
    accuracy = float((logits.argmax(axis=1) == labels).mean())
    say(table(("run", "epochs", "dev accuracy"), [("the post", 1, POST), (babel_dl.get_backend(), arguments.epochs, accuracy)]))
    draw_mistakes(images[:, :, :, 0], labels, logits, class_names(arguments.data), "Dev images", "mistakes.png")
    path = write_metrics("mnist_classification", arguments.data, {"epochs": arguments.epochs, "accuracy": accuracy})
    logging.info(f"Results: {path.parent}")


if __name__ == "__main__":
    command_line.run(main)
