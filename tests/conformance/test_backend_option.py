"""`pytest --backend NAME`, run as a user runs it: in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLUG_IN = """
from babel_dl.backend import Plugin
backend = Plugin("absent", "Absent", "framework_that_is_absent", "absent-framework", lambda: None)
"""


def collect(*arguments: str, path: str = "") -> tuple[int, str]:
    """The exit code and the output of a pytest that only collects tests of the conformance suite."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--collect-only", "-q", "-k", "versions", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([path, str(ROOT), str(ROOT / "backends")]), "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run([*command, "tests/conformance"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return run.returncode, run.stdout + run.stderr


def test_without_the_option_every_backend_is_tested() -> None:
    code, output = collect()
    assert code == 0
    assert all(name in output for name in ("TestTorch", "TestTensorflow", "TestJax"))


def test_with_the_option_other_backends_are_deselected() -> None:
    code, output = collect("--backend", "tf", "--backend", "jax")
    assert code == 0
    assert "TestTorch" not in output
    assert all(name in output for name in ("TestTensorflow", "TestJax"))


def test_an_unknown_backend_ends_the_run_as_a_failure() -> None:
    code, output = collect("--backend", "tensorflwo")
    assert code == 4
    assert "Did you mean 'tensorflow'?" in output


def test_a_backend_without_its_framework_ends_the_run_as_a_failure(tmp_path: Path) -> None:
    (tmp_path / "absent_plug_in.py").write_text(PLUG_IN)
    card = tmp_path / "absent-1.0.dist-info"
    card.mkdir()
    (card / "METADATA").write_text("Metadata-Version: 2.1\nName: absent\nVersion: 1.0\n")
    (card / "entry_points.txt").write_text("[babel_dl.backends]\nabsent = absent_plug_in:backend\n")
    code, output = collect("--backend", "absent", path=str(tmp_path))
    assert code == 4
    assert 'Absent is not installed. Run: pip install "absent-framework"' in output
