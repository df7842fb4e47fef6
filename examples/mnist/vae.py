"""Task 2 of the post: a variational auto-encoder.

    python -m examples.mnist.vae                                one epoch
    python -m examples.mnist.vae --epochs 10 --backend jax      more of them, on another framework; BABEL_DL_BACKEND=jax does it too
    python -m examples.mnist.vae --data mini                    without MNIST: clothes that come with babel_dl

A classifier is trained first, or taken from `--judge FILE`. It is shown the reconstructions, and says whether it still sees what they
shall show.
"""

import numpy as np

import babel_dl
from babel_dl import SPLIT_DEV
from babel_dl.core import host_generator, logging
from babel_dl.training import FitResult
from examples.mnist.data import SEED, SOURCES, samples, to_bytes
from examples.mnist.judge import add_judge_option, find_judge, look
from examples.mnist.pictures import draw_reconstructions, draw_sheet, walk
from examples.mnist.simple_vae import LATENT_DIM, SimpleVAE
from examples.shared import command_line
from examples.shared.report import say, table, write_metrics

SCHEDULE = {"name": "warmup", "start_factor": 1 / 3, "schedule": "cosine"}
"""From a third of the rate up to all of it, as in the post, within a tenth of the steps; then down to 0 at the end of the run."""


def train(data: str, epochs: int, resume: str | bool = False) -> FitResult:
    """Trains a network. Its loss is the one that is registered under the network's name.

    Args:
        data: "full" or "mini".
        epochs: How many.
        resume: A checkpoint to go on from; False to start fresh.
    """
    return babel_dl.fit(
        SOURCES[data],
        "simple_vae",
        {"in_channels": 1, "img_size": 28},
        optimizer="adam",
        schedule=SCHEDULE,
        epochs=epochs,
        batch_size=16,
        resume=resume,
    )


def reconstruct(model: SimpleVAE, images: np.ndarray) -> np.ndarray:
    """The images after their way through the network, uint8.

    Args:
        model: A trained network.
        images: (samples, 28, 28, 1), uint8.
    """
    model.eval()
    parts = np.array_split(images, max(1, len(images) // 250))
    return np.concatenate([to_bytes(model(part)["image"].numpy()) for part in parts])


def draw_pictures(model: SimpleVAE, originals: np.ndarray, painted: np.ndarray) -> None:
    """Reconstructions, images painted from noise, and walks from one image to another."""
    draw_reconstructions(originals, painted, "reconstructions.png")
    noise = host_generator(0, "vae samples").standard_normal((100, LATENT_DIM)).astype(np.float32)
    draw_sheet(to_bytes(model.decoder(noise).numpy()), 10, "Painted from noise", "samples.png")
    means = model(originals[:16])["mu"].numpy()
    path = np.concatenate([walk(means[place], means[place + 1], 12) for place in range(0, 16, 2)])
    draw_sheet(to_bytes(model.decoder(path).numpy()), 12, "Walks from one dev image to another", "latent_walk.png")


def main() -> None:
    """Trains, prints both parts of the loss, and draws."""
    parser = command_line.make_parser(__doc__ or "", epochs=1, seed=SEED)
    add_judge_option(parser)
    parser.add_argument("--resume", default=False, metavar="FILE", help="a checkpoint to go on from, written on any backend")
    arguments = parser.parse_args()
    command_line.start(arguments, "MnistVAE")
    judge = find_judge(arguments.judge, arguments.data)
    result = train(arguments.data, arguments.epochs, arguments.resume)
    originals, classes = samples(arguments.data, SPLIT_DEV, 1000)
    painted = reconstruct(result.model, originals)
    found = {name: result.metrics[f"loss/{name}"] for name in ("mse", "kld", "total")}
    found["recognized"] = float((look(judge, painted).argmax(axis=1) == classes).mean())
    head = ("run", "epochs", "mse", "KL", "mse + 0.001 KL", "the judge reads")
    say(table(head, [("the post", 1, *4 * [None]), (babel_dl.get_backend(), arguments.epochs, *found.values())]))
    draw_pictures(result.model, originals, painted)
    path = write_metrics("mnist_vae", arguments.data, {"epochs": arguments.epochs, **found})
    logging.info(f"Results: {path.parent}")


if __name__ == "__main__":
    command_line.run(main)
