"""Frameworks that are missing or broken: a real interpreter that finds everything this one does, except for what a test takes away."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.training.examples import ROOT

FRAMEWORKS = {"torch": ("torch",), "tensorflow": ("tensorflow", "keras"), "jax": ("jax", "jaxlib")}
TRAIN = """
import sys
import babel_dl
try:
    babel_dl.set_backend(sys.argv[1])
except babel_dl.BabelError as error:
    print(type(error).__name__ + ":", error)
else:
    print("CHOSEN", babel_dl.get_backend())
print("LOADED", *sorted({"torch", "tensorflow", "jax"} & set(sys.modules)))
"""


def packages(folder: Path, without: tuple[str, ...]) -> Path:
    """A folder with links to all installed packages but some."""
    folder.mkdir()
    for site in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in Path(site).iterdir():
            if entry.name not in without and "babel_dl" not in entry.name and entry.suffix != ".pth":
                (folder / entry.name).symlink_to(entry)
    return folder


def run(*path: Path, backend: str, **environment: str) -> str:
    """What the script prints if only these folders, and the checkout, can be imported from."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "BABEL_DL_"))}
    search = os.pathsep.join(map(str, (*path, ROOT, ROOT / "backends")))
    command = [sys.executable, "-S", "-c", TRAIN, backend]
    done = subprocess.run(command, env={**clean, **environment, "PYTHONPATH": search}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("missing", FRAMEWORKS)
def test_a_missing_framework_is_told_with_the_pip_line_and_what_is_ready(tmp_path, missing):
    printed = run(packages(tmp_path / "site", FRAMEWORKS[missing]), backend=missing)
    ready = [name for name in FRAMEWORKS if name != missing]
    assert printed.startswith(f"BackendNotInstalledError: backend '{missing}' needs ")
    chosen = f'  It was chosen by set_backend("{missing}"). Installed and ready: {", ".join(ready)}.'
    assert f", which is not installed here.\n{chosen}" in printed
    assert f'Run: pip install "babel_dl[{missing}]"   or: babel_dl.set_backend("{ready[0]}")' in printed
    assert printed.splitlines()[-1] == "LOADED"


def test_a_missing_framework_that_the_environment_chose_says_so(tmp_path):
    printed = run(packages(tmp_path / "site", FRAMEWORKS["jax"]), backend="auto", BABEL_DL_BACKEND="JAX")
    assert "  It was chosen by BABEL_DL_BACKEND=JAX. Installed and ready: torch, tensorflow." in printed


def test_without_any_framework_all_pip_lines_are_told(tmp_path):
    printed = run(packages(tmp_path / "site", sum(FRAMEWORKS.values(), ())), backend="auto")
    assert printed.startswith("BackendNotInstalledError: No framework is installed that babel_dl can run on.\n  Run one of: ")
    assert all(f'pip install "babel_dl[{name}]"' in printed for name in FRAMEWORKS)


@pytest.mark.parametrize("backend", ["torch", "auto"])
def test_a_broken_framework_shows_its_own_error_and_nothing_is_switched(tmp_path, backend):
    (tmp_path / "broken" / "torch").mkdir(parents=True)
    failure = "raise OSError('libcudart.so.12: cannot open shared object file: No such file or directory')"
    (tmp_path / "broken" / "torch" / "__init__.py").write_text(failure)
    printed = run(tmp_path / "broken", packages(tmp_path / "site", ("torch",)), backend=backend)
    assert printed.startswith("BrokenBackendError: backend 'torch': PyTorch is installed, but importing it failed with\n")
    assert "  OSError: libcudart.so.12: cannot open shared object file: No such file or directory\n" in printed
    assert "does not switch to another framework behind your back. Reinstall it: pip install --force-reinstall babel_dl[torch]" in printed
    assert "CHOSEN" not in printed and printed.splitlines()[-1] == "LOADED"


def test_a_broken_framework_does_not_disturb_another_one(tmp_path):
    (tmp_path / "broken" / "torch").mkdir(parents=True)
    (tmp_path / "broken" / "torch" / "__init__.py").write_text("raise OSError('broken')")
    printed = run(tmp_path / "broken", packages(tmp_path / "site", ("torch",)), backend="jax")
    assert printed.splitlines() == ["CHOSEN jax", "LOADED jax"]
