"""No example, and no line of babel_dl outside of the plug-ins, asks which backend runs. What differs is a method of the contract."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
FRAMEWORKS = {"torch", "torchvision", "tensorflow", "keras", "jax", "jaxlib", "flax", "optax", "equinox", "mlx"}
NAMES = FRAMEWORKS | {"pytorch", "tf", "tf2", "babel_dl_torch", "babel_dl_tensorflow", "babel_dl_jax"}
CONSTANTS = {"PYTORCH_BACKEND", "TF_BACKEND", "JAX_BACKEND"}
STRING_TESTS = {"startswith", "endswith", "find", "index", "count", "partition", "rpartition", "split"}
IMPORTERS = {"import_module", "__import__", "find_spec"}
QUESTIONS = {"is_backend", "get_backend"}

CHOICE = {
    ("babel_dl/backend/names.py", "ALIASES"): "other spellings of the names that a user chooses by",
    ("babel_dl/backend/selection.py", "is_backend"): "the question itself, for users' own code",
}
"""Where the choice is made, which has to know the names: file and definition. There is no other exception."""


def name_of(node: ast.AST) -> str:
    """The last part of a dotted name."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def is_name(node: ast.AST) -> bool:
    """Whether a node is a backend's name: a string (dotted ones too), a constant, or a collection of these."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value.lower().partition(".")[0] in NAMES
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return any(is_name(element) for element in node.elts)
    return name_of(node) in CONSTANTS


def asks(node: ast.AST) -> bool:
    """Whether a node's value says which framework runs, or is loaded: `get_backend()`, `sys.modules`."""
    if isinstance(node, ast.Call):
        return name_of(node.func) in QUESTIONS
    return isinstance(node, ast.Attribute) and node.attr == "modules" and name_of(node.value) == "sys"


def chooses(node: ast.AST) -> bool:
    """Whether a table would be asked for the backend that runs: `get_backend()`, `backend.name`."""
    return asks(node) or (isinstance(node, ast.Attribute) and node.attr == "name" and "backend" in name_of(node.value).lower())


def question(node: ast.AST) -> str:
    """What is wrong with a node; empty if nothing is."""
    if isinstance(node, ast.Import):
        imported = [alias.name for alias in node.names if alias.name.partition(".")[0] in NAMES]
        return f"imports {imported[0]}" if imported else ""
    if isinstance(node, ast.ImportFrom):
        return f"imports {node.module}" if (node.module or "").partition(".")[0] in NAMES and node.level == 0 else ""
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        return "compares with a backend's name" if any(map(is_name, sides)) or any(map(asks, sides)) else ""
    if isinstance(node, ast.match_case):
        return "matches a backend's name" if any(is_name(inner) for inner in ast.walk(node.pattern)) else ""
    if isinstance(node, ast.Dict):
        return "chooses by a backend's name" if any(key is not None and is_name(key) for key in node.keys) else ""
    if isinstance(node, ast.Subscript):
        return "looks into loaded modules, or chooses by which backend runs" if asks(node.value) or chooses(node.slice) else ""
    if isinstance(node, ast.Call):
        return _of_call(node)
    return ""


def _of_call(node: ast.Call) -> str:
    called = name_of(node.func)
    if called == "is_backend":
        return "asks is_backend"
    if called in IMPORTERS and any(map(is_name, node.args)):
        return f"loads a framework by {called}"
    is_method = isinstance(node.func, ast.Attribute)
    if called in STRING_TESTS and is_method and any(map(is_name, node.args)):
        return "looks for a backend's name in a text"
    if called == "get" and is_method and (asks(node.func.value) or any(map(chooses, node.args))):
        return "looks into loaded modules, or chooses by which backend runs"
    return ""


def questions(source: str, file: str = "") -> list[str]:
    """All lines of a file that ask, with what they ask."""
    found: list[str] = []

    def visit(node: ast.AST) -> None:
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        defined = {getattr(node, "name", ""), *(name_of(target) for target in targets if target is not None)}
        if any((file, name) in CHOICE for name in defined):
            return
        if problem := question(node):
            found.append(f"{file}:{getattr(node, 'lineno', getattr(getattr(node, 'pattern', None), 'lineno', 0))} {problem}")
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(source))
    return found


def files() -> Iterator[Path]:
    """The library and the examples; tests of examples may ask what they like."""
    for folder in ("babel_dl", "examples"):
        for path in sorted((CHECKOUT / folder).rglob("*.py")):
            if "tests" not in path.parts[len(CHECKOUT.parts) :] and path.name != "conftest.py":
                yield path


def test_no_line_asks_which_backend_runs() -> None:
    found = [line for path in files() for line in questions(path.read_text(), path.relative_to(CHECKOUT).as_posix())]
    assert (len(found), found) == (0, [])


def test_all_of_the_library_and_the_examples_is_read() -> None:
    read = {path.relative_to(CHECKOUT).as_posix() for path in files()}
    assert {"babel_dl/core/gradients.py", "babel_dl/training/trainer.py", "examples/fashion_mnist/main.py"} <= read
    assert not [path for path in read if path.startswith("backends")]


@pytest.mark.parametrize(("file", "name"), CHOICE)
def test_an_exception_names_something_that_is_there(file: str, name: str) -> None:
    source = (CHECKOUT / file).read_text()
    assert questions(source, file) == []
    assert questions(source, "elsewhere.py") != [], f"{name} needs no exception any more"


PLANTED = [
    'if babel_dl.get_backend() == "jax":\n    pass',
    'if get_backend() != wanted:\n    pass',
    'x = 1 if name in ("torch", "jax") else 2',
    'if self.backend.name == "other" or self.backend.name == "tf2":\n    pass',
    'if "torch" in type(x).__module__:\n    pass',
    'if type(x).__module__.startswith("tensorflow.python"):\n    pass',
    'if backend_name == PYTORCH_BACKEND:\n    pass',
    'if name == babel_dl.TF_BACKEND:\n    pass',
    'if is_backend("jax"):\n    pass',
    'flag = babel_dl.is_backend(name)',
    'import torch',
    'def late():\n    from jax import numpy',
    'import tensorflow.keras as keras',
    'from babel_dl_torch.state import Cell',
    'module = importlib.import_module("torch.nn")',
    'module = __import__("jax")',
    'if importlib.util.find_spec("jax") is None:\n    pass',
    'jax = sys.modules["jax"]',
    'if "torch" in sys.modules:\n    pass',
    'torch = sys.modules.get(name)',
    'match babel_dl.get_backend():\n    case "jax":\n        pass',
    'match name:\n    case "torch" | "tf":\n        pass',
    'rate = {"torch": 0.1, "jax": 0.2}[name]',
    'rate = rates[get_backend()]',
    'rate = rates.get(x.backend.name, 0.1)',
    'if os.environ["BABEL_DL_BACKEND"] == "tf":\n    pass',
]  # fmt: skip


@pytest.mark.parametrize("code", PLANTED)
def test_a_planted_question_is_found(code: str) -> None:
    assert len(questions(code)) >= 1


INNOCENT = [
    '"""Runs on torch and jax."""',
    'parser.add_argument("--backend", default="auto", help="torch, tensorflow or jax")',
    'babel_dl.set_backend("jax")',
    'with use_backend(arguments.backend):\n    pass',
    'return to_native(self, PYTORCH_BACKEND, **options)',
    'print("backend", babel_dl.get_backend())',
    'if x.backend is not y.backend or x.backend.name != owner:\n    pass',  # whether two are the same, whichever they are
    'message = f"{backend.name!r} cannot do this"',
    'if kind.name == "float32" and layer.name != "head":\n    pass',
    'about = {"backend": babel_dl.get_backend()}',
]


@pytest.mark.parametrize("code", INNOCENT)
def test_what_does_not_ask_is_left_alone(code: str) -> None:
    assert questions(code) == []
