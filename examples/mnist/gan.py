"""Task 3 of the post: a generative adversarial network, with a training step of its own.

    python -m examples.mnist.gan                                10 epochs; trains a classifier first, which judges the images
    python -m examples.mnist.gan --judge FILE                   takes a checkpoint of examples.mnist.classification for that
    python -m examples.mnist.gan --backend jax --epochs 2       on another framework; BABEL_DL_BACKEND=jax does it too
    python -m examples.mnist.gan --data mini                    without MNIST: clothes that come with babel_dl
"""

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

import babel_dl
from babel_dl import SPLIT_DEV, SPLIT_TRAIN
from babel_dl.core import Module, host_generator, logging
from babel_dl.training.callbacks import Callback, CheckpointCallback
from examples.mnist.curves import Curves
from examples.mnist.data import SEED, load_split, to_bytes
from examples.mnist.judge import Verdict, add_judge_option, find_judge, give_verdict, look
from examples.mnist.pictures import draw_counts, draw_sheet, walk
from examples.mnist.simple_gan import SimpleGAN
from examples.shared import command_line
from examples.shared.digits import class_names
from examples.shared.pictures import Panel, draw_curves
from examples.shared.report import say, table, write_metrics

LATENT_DIM = 128
BATCH_SIZE = 32
SCHEDULE = {"name": "warmup", "schedule": "cosine"}
"""From 0 to the rate below within a tenth of the steps, then down to 0 at the end of the run."""

OPTIMIZERS = {
    "generator": {"optimizer": "adam", "lr": 1e-3, "beta1": 0.5, "eps": 1e-6, "schedule": SCHEDULE},
    "discriminator": {"optimizer": "adam", "lr": 2e-4, "beta1": 0.5, "eps": 1e-6, "schedule": SCHEDULE},
}


def train(data: str, epochs: int, judge: Module | None, callbacks: Sequence[Callback], **settings: Any) -> SimpleGAN:
    """Trains a fresh pair of networks.

    Args:
        data: "full" or "mini".
        epochs: How many.
        judge: Who is asked about a thousand images after each epoch; None if nobody is.
        callbacks: More of them.
        settings: As those of `babel_dl.fit`.
    """
    images = load_split(data, SPLIT_TRAIN).to_dataloader(BATCH_SIZE, drop_last=True)
    thousand = load_split(data, SPLIT_DEV).filter(lambda token: token < 1000).to_dataloader(250, shuffle=False)
    monitor = ("loss/g", "min") if judge is None else ("metrics/sure", "max")
    return babel_dl.fit(
        images,
        "simple_gan",
        {"in_channels": 1, "img_size": 28, "latent_dim": LATENT_DIM, "judge": judge},
        optimizers=OPTIMIZERS,
        callbacks=[CheckpointCallback(monitor=monitor[0], mode=monitor[1]), *callbacks],
        dev_data=thousand,
        epochs=epochs,
        **settings,
    ).model


def paint(gan: SimpleGAN, noise: np.ndarray) -> np.ndarray:
    """uint8 images, (samples, 28, 28, 1), from noise (samples, LATENT_DIM)."""
    gan.generator.eval()
    return to_bytes(np.concatenate([gan.generator(part).numpy() for part in np.array_split(noise, max(1, len(noise) // 250))]))


def normal_draws(count: int, name: str) -> np.ndarray:
    """The same noise on every backend and in every run, so that their images can be compared one by one."""
    return host_generator(0, name).standard_normal((count, LATENT_DIM)).astype(np.float32)


def draw_pictures(gan: SimpleGAN, images: np.ndarray, verdict: Verdict, curves: Curves, data: str) -> None:
    """A hundred of the images, walks from one to another, what the judge saw, and the losses."""
    draw_sheet(images[:100], 10, "Painted from noise, as they come", "samples.png")
    ends = normal_draws(16, "gan walks")
    path = np.concatenate([walk(ends[place], ends[place + 1], 12) for place in range(0, 16, 2)])
    draw_sheet(paint(gan, path), 12, "Walks from one image to another", "latent_walk.png")
    title = f"What the judge saw in {len(images)} images; it was sure of {verdict.sure:.1%}"
    draw_counts(verdict.counts, class_names(data), title, "judged.png")
    losses: dict[str, Sequence[float]] = {name.removeprefix("loss/"): values for name, values in curves.values.items()}
    draw_curves([Panel("loss", losses, "reading, every 100 steps")], "losses.png")


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = command_line.make_parser(__doc__ or "", epochs=10, seed=SEED)
    add_judge_option(parser)
    parser.add_argument("--resume", default=False, metavar="FILE", help="a checkpoint to go on from, written on any backend")
    parser.add_argument("--samples", type=int, default=1000, help="how many images the judge sees at the end (1000)")
    return parser.parse_args()


def main() -> None:
    """Trains, lets the judge look at a thousand images, and draws."""
    arguments = parse_arguments()
    command_line.start(arguments, "MnistGAN")
    judge = find_judge(arguments.judge, arguments.data)
    curves = Curves()
    gan = train(arguments.data, arguments.epochs, judge, [curves], resume=arguments.resume)
    images = paint(gan, normal_draws(arguments.samples, "gan samples"))
    verdict = give_verdict(look(judge, images))
    row = (babel_dl.get_backend(), arguments.epochs, verdict.sure, sum(count > 0 for count in verdict.counts_sure))
    say(table(("run", "epochs", "the judge is sure", "classes seen"), [("the post", 1, None, None), row]))
    say(table(("class", *class_names(arguments.data)), [("seen", *verdict.counts), ("seen and sure", *verdict.counts_sure)]))
    draw_pictures(gan, images, verdict, curves, arguments.data)
    path = write_metrics("mnist_gan", arguments.data, {"epochs": arguments.epochs, **verdict._asdict()})
    logging.info(f"Results: {path.parent}")


if __name__ == "__main__":
    command_line.run(main)
