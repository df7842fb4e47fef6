"""Importing defines names and does nothing else; imports go down only; `__all__` says what a package exports."""

import ast
import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
FRAMEWORKS = {"torch", "tensorflow", "keras", "jax", "jaxlib", "flax"}
PLUGINS = ("babel_dl_torch", "babel_dl_tensorflow", "babel_dl_jax")
PARTS = ("babel_dl", "babel_dl.backend", "babel_dl.ops", "babel_dl.core", "babel_dl.data", "babel_dl.model", "babel_dl.training")

WATCH = """
import importlib, os, sys
import numpy  # before the watch begins: it sets an environment variable
done = []
CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.fork", "subprocess.Popen", "socket.connect",
           "builtins.input", "os.system", "os.putenv")
def watch(event, arguments):
    if event in CHANGES or event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        done.append((event, arguments))
sys.addaudithook(watch)
for name in sys.argv[1:]:
    importlib.import_module(name)
sys.stderr.write(repr(done) if done else "")
sys.stderr.write(" ".join(sorted({name.partition(".")[0] for name in sys.modules} & %r)))
""" % FRAMEWORKS  # noqa: UP031  (the braces of an f-string would hide those of the script)


def modules(root: Path, package: str) -> list[str]:
    """The dotted names of all modules of a package, without importing any."""
    names = []
    for path in sorted((root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{CHECKOUT}{os.pathsep}{CHECKOUT / 'backends'}", "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.mark.parametrize("names", [[part] for part in PARTS] + [list(PLUGINS)], ids=lambda names: names[0])
def test_importing_loads_no_framework_and_writes_prints_and_starts_nothing(names: list[str], tmp_path: Path) -> None:
    watched = subprocess.run([sys.executable, "-c", WATCH, *names], cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert (watched.returncode, watched.stdout, watched.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_no_module_of_the_core_loads_a_framework_even_in_passing(tmp_path: Path) -> None:
    names = [name for name in modules(CHECKOUT, "babel_dl") if not name.endswith("__main__")]
    script = "import importlib, sys\nfor name in sys.argv[1:]:\n    importlib.import_module(name)\nprint(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script, *names], cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) & FRAMEWORKS == set()


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    script = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    path = {"PYTHONPATH": f"{root}{os.pathsep}{root / 'backends'}"}
    return subprocess.run(
        [sys.executable, "-c", script, "--no-cache"], cwd=root, env={**environment(), **path}, capture_output=True, text=True
    )


def test_imports_go_down_only() -> None:
    linted = lint_imports(CHECKOUT)
    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("copy")
    for folder in ("babel_dl", "backends"):
        shutil.copytree(CHECKOUT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "pyproject.toml", root)
    return root


VIOLATIONS = [
    ("babel_dl/ops/planted.py", "import torch", "The core imports no framework"),
    ("babel_dl/core/planted.py", "def late():\n    from jax import numpy", "The core imports no framework"),
    ("babel_dl/core/planted.py", "import babel_dl_torch", "The core imports no framework"),
    ("babel_dl/ops/planted.py", "import babel_dl.core", "Imports go down only"),
    ("babel_dl/model/planted.py", "import babel_dl.data", "Imports go down only"),
    ("babel_dl/errors.py", "import babel_dl.backend", "Imports go down only"),
    ("babel_dl/newcomer/__init__.py", "", "Imports go down only"),
    ("backends/babel_dl_torch/planted.py", "import babel_dl.core", "Plug-ins see babel_dl.backend and babel_dl.errors only"),
    ("backends/babel_dl_jax/planted.py", "from babel_dl.ops import tensor", "Plug-ins see babel_dl.backend and babel_dl.errors only"),
    ("backends/babel_dl_jax/planted.py", "import babel_dl", "Plug-ins see babel_dl.backend and babel_dl.errors only"),
    ("backends/babel_dl_jax/planted.py", "import babel_dl_torch", "Plug-ins do not import one another"),
]


@pytest.mark.parametrize(("file", "code", "contract"), VIOLATIONS, ids=[f"{file}: {code}" for file, code, _ in VIOLATIONS])
def test_a_planted_violation_is_found(copy: Path, file: str, code: str, contract: str) -> None:
    planted = copy / file
    before = planted.read_text() if planted.exists() else None
    planted.parent.mkdir(exist_ok=True)
    planted.write_text(f"{before or ''}\n{code}\n")
    try:
        linted = lint_imports(copy)
    finally:
        if before is None:
            planted.unlink()
            if not any(planted.parent.iterdir()):
                planted.parent.rmdir()
        else:
            planted.write_text(before)
    assert linted.returncode == 1, linted.stderr
    broken = [line for line in linted.stdout.splitlines() if line.endswith("BROKEN")]
    assert any(line.startswith(contract) for line in broken), linted.stdout


PACKAGES = [name for name in modules(CHECKOUT, "babel_dl") if (CHECKOUT / Path(*name.split("."))).is_dir()]


@pytest.mark.parametrize("name", PACKAGES)
def test_all_names_what_a_package_exports(name: str) -> None:
    offered = exported(CHECKOUT / Path(*name.split(".")) / "__init__.py")
    module = importlib.import_module(name)
    announced = getattr(module, "__all__", [])
    assert sorted(announced) == sorted(offered)
    assert [missing for missing in announced if not hasattr(module, missing)] == []


def exported(file: Path) -> set[str]:
    """The public names that a package's `__init__` defines or takes from babel_dl; what it imports from elsewhere it only uses."""
    names: set[str] = set()
    body = list(ast.parse(file.read_text()).body)
    while body:
        node = body.pop()
        if isinstance(node, ast.If):
            body += node.body + node.orelse
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("babel_dl"):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return {name for name in names if not name.startswith("_")}
