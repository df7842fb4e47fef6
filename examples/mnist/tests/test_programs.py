"""The three programs: what they print and leave behind."""

import re

import pytest

from examples.shared.testing import metrics_of, run_program

BACKENDS = pytest.mark.parametrize("backend_name", ["torch", "tensorflow", "jax"])


def assert_pictures(folder, *names):
    for name in names:
        assert (folder / name).read_bytes().startswith(b"\x89PNG"), name


@BACKENDS
def test_the_classifier_stands_beside_the_post_and_shows_its_mistakes(classified, backend_name):
    folder, printed = classified(backend_name)
    metrics = metrics_of(folder)
    assert (metrics["backend"], metrics["seed"], metrics["epochs"]) == (backend_name, 142857, 1)
    assert metrics["accuracy"] > 0.7  # guessing gives 0.1
    assert f"| {backend_name:8} |      1 |       {metrics['accuracy']:.4f} |" in printed
    assert re.search(r"\| the post +\|      1 \|       0.9804 \|", printed)
    assert_pictures(folder, "mistakes.png")
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"latest.safetensors", "best.safetensors"}


@BACKENDS
def test_the_auto_encoder_lists_both_errors_and_is_judged(classified, tmp_path, backend_name):
    judge = classified(backend_name)[0] / "checkpoints" / "latest.safetensors"
    done = run_program("examples.mnist.vae", tmp_path, "--backend", backend_name, "--judge", str(judge))
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.iterdir()
    metrics = metrics_of(folder)
    assert metrics["total"] == pytest.approx(metrics["mse"] + 0.001 * metrics["kld"], rel=1e-4)
    assert metrics["mse"] < 0.08  # the mean image alone leaves 0.0866
    assert metrics["kld"] > 5.0  # it does tell something about the image
    assert f"{metrics['mse']:.4f} | {metrics['kld']:.4f} |" in done.stdout
    assert metrics["recognized"] > 0.12  # guessing gives 0.1
    assert_pictures(folder, "reconstructions.png", "samples.png", "latent_walk.png")


@BACKENDS
def test_the_gan_is_judged_and_draws(classified, tmp_path, backend_name):
    judge = classified("torch")[0] / "checkpoints" / "latest.safetensors"  # a judge may come from any backend
    quick = ("--judge", str(judge), "--epochs", "1", "--samples", "200")
    done = run_program("examples.mnist.gan", tmp_path, "--backend", backend_name, *quick)
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.iterdir()
    metrics = metrics_of(folder)
    assert sum(metrics["counts"]) == 200
    assert metrics["sure"] == sum(metrics["counts_sure"]) / 200
    assert "| seen and sure |" in done.stdout
    assert " - metrics/sure=" in done.stdout
    assert_pictures(folder, "samples.png", "latent_walk.png", "judged.png", "losses.png")


@pytest.mark.parametrize(
    ("module", "arguments", "hint"),
    [
        ("classification", ("--backend", "pytroch"), "UnknownBackendError: There is no backend 'pytroch'. Did you mean 'torch'?"),
        ("classification", ("--backend", "torch", "--epochs", "0"), "ArgumentError: fit needs epochs of at least 1, and got 0."),
        ("vae", ("--backend", "torch", "--judge", "nowhere"), "CheckpointError: There is no checkpoint file 'nowhere'."),
        ("gan", ("--backend", "torch", "--judge", "nowhere"), "CheckpointError: There is no checkpoint file 'nowhere'."),
    ],
)
def test_a_wrong_setting_ends_with_a_hint_and_without_a_traceback(tmp_path, module, arguments, hint):
    done = run_program(f"examples.mnist.{module}", tmp_path, *arguments)
    assert done.returncode == 1
    assert hint in done.stderr
    assert "Traceback" not in done.stderr
