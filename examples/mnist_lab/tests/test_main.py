"""The program itself."""

import re

import pytest

from examples.shared.testing import metrics_of, run_program


@pytest.mark.parametrize("backend_name", ["torch", "tensorflow", "jax"])
def test_two_epochs_leave_the_labs_lines_a_table_metrics_and_pictures(tmp_path, backend_name):
    done = run_program("examples.mnist_lab", tmp_path, "--backend", backend_name, "--epochs", "2")
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.iterdir()
    metrics = metrics_of(folder)
    lines = re.findall(r"Epoch: (\d) / 2, cost: (\d\.\d{6})$", done.stdout, re.MULTILINE)
    assert [int(epoch) for epoch, _ in lines] == [1, 2]
    assert [float(cost) for _, cost in lines] == pytest.approx(metrics["costs"], abs=1e-6)
    assert done.stdout.index("Learning started") < done.stdout.index("Epoch: 1") < done.stdout.index("Learning Finished")
    assert f"|   0.9793 | {metrics['accuracy_as_in_the_post']:.4f} |" in done.stdout
    assert f"|          | {metrics['accuracy']:.4f} |" in done.stdout
    assert (metrics["backend"], metrics["seed"]) == (backend_name, 1)
    for name in ("curves.png", "mistakes.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
