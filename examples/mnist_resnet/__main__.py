"""A small residual network on MNIST, after the post "PyTorch | The missing manual on loading and training MNIST dataset".

    python -m examples.mnist_resnet                          10 epochs
    python -m examples.mnist_resnet --backend tensorflow     the same on another framework; BABEL_DL_BACKEND=tensorflow does it too
    python -m examples.mnist_resnet --twice                  trains a second time, and compares the final weights bit by bit
    python -m examples.mnist_resnet --data mini --epochs 2   without MNIST: clothes that come with babel_dl
"""

import sys

from babel_dl import SPLIT_TEST
from babel_dl.core import TensorSpec, logging
from examples.mnist_resnet.model import ResNet
from examples.mnist_resnet.train import Training, train
from examples.shared import command_line
from examples.shared.digits import class_names, load_digits
from examples.shared.pictures import Panel, draw_curves, draw_mistakes
from examples.shared.report import say, table, write_metrics

POST_TRAIN = [0.90745, 0.97888, 0.98458, 0.98873, 0.99149, 0.99309, 0.99571, 0.99798, 0.99910, 0.99958]
POST_DEV = [0.96803, 0.98222, 0.98160, 0.98705, 0.99034, 0.98993, 0.99229, 0.99250, 0.99239, 0.99239]
"""What the post printed; its dev accuracy is that of 9,728 of the 10,000 images, for its loader drops the last batch."""


def accuracy_table(training: Training) -> str:
    """The accuracies of each epoch, beside those of the post."""
    ours = list(zip(training.train, training.dev, strict=True))
    posts = [*zip(POST_TRAIN, POST_DEV, strict=True), *[(None, None)] * len(ours)]
    rows = [(epoch, *posts[epoch - 1], *pair) for epoch, pair in enumerate(ours, 1)]
    return table(("epoch", "train: the post", "valid: the post", "train: ours", "valid: ours"), rows)


def draw_pictures(training: Training, data: str) -> None:
    """The accuracies, the schedule, and the mistakes."""
    accuracies = {"train": training.train, "valid": training.dev}
    if data == "full":
        accuracies |= {"the post, train": POST_TRAIN, "the post, valid": POST_DEV}
    steps = range(training.schedule.num_steps)
    draw_curves(
        [
            Panel("accuracy", accuracies),
            Panel("learning rate", {"OneCycle": [training.schedule(step) for step in steps]}, "step"),
            Panel("momentum", {"OneCycle": [training.schedule.momentum(step) or 0.0 for step in steps]}, "step"),
        ],
        "curves.png",
    )
    images, labels = load_digits(data, SPLIT_TEST)
    draw_mistakes(images, labels, training.logits, class_names(data), "Test images", "mistakes.png")


def main() -> None:
    """Trains, and prints the accuracies of each epoch beside those of the post."""
    parser = command_line.make_parser(__doc__ or "", epochs=10, seed=12)
    parser.add_argument("--twice", action="store_true", help="train a second time, and fail if one bit of the weights differs")
    arguments = parser.parse_args()
    command_line.start(arguments, "MnistResnet")
    say(ResNet().build_from(TensorSpec((None, 28, 28, 1), "uint8")).summary())
    training = train(arguments.data, arguments.epochs)
    say(accuracy_table(training))
    logging.info(f"Best valid accuracy {max(training.dev):.4f}, the post's {max(POST_DEV):.4f}.")
    logging.info(f"Digest of the final weights: {training.digest}")
    draw_pictures(training, arguments.data)
    metrics = {"train": training.train, "dev": training.dev, "best": max(training.dev), "digest": training.digest}
    path = write_metrics("mnist_resnet", arguments.data, {"epochs": arguments.epochs, **metrics})
    logging.info(f"Results: {path.parent}")
    if arguments.twice:
        again = train(arguments.data, arguments.epochs).digest
        logging.info(f"Digest of the second run:     {again}")
        if again != training.digest:
            sys.exit("The two runs differ.")
        logging.info("The two runs agree in every bit.")


if __name__ == "__main__":
    command_line.run(main)
