"""Each way to get babel_dl onto a machine finds the same three plug-ins: a checkout, a wheel, an editable and a strict editable install.

The environments are real and new. What babel_dl depends on is linked into them from the running one, so that no network is needed.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import babel_dl

CHECKOUT = Path(__file__).parents[2]
PLUGINS = ["torch", "tensorflow", "jax"]
LOOK = """
import json, sys
from importlib.metadata import entry_points, version
import babel_dl
from babel_dl.backend import find_plugin, list_backends
names = list_backends()
found = {
    "names": names, "cards": [find_plugin(name).name for name in names], "where": babel_dl.__file__, "version": babel_dl.__version__,
    "entry_points": sorted(entry.name for entry in entry_points(group="babel_dl.backends")),
    "plugins": [__import__(f"babel_dl_{name}").__file__ for name in names],
    "loaded": sorted({"torch", "tensorflow", "jax"} & set(sys.modules)),
}
if found["entry_points"]:
    found["installed_version"] = version("babel_dl")
print(json.dumps(found))
"""


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is under version control and goes into the package: building leaves files behind."""
    copy = tmp_path_factory.mktemp("checkout")
    for folder in ("babel_dl", "backends"):
        shutil.copytree(CHECKOUT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, copy)
    return copy


@pytest.fixture(scope="session")
def dependencies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Links to all that the running environment has, but babel_dl."""
    links = tmp_path_factory.mktemp("dependencies")
    for folder in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in Path(folder).iterdir():
            if "babel_dl" not in entry.name:
                (links / entry.name).symlink_to(entry)
    return links


@pytest.fixture
def python(tmp_path: Path, dependencies: Path) -> Path:
    """The interpreter of a new environment."""
    venv.create(tmp_path / "venv", symlinks=True)
    interpreter = tmp_path / "venv" / "bin" / "python"
    site = run(interpreter, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    Path(site, "dependencies.pth").write_text(f"{dependencies}\n")
    return interpreter


def run(*command: object, folder: Path | None = None, **environment: str) -> str:
    """Runs a command that nothing of this process leaks into, and gives what it printed; what it complains about is in the failure."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "BABEL_DL_"))}
    done = subprocess.run([str(part) for part in command], cwd=folder, env={**clean, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(python: Path, *what: object) -> None:
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", *what)


def look(python: Path, folder: Path, **environment: str) -> dict[str, Any]:
    found = json.loads(run(python, "-c", LOOK, folder=folder, **environment))
    assert found["names"] == found["cards"] == PLUGINS
    assert found["loaded"] == []
    assert found["version"] == babel_dl.__version__
    return found


def test_a_checkout_that_is_not_installed_finds_the_plugins(python: Path, checkout: Path, tmp_path: Path) -> None:
    found = look(python, tmp_path, PYTHONPATH=f"{checkout}{os.pathsep}{checkout / 'backends'}")
    assert found["entry_points"] == []
    assert found["where"] == str(checkout / "babel_dl" / "__init__.py")


@pytest.mark.parametrize("mode", [[], ["--config-settings", "editable_mode=strict"]], ids=["lenient", "strict"])
def test_an_editable_install_finds_the_plugins(python: Path, checkout: Path, tmp_path: Path, mode: list[str]) -> None:
    install(python, *mode, "--editable", checkout)
    found = look(python, tmp_path)
    assert found["entry_points"] == sorted(PLUGINS)
    assert found["installed_version"] == babel_dl.__version__
    assert all(Path(file).resolve().is_relative_to(checkout) for file in (found["where"], *found["plugins"]))


@pytest.fixture(scope="session")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", folder, checkout)
    (file,) = folder.iterdir()
    return file


def test_an_installed_wheel_finds_the_plugins(python: Path, wheel: Path, tmp_path: Path) -> None:
    install(python, wheel)
    found = look(python, tmp_path)
    assert found["entry_points"] == sorted(PLUGINS)
    assert found["installed_version"] == babel_dl.__version__
    assert all(Path(file).is_relative_to(tmp_path / "venv") for file in (found["where"], *found["plugins"]))


def test_a_wheel_holds_each_file_of_the_packages_and_nothing_else(wheel: Path) -> None:
    sources = {
        path.relative_to(root).as_posix()
        for root, pattern in ((CHECKOUT, "babel_dl/**/*"), (CHECKOUT / "backends", "babel_dl_*/**/*"))
        for path in root.glob(pattern)
        if path.is_file() and path.suffix != ".pyc" and ".egg-info" not in str(path)
    }
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
        licences = [name for name in archive.namelist() if name.endswith(".dist-info/licenses/LICENSE")]
    assert packed == sources
    assert "babel_dl/py.typed" in packed
    assert len(licences) == 1


def test_no_framework_is_required_and_the_pinned_versions_lie_in_the_ranges(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = Parser().parsestr(archive.read(name).decode())
    requirements = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    core = {requirement.name for requirement in requirements if requirement.marker is None}
    assert core == {"numpy", "ml_dtypes", "safetensors", "rich", "matplotlib"}
    assert set(metadata.get_all("Provides-Extra", [])) == {"torch", "tensorflow", "jax", "tensorboard", "dev"}
    pins = dict(re.findall(r"^([\w.-]+)==([\w.]+)$", (CHECKOUT / "constraints.txt").read_text(), flags=re.MULTILINE))
    for requirement in requirements:
        assert requirement.specifier.contains(pins[requirement.name]), requirement
