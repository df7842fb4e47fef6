"""Things by name: decorators, look-up, listing, and what installed packages announce."""

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import babel_dl
import babel_dl.training  # registers what comes with it
from babel_dl.core import logging, registry
from babel_dl.core.registry import Registry
from babel_dl.errors import ArgumentError

BUILT_IN = {
    registry.LOSSES: ("cross_entropy", "categorical_cross_entropy", "bce", "binary_cross_entropy", "mse", "mean_squared_error", "mae"),
    registry.METRICS: ("acc", "accuracy", "binary_accuracy", "top_k", "mae", "mse"),
    registry.OPTIMIZERS: ("sgd", "adam", "adamw", "rmsprop"),
    registry.SCHEDULES: ("const", "exponential", "cosine", "one_cycle", "warmup", "linear_warm_up", "step_decay"),
    registry.CALLBACKS: ("early_stopping", "checkpoint", "history", "log", "progress_bar", "plateau", "tensorboard"),
    registry.TRANSFORMERS: ("to_tensor", "normalize", "random_flip", "random_crop"),
}


@pytest.fixture
def shapes() -> Registry:
    return Registry("shape", "babel_dl.shapes_of_tests")


@pytest.fixture
def lines() -> Any:
    found: list[str] = []
    before = logging.set_console(found.append)
    yield found
    logging.set_console(before)


class Square:
    """Something to register."""


class Circle:
    """Something else."""


def test_a_class_is_found_under_each_of_its_names(shapes):
    assert shapes.register("square")(shapes.register("box", "quad")(Square)) is Square
    assert [shapes.find(name) for name in ("square", "box", "quad")] == [Square] * 3
    assert shapes.names_of(Square) == ["box", "quad", "square"]
    assert shapes.names_of(Circle) == []


def test_case_and_separators_make_no_difference(shapes):
    shapes.register("RegularPolygon")(Square)
    assert {shapes.find(name) for name in ("regular_polygon", "regular-polygon", "REGULARPOLYGON")} == {Square}
    assert shapes.names() == ["regular_polygon"]
    assert "Regular_Polygon" in shapes
    assert "polygon" not in shapes
    assert 3 not in shapes


def test_a_misspelt_name_gets_the_nearest_one(shapes):
    shapes.register("square")(Square)
    with pytest.raises(ArgumentError, match="There is no shape 'sqare'. Did you mean 'square'?"):
        shapes.find("sqare")
    with pytest.raises(ArgumentError, match="There is no shape 'xyz'. Known: square."):
        shapes.find("xyz")


def test_an_empty_registry_says_so(shapes):
    with pytest.raises(ArgumentError, match="There is no shape 'square'. None is registered."):
        shapes.find("square")


def test_a_second_thing_under_a_taken_name_is_refused_and_takes_none_of_its_names(shapes):
    shapes.register("square")(Square)
    with pytest.raises(ArgumentError, match="A shape named 'Square' is registered already, by .*test_registry. Choose another name."):
        shapes.register("circle", "Square")(Circle)
    assert shapes.find("square") is Square
    assert "circle" not in shapes


def test_the_same_definition_run_again_takes_its_own_place(shapes):
    def cell() -> Any:
        @shapes.register("square")
        class Cell:
            pass

        return Cell

    first, second = cell(), cell()
    assert first is not second
    assert shapes.find("square") is second


def test_a_class_of_a_notebook_is_replaced_when_its_cell_runs_again(shapes):
    code = "@shapes.register('net')\nclass Net:\n    depth = {}\n"
    for depth in (1, 2):
        exec(code.format(depth), {"shapes": shapes, "__name__": "__main__"})
    assert shapes.find("net").depth == 2


def test_two_functions_without_a_name_are_two_things(shapes):
    shapes.register("one")(lambda: 1)
    with pytest.raises(ArgumentError, match="A shape named 'one' is registered already"):
        shapes.register("one")(lambda: 2)


@pytest.mark.parametrize("name", ["", "two words", "-dash", None, 3])
def test_a_malformed_name_is_refused(shapes, name):
    with pytest.raises(ArgumentError, match="A shape cannot be called .*. A name begins with a letter or digit"):
        shapes.register(name)


def test_a_decorator_without_its_brackets_is_refused(shapes):
    with pytest.raises(ArgumentError, match=r"A decorator for a shape takes names, and got Square itself. Write one in brackets"):
        shapes.register(Square)
    with pytest.raises(ArgumentError, match="A shape is registered under at least one name, and none came."):
        shapes.register()


def test_a_thing_that_is_no_class_and_no_function_is_refused(shapes):
    with pytest.raises(ArgumentError, match="A shape is a class or a function, and 4, registered as 'four', is neither."):
        shapes.register("four")(4)


# ---------------------------------------------------------------- what comes with babel_dl


@pytest.mark.parametrize("registered", BUILT_IN, ids=lambda one: one.kind)
def test_what_comes_with_babel_dl_has_its_names(registered):
    names = registered.names()
    assert [name for name in BUILT_IN[registered] if name not in names] == []
    assert all(callable(registered.find(name)) for name in BUILT_IN[registered])


@pytest.mark.parametrize("kind", ["module", "loss", "metric", "optimizer", "schedule", "callback", "transformer"])
def test_babel_dl_has_a_decorator_for_each_kind(kind):
    decorator = getattr(babel_dl, f"register_{kind}")
    assert f"register_{kind}" in babel_dl.__all__
    known = next(one for one in vars(registry).values() if isinstance(one, Registry) and kind.startswith(one.kind))
    name = f"of_the_test_of_{kind}"
    assert decorator(name)(Square) is Square
    assert known.find(name) is Square


def test_the_decorators_know_the_built_in_names_without_a_framework():
    code = """
        import sys, babel_dl
        assert "babel_dl.core" not in sys.modules, "import babel_dl is to stay quick"
        try:
            babel_dl.register_loss("mse")(int)
        except babel_dl.BabelError as error:
            print(error)
        print(sorted({"torch", "tensorflow", "jax"} & set(sys.modules)))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "A loss named 'mse' is registered already, by babel_dl.training.losses.regression. Choose another name.\n[]\n"
    )


# ---------------------------------------------------------------- what packages announce

PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "their-shapes"
version = "1.0"

[tool.setuptools]
packages = ["their_shapes"]

[project.entry-points."babel_dl.shapes_of_tests"]
star = "their_shapes.stars:Star"
broken_star = "their_shapes.broken:Star"
number = "their_shapes.stars:FIVE"
square = "their_shapes.stars:Square"
"""
STARS = """
from babel_dl.core.registry import Registry
FIVE = 5
class Star: pass
class Square: pass
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip installed a package that announces shapes."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    (source / "their_shapes").mkdir()
    (source / "pyproject.toml").write_text(PROJECT)
    (source / "their_shapes" / "__init__.py").write_text("")
    (source / "their_shapes" / "stars.py").write_text(STARS)
    (source / "their_shapes" / "broken.py").write_text("import a_package_that_is_not_here")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", f"--target={target}"]
    done = subprocess.run([*command, str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


@pytest.fixture
def installed(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package on the path, not imported."""
    monkeypatch.syspath_prepend(str(package))
    for name in [name for name in sys.modules if name.startswith("their_shapes")]:
        monkeypatch.delitem(sys.modules, name)


def test_what_an_installed_package_announces_is_listed_without_being_imported(shapes, installed):
    assert shapes.names() == ["broken_star", "number", "square", "star"]
    assert "Star" in shapes
    assert not [name for name in sys.modules if name.startswith("their_shapes")]


def test_what_an_installed_package_announces_is_imported_when_its_name_is_asked_for(shapes, installed):
    star = shapes.find("star")
    assert (star.__module__, star.__name__) == ("their_shapes.stars", "Star")
    assert shapes.find("Star") is star
    assert shapes.names_of(star) == ["star"]
    assert "their_shapes.broken" not in sys.modules


def test_a_misspelt_name_of_an_installed_package_is_offered(shapes, installed):
    with pytest.raises(ArgumentError, match="There is no shape 'stra'. Did you mean 'star'?"):
        shapes.find("stra")


def test_a_package_that_cannot_be_loaded_is_named(shapes, installed):
    text = "The shape .broken_star. comes from the package .their-shapes. .their_shapes.broken:Star., and loading it failed:\n  Module"
    with pytest.raises(ArgumentError, match=text):
        shapes.find("broken_star")


def test_an_entry_point_that_leads_to_no_class_is_refused(shapes, installed):
    with pytest.raises(ArgumentError, match="announces the shape 'number' as their_shapes.stars:FIVE, which is a int"):
        shapes.find("number")


def test_what_is_registered_here_comes_before_what_a_package_announces(shapes, installed, lines):
    shapes.register("square")(Square)
    assert [shapes.find("square") for _ in range(2)] == [Square] * 2
    told = [line for line in lines if "The shape 'square' of the package 'their-shapes' is not used" in line]
    assert len(told) == 1
    assert "their_shapes.stars" not in sys.modules


def test_a_package_that_registers_what_it_announces_is_not_reported(shapes, installed, lines):
    star = shapes.find("star")
    shapes.register("star")(star)
    assert shapes.find("star") is star
    assert lines == []


def test_two_packages_that_announce_one_name_are_refused(shapes, installed, tmp_path, monkeypatch):
    other = tmp_path / "others-1.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
    (other / "entry_points.txt").write_text("[babel_dl.shapes_of_tests]\nStar = others:Star\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ArgumentError, match="Several packages announce the shape 'star': .*'others' .others:Star.*'their-shapes'"):
        shapes.find("star")
