"""MNIST from raw tensors to a convolutional network, after the post "Learn MNIST in PyTorch from Scratch to CNN".

    python -m examples.mnist_from_scratch                        three models, 20 epochs each
    python -m examples.mnist_from_scratch --backend jax          the same on another framework; BABEL_DL_BACKEND=jax does it too
    python -m examples.mnist_from_scratch --model cnn --epochs 5
    python -m examples.mnist_from_scratch --data mini            without MNIST: clothes that come with babel_dl
"""

from typing import Any

import numpy as np

from babel_dl.core import Module, logging
from babel_dl.training.optimizers import SGD, Optimizer
from babel_dl.training.optimizers.learning_rates import Cosine
from examples.mnist_from_scratch import raw_tensors
from examples.mnist_from_scratch.data import Data, as_dataset, generate_validation_set, read_data
from examples.mnist_from_scratch.models import Linear, make_cnn
from examples.mnist_from_scratch.pictures import draw_weights
from examples.mnist_from_scratch.with_layers import Loop
from examples.shared import command_line
from examples.shared.digits import class_names
from examples.shared.pictures import Panel, draw_curves, draw_mistakes
from examples.shared.report import say, table, write_metrics

POST_ACCURACY = {"raw": 0.9251, "linear": 0.9251, "cnn": 0.9666}
POST_LOSS = {"raw": 0.2707, "linear": 0.2707, "cnn": 0.1135}
POST_VALIDATION = {
    "linear": [32, 28, 26, 25, 24, 24, 23, 23, 23, 22, 22, 22, 22, 22, 22, 22, 22, 21, 22, 21],
    "cnn": [42, 20, 18, 17, 15, 12, 15, 13, 12, 11, 11, 12, 11, 13, 10, 10, 10, 10, 10, 9],
}
"""What the post printed after each epoch, in 1/10,000; 125 times too small, see `with_layers.Loop.test`."""

BATCH_SIZE = 64


def make_linear(num_steps: int) -> tuple[Module, Optimizer]:
    """The linear model and its optimizer, for so many steps."""
    return Linear(), SGD(0.1, momentum=0.0)


def make_convolutional(num_steps: int) -> tuple[Module, Optimizer]:
    """The convolutional network and its optimizer: all that changes for it, for most of the code remains the same."""
    return make_cnn(), SGD(Cosine(0.3, num_steps), momentum=0.9, nesterov=False)


MAKERS = {"linear": make_linear, "cnn": make_convolutional}


def run_raw(data: Data, names: tuple[str, ...], epochs: int, seed: int) -> dict[str, Any]:
    """Part 1: the linear model from raw tensors, on all 50,000 images."""
    parameters = raw_tensors.make_parameters(seed)
    raw_tensors.train(parameters, data.train, epochs)
    logging.info("testing...")
    loss, accuracy = raw_tensors.test(parameters, data.post_test)
    logging.info(f"loss={loss:.4f}, accuracy={accuracy:.4f}")
    logging.info("testing done.")
    true_loss, true_accuracy = raw_tensors.test(parameters, data.true_test)
    draw_weights(parameters.weights.numpy(), names, "weights.png")
    return {"loss": loss, "accuracy": accuracy, "true_loss": true_loss, "true_accuracy": true_accuracy}


def run_loop(kind: str, data: Data, names: tuple[str, ...], epochs: int) -> dict[str, Any]:
    """Part 2: a model with layers; 45,000 images to train on, and 5,000 for validation."""
    train, valid = generate_validation_set(data.train)
    train_loader = as_dataset(train).to_dataloader(BATCH_SIZE)
    valid_loader, post_loader, true_loader = (
        as_dataset(part).to_dataloader(2 * BATCH_SIZE, shuffle=False) for part in (valid, data.post_test, data.true_test)
    )
    loop = Loop(*MAKERS[kind](epochs * len(train_loader)))
    validation = loop.train(train_loader, valid_loader, epochs)
    logging.info("testing...")
    loss, accuracy = loop.test(post_loader)
    logging.info(f"loss={loss:.4f}, accuracy={accuracy:.4f}")
    logging.info("testing done.")
    true_loss, true_accuracy = loop.test(true_loader)
    images = np.round(data.true_test.x * 256).reshape(-1, 28, 28)
    draw_mistakes(images, data.true_test.y, loop.logits(data.true_test.x), names, f"{kind}, true test", f"mistakes_{kind}.png")
    return {"loss": loss, "accuracy": accuracy, "true_loss": true_loss, "true_accuracy": true_accuracy, "validation": validation}


def draw_validation(results: dict[str, dict[str, Any]], has_post: bool) -> None:
    """The validation losses, beside those of the post."""
    curves = {kind: result["validation"] for kind, result in results.items() if "validation" in result}
    if has_post:
        curves |= {f"the post, {kind}, times 125": [value / 10000 * 125 for value in POST_VALIDATION[kind]] for kind in curves}
    if curves:
        draw_curves([Panel("validation loss", curves, is_log=True)], "curves.png")


def main() -> None:
    """Trains what was asked for, and prints the table."""
    parser = command_line.make_parser(__doc__ or "", epochs=20, seed=0)
    parser.add_argument("--model", choices=("raw", "linear", "cnn", "all"), default="all", help="the linear model from raw tensors, ...")
    arguments = parser.parse_args()
    command_line.start(arguments, "MnistFromScratch")
    data, names = read_data(arguments.data), class_names(arguments.data)
    results: dict[str, dict[str, Any]] = {}
    for kind in ("raw", "linear", "cnn") if arguments.model == "all" else (arguments.model,):
        logging.info(f"--- {kind}")
        is_raw = kind == "raw"
        results[kind] = run_raw(data, names, arguments.epochs, arguments.seed) if is_raw else run_loop(kind, data, names, arguments.epochs)
    draw_validation(results, has_post=arguments.data == "full")
    say(
        table(
            ("model", "post's test: the post", "loss", "ours", "loss", "true test: ours", "loss"),
            [
                (kind, POST_ACCURACY[kind], POST_LOSS[kind], r["accuracy"], r["loss"], r["true_accuracy"], r["true_loss"])
                for kind, r in results.items()
            ],
        )
    )
    path = write_metrics("mnist_from_scratch", arguments.data, {"epochs": arguments.epochs, "results": results})
    logging.info(f"Results: {path.parent}")


if __name__ == "__main__":
    command_line.run(main)
