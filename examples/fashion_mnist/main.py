"""Trains a classifier on Fashion-MNIST, on the backend of your choice.

    python main.py                                     the 6,000 images that come with babel_dl
    python main.py --backend jax                       the same on another framework; BABEL_DL_BACKEND=jax does it too
    python main.py --data full --epochs 10             all 60,000 images
    python main.py --set train_batch_size=64 --set train_momentum=0.9
"""

import argparse
import os
import sys

from configs.fashion_mnist import FashionMnistConfig, QuickConfig
from training.train import train

import babel_dl
from babel_dl.core import logging


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="auto", help="torch, tensorflow, jax or auto")
    parser.add_argument("--device", default=None, help="cpu, cuda:0, ...")
    parser.add_argument("--data", choices=("full", "mini"), default="mini", help="all images, or the subset that comes with babel_dl")
    parser.add_argument("--epochs", type=int, default=None, help="how many epochs to train")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change any field of the configuration")
    parser.add_argument("--resume", default=None, metavar="FILE", help="a checkpoint to go on from, written on any backend")
    parser.add_argument("--logs", default=".logs", help="where the folder of the run is made")
    return parser.parse_args()


def main() -> None:
    """Sets up the run, trains, and says where the results are."""
    arguments = parse_arguments()
    config = (QuickConfig if arguments.data == "mini" else FashionMnistConfig)(arguments.data)
    config.override(arguments.set)
    if arguments.epochs is not None:
        config.train_epochs = arguments.epochs

    logging.set_logger(os.path.join(arguments.logs, f"{logging.get_timestamp()}_FashionMNIST", "log.txt"))
    babel_dl.set_backend(arguments.backend, arguments.device)
    for line in str(config).splitlines():
        logging.info(line)
    metrics = train(config, arguments.resume)
    logging.info(f"Dev accuracy {metrics['metrics/ca']:.1%}. Results: {logging.get_log_path()}")


if __name__ == "__main__":
    try:
        main()
    except babel_dl.BabelError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
