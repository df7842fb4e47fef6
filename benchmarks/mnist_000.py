"""The tasks of seed 000 for `python -m benchmarks.mnist`: a classifier, a variational auto-encoder, a GAN, and the GAN's first losses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.mnist import Row, Task, run_example, run_module

AGREEMENT = 1e-4


def classification(backend: str, data_dir: Path, out_dir: Path) -> Row:
    """One epoch."""
    accuracy = run_example("examples.mnist.classification", backend, data_dir, out_dir)["accuracy"]
    return {"dev accuracy": accuracy, "reached": accuracy >= 0.9804}


def vae(backend: str, data_dir: Path, out_dir: Path) -> Row:
    """One epoch, and ten."""
    row: Row = {}
    for epochs in (1, 10):
        folder = out_dir / f"{epochs}_epochs"
        folder.mkdir()
        arguments = ("--epochs", str(epochs), *_judge(out_dir, backend))
        found = run_example("examples.mnist.vae", backend, data_dir, folder, *arguments)
        names = {"mse": "mse", "KL": "kld", "the judge reads": "recognized"}
        row |= {f"{title}, {epochs} epochs".replace("1 epochs", "1 epoch"): found[name] for title, name in names.items()}
    return {**row, "reached": row["the judge reads, 10 epochs"] >= 0.85}


def gan(backend: str, data_dir: Path, out_dir: Path) -> Row:
    """Ten epochs, and a thousand images before the judge."""
    found = run_example("examples.mnist.gan", backend, data_dir, out_dir, *_judge(out_dir, backend))
    rarest, digits = min(found["counts"]), sum(count > 0 for count in found["counts_sure"])
    row = {"epochs": found["epochs"], "the judge is sure": found["sure"], "digits": digits, "of the rarest": rarest}
    return {**row, "reached": found["sure"] >= 0.8 and digits == 10, "keep": {"counts": found["counts"], "sure": found["counts_sure"]}}


def gan_losses(backend: str, data_dir: Path, out_dir: Path) -> Row:
    """The losses of the first 200 steps beside those on PyTorch; there beside those of a second run."""
    file = out_dir / "differences.json"
    run_module("benchmarks.gan_losses", data_dir, out_dir, "--backend", backend, "--out", str(file))
    found: dict[str, Any] = json.loads(file.read_text())[backend]
    row = {f"{name}, {mark} steps": found[name][place] for name in ("loss/g", "loss/d") for place, mark in enumerate(found["marks"])}
    worst = max(found["loss/g"][-1], found["loss/d"][-1], *found["relative"])
    return {**row, "relative": max(found["relative"]), "reached": worst <= AGREEMENT}


def _judge(out_dir: Path, backend: str) -> tuple[str, ...]:
    """The classifier that the task `classification` trained on this backend, where it did."""
    found = sorted(out_dir.parents[1].glob(f"classification/{backend}/*/checkpoints/latest.safetensors"))
    return ("--judge", str(found[-1])) if found else ()


TASKS = {
    "classification": Task(
        "000, classification: simple_conv, batch 16, 1 epoch", "dev accuracy >= 0.9804", classification, {"dev accuracy": 0.9804}
    ),
    "vae": Task(
        "000, variational auto-encoder: 1 epoch, and 10",
        "error and KL listed, and the judge of `classification` reads >= 0.85 of the reconstructions after 10 epochs as what they show",
        vae,
    ),
    "gan": Task(
        "000, GAN: latent 128, judged by the classifier of `classification`",
        "of 1,000 images it gives >= 0.8 a probability above 0.9, and all ten digits are among these",
        gan,
    ),
    "gan_losses": Task(
        "000, GAN: largest difference of the losses from those on torch (there: from a second run)",
        f"{AGREEMENT:.0e} within 200 steps, absolute and relative",
        gan_losses,
    ),
}
