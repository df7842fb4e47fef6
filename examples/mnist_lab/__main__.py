"""The convolutional network of "Lab 10.1: CNN with MNIST Classifier" (Deep Learning By Torch).

    python -m examples.mnist_lab                        20 epochs
    python -m examples.mnist_lab --backend jax          the same on another framework; BABEL_DL_BACKEND=jax does it too
    python -m examples.mnist_lab --data mini --epochs 2 without MNIST: clothes that come with babel_dl
"""

from babel_dl import SPLIT_TEST
from babel_dl.core import logging
from examples.mnist_lab.train import logits_of, train
from examples.shared import command_line
from examples.shared.digits import class_names, load_digits
from examples.shared.pictures import Panel, draw_curves, draw_mistakes
from examples.shared.report import say, table, write_metrics

POST_COSTS = [
    0.218764, 0.059633, 0.044625, 0.034336, 0.029625, 0.024517, 0.020366, 0.017550, 0.014864, 0.012578,
    0.009982, 0.009161, 0.007706, 0.008041, 0.005679, 0.004700, 0.003399, 0.005507, 0.003623, 0.002687,
]  # fmt: skip
POST_ACCURACY = 0.9793


def main() -> None:
    """Trains, tests in the lab's way and in the right one, and prints both beside the lab's number."""
    arguments = command_line.make_parser(__doc__ or "", epochs=20, seed=1).parse_args()
    command_line.start(arguments, "MnistLab")
    model, costs = train(arguments.data, arguments.epochs)
    images, labels = load_digits(arguments.data, SPLIT_TEST)
    logits = logits_of(model, images)
    right = float((logits.argmax(axis=1) == labels).mean())
    as_in_the_lab = float((logits_of(model, images, as_in_the_lab=True).argmax(axis=1) == labels).mean())
    say(
        table(
            ("test accuracy", "the post", "ours"),
            [("images from 0 to 255, as the post tests", POST_ACCURACY, as_in_the_lab), ("images from 0 to 1, as it trains", None, right)],
        )
    )
    curves = {"ours": costs, "the post": POST_COSTS} if arguments.data == "full" else {"ours": costs}
    draw_curves([Panel("cost", curves, is_log=True)], "curves.png")
    draw_mistakes(images, labels, logits, class_names(arguments.data), "Test images", "mistakes.png")
    metrics = {"epochs": arguments.epochs, "costs": costs, "accuracy": right, "accuracy_as_in_the_post": as_in_the_lab}
    path = write_metrics("mnist_lab", arguments.data, metrics)
    logging.info(f"Results: {path.parent}")


if __name__ == "__main__":
    command_line.run(main)
