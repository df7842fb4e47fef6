"""The command line of an example, and the folder of its run."""

import argparse
import os
import sys
from collections.abc import Callable

import babel_dl
from babel_dl.core import logging


def make_parser(description: str, epochs: int, seed: int) -> argparse.ArgumentParser:
    """The options that all examples have; an example adds its own.

    Args:
        description: What `--help` shows above the options.
        epochs: The default of `--epochs`.
        seed: The default of `--seed`.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="auto", help="torch, tensorflow, jax or auto")
    parser.add_argument("--device", default=None, help="cpu, cuda:0, ...")
    parser.add_argument("--data", choices=("full", "mini"), default="full", help="all of MNIST, or the clothes that come with babel_dl")
    parser.add_argument("--epochs", type=int, default=epochs, help=f"how many epochs to train ({epochs})")
    parser.add_argument("--seed", type=int, default=seed, help=f"of first weights and sample order ({seed})")
    parser.add_argument("--logs", default=".logs", help="where the folder of the run is made")
    return parser


def start(arguments: argparse.Namespace, name: str) -> None:
    """Makes the folder of the run, chooses the backend, sets the seed.

    Args:
        arguments: What the command line says.
        name: Of the example; part of the folder's name.
    """
    logging.set_logger(os.path.join(arguments.logs, f"{logging.get_timestamp()}_{name}", "log.txt"))
    babel_dl.set_backend(arguments.backend, arguments.device)
    babel_dl.set_seed(arguments.seed)
    if arguments.data == "mini":
        logging.info("Clothes stand in for digits here, and they are harder: the numbers of the post do not apply.")


def run(main: Callable[[], None]) -> None:
    """Runs a program; a wrong setting ends it with one line, and Ctrl-C with exit code 130.

    Args:
        main: The program.
    """
    try:
        main()
    except babel_dl.BabelError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
