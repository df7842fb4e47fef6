"""The program itself: what it prints and leaves, and what it says to a wrong setting."""

import pytest

from examples.shared.testing import metrics_of, run_program

MODULE = "examples.mnist_from_scratch"


@pytest.mark.parametrize("backend_name", ["torch", "tensorflow", "jax"])
def test_two_epochs_leave_a_table_metrics_and_pictures(tmp_path, backend_name):
    done = run_program(MODULE, tmp_path, "--backend", backend_name, "--epochs", "2")
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.iterdir()
    metrics = metrics_of(folder)
    assert (metrics["backend"], metrics["epochs"], list(metrics["results"])) == (backend_name, 2, ["raw", "linear", "cnn"])
    for kind, result in metrics["results"].items():
        assert result["accuracy"] > 0.3, kind  # guessing gives 0.1
        assert f"| {kind:<6} |" in done.stdout
    assert len(metrics["results"]["cnn"]["validation"]) == 2
    for name in ("weights.png", "mistakes_linear.png", "mistakes_cnn.png", "curves.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_the_linear_model_from_raw_tensors_is_the_same_on_all_backends(tmp_path):
    results = []
    for backend_name in ("torch", "tensorflow", "jax"):
        done = run_program(MODULE, tmp_path / backend_name, "--backend", backend_name, "--model", "raw", "--epochs", "1")
        assert done.returncode == 0, done.stderr
        (folder,) = (tmp_path / backend_name).iterdir()
        results.append(metrics_of(folder)["results"]["raw"])
    assert results[1] == pytest.approx(results[0], rel=1e-4)
    assert results[2] == pytest.approx(results[0], rel=1e-4)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("--backend", "pytroch"), "UnknownBackendError: There is no backend 'pytroch'. Did you mean 'torch'?"),
        (("--model", "mlp"), "invalid choice: 'mlp'"),
    ],
)
def test_a_wrong_setting_ends_with_a_hint_and_without_a_traceback(tmp_path, arguments, hint):
    done = run_program(MODULE, tmp_path, *arguments)
    assert done.returncode != 0
    assert hint in done.stderr
    assert "Traceback" not in done.stderr
