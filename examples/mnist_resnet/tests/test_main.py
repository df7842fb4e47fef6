"""The program itself."""

import re

import pytest

from examples.shared.testing import metrics_of, run_program


@pytest.mark.parametrize("backend_name", ["torch", "tensorflow", "jax"])
def test_two_runs_agree_in_every_bit_and_leave_a_table_metrics_and_pictures(tmp_path, backend_name):
    done = run_program("examples.mnist_resnet", tmp_path, "--backend", backend_name, "--epochs", "2", "--twice")
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.iterdir()
    metrics = metrics_of(folder)
    assert (metrics["backend"], metrics["seed"], len(metrics["train"]), len(metrics["dev"])) == (backend_name, 12, 2, 2)
    assert metrics["best"] == max(metrics["dev"]) > 0.3  # guessing gives 0.1
    assert set(re.findall(r"[0-9a-f]{64}", done.stdout)) == {metrics["digest"]}
    assert "The two runs agree in every bit." in done.stdout
    row = next(line for line in done.stdout.splitlines() if "| 2 " in line)
    assert row.partition("|")[2].replace(" ", "") == f"2|0.9789|0.9822|{metrics['train'][1]:.4f}|{metrics['dev'][1]:.4f}|"
    for name in ("curves.png", "mistakes.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
