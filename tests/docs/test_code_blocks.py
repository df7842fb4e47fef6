"""What the pages say runs: each ```python block on every backend, each ```console line as far as it can be held against the repository.

The blocks of a page run in order, in one namespace and one empty folder. A block with `>>>` shows its output, and the output is checked;
other blocks only have to run. There is no way to leave a block out: what cannot run is marked ```text.
"""

import doctest
import importlib.util
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import babel_dl
from babel_dl.backend import current_choice
from babel_dl.backend.names import BACKEND_VARIABLE
from babel_dl.core import current_seed, logging
from babel_dl.data.sources import SOURCES
from babel_dl.training import loop

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"]
PAGES += [
    str(path.relative_to(ROOT))
    for folder in ("docs", "babel_dl", "backends", "benchmarks", "examples", "tests")
    for path in sorted((ROOT / folder).rglob("*.md"))
]
LANGUAGES = ("python", "console", "text")
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\S*)\s*$")
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
FILE = re.compile(r"`([\w/*]+\.\w+)`")
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


class Block(NamedTuple):
    """A fenced block: the language behind its fence, its text, and the line of the page where the text begins, counted from 1."""

    language: str
    text: str
    line: int


class Command(NamedTuple):
    """A line of a console block: the variables set in front of it, and its words."""

    variables: dict[str, str]
    words: list[str]


@cache
def blocks_of(page: str) -> tuple[Block, ...]:
    """The fenced blocks of a page.

    Raises:
        ValueError: A block has no end.
    """
    found: list[Block] = []
    language, start, lines = None, 0, []
    for number, line in enumerate((ROOT / page).read_text().splitlines(), 1):
        fence = FENCE.match(line)
        if fence and language is None:
            language, start, lines = fence["language"], number + 1, []
        elif fence and not fence["language"]:
            found.append(Block(str(language), "\n".join(lines) + "\n", start))
            language = None
        else:
            lines.append(line)
    if language is not None:
        raise ValueError(f"{page}:{start - 1}: a block has no end.")
    return tuple(found)


def pages_with(language: str) -> list[str]:
    """The pages that have a block of this language."""
    return [page for page in PAGES if any(block.language == language for block in blocks_of(page))]


def commands_of(text: str) -> Iterator[Command]:
    """The commands of a console block: every line begins with `$ `, comments are left out.

    Raises:
        ValueError: A line is output, which nobody checks.
    """
    for line in text.splitlines():
        if not line.startswith("$ "):
            raise ValueError(f"{line!r} is no command. Output belongs into a text block.")
        words, variables = shlex.split(line[2:], comments=True), {}
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            name, _, value = words.pop(0).partition("=")
            variables[name] = value
        yield Command(variables, words)


@pytest.fixture
def fresh_choices(backend_name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A process as a reader has it: the backend chosen by the environment, seed 0, no log file, an empty folder. Put back afterwards."""
    before, seed = current_choice(), current_seed()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(BACKEND_VARIABLE, backend_name)
    babel_dl.set_backend("auto")
    babel_dl.set_seed(0)
    yield
    logging.set_logger(None)
    logging.set_console(None)
    babel_dl.set_seed(seed)
    babel_dl.set_backend(before.backend.name, before.device)


def run_block(block: Block, page: str, names: dict[str, Any]) -> None:
    """Runs one block; its names stay for the next one.

    Raises:
        AssertionError: What it shows is not what comes.
    """
    if not re.search(r"^\s*>>> ", block.text, re.MULTILINE):
        exec(compile("\n" * (block.line - 1) + block.text, str(ROOT / page), "exec"), names)
        return
    shown: list[str] = []
    test = doctest.DocTestParser().get_doctest(block.text, names, f"{page}:{block.line}", str(ROOT / page), block.line - 1)
    runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    runner.run(test, out=shown.append, clear_globs=False)
    names.update(test.globs)
    if runner.failures:
        raise AssertionError("".join(shown))


@pytest.mark.parametrize("page", pages_with("python"))
def test_python_blocks_of_a_page_run(page: str, fresh_choices: None) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks_of(page):
        if block.language == "python":
            run_block(block, page, names)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_what_it_is(page: str) -> None:
    unknown = [f"{page}:{block.line - 1}: {block.language!r}" for block in blocks_of(page) if block.language not in LANGUAGES]
    assert not unknown, f"A block is one of {LANGUAGES}."


@pytest.mark.parametrize("page", PAGES)
def test_links_inside_the_repository_lead_somewhere(page: str) -> None:
    targets = [link["target"] for link in LINK.finditer((ROOT / page).read_text())]
    assert [target for target in targets if "://" not in target and not leads_somewhere(page, target)] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.endswith("/README.md") and not page.startswith("examples")])
def test_a_folder_has_the_files_that_its_page_names(page: str) -> None:
    folder = (ROOT / page).parent
    named = [name for line in (ROOT / page).read_text().splitlines() if line.startswith("| ") for name in FILE.findall(line.split("|")[1])]
    assert [name for name in named if not any(folder.rglob(name))] == []


def test_the_page_on_training_shows_the_loop_that_runs() -> None:
    shown = next(block.text for block in blocks_of("docs/training.md") if block.language == "text")
    assert textwrap.indent(shown, "    ") in (loop.__doc__ or "")


@pytest.mark.parametrize("page", pages_with("console"))
def test_commands_of_a_page_exist(page: str) -> None:
    for block in blocks_of(page):
        if block.language == "console":
            for command in commands_of(block.text):
                check_variables(command.variables)
                check_command(command.words)


def leads_somewhere(page: str, target: str) -> bool:
    """Whether a link that stands in a page leads to a file, and to a heading of it where it names one."""
    path, _, anchor = target.partition("#")
    file = (ROOT / page).parent / path if path else ROOT / page
    if not anchor or not file.exists():
        return file.exists()
    titles = [line.lstrip("# ").lower() for line in file.read_text().splitlines() if line.startswith("#")]
    return anchor in [re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles]


def check_variables(variables: dict[str, str]) -> None:
    """Each variable of ours is one that the library reads."""
    sources = "".join(path.read_text() for path in (ROOT / "babel_dl").rglob("*.py"))
    for name in variables:
        assert not name.startswith("BABEL_DL_") or f'"{name}"' in sources, f"Nothing reads the variable {name}."


def check_command(words: list[str]) -> None:
    """The program is one that can be checked here, and what it is asked for exists."""
    checks = {"make": check_make, "python": check_python, "pip": check_pip, "apt-get": check_package, "export": check_export}
    assert words[0] in (*checks, "git", "cd"), f"This test cannot check {' '.join(words)!r}: mark the block as text."
    if words[0] in checks:
        checks[words[0]](words[1:])


def check_make(words: list[str]) -> None:
    """Every target is a rule of the Makefile."""
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [word for word in words if "=" not in word and word not in targets] == []


def check_export(words: list[str]) -> None:
    """Every exported variable is one that the library reads."""
    check_variables(dict(word.split("=", 1) for word in words))


def check_package(words: list[str]) -> None:
    """The package is the one that the sources of data know."""
    assert " ".join(["apt-get", *words]) in {source.package for source in SOURCES.values()}


def check_pip(words: list[str]) -> None:
    """Every extra is one of the project; other names are those of frameworks."""
    project = (ROOT / "pyproject.toml").read_text().partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    extras = set(re.findall(r"^(\w+) = \[", project, re.MULTILINE))
    assert words[0] == "install"
    names = [word for word in words[1:] if not word.startswith("-") and "://" not in word]
    for name in names:
        own = re.fullmatch(r"(\.|babel_dl)(\[(?P<extras>[\w,]+)\])?", name)
        if own:
            assert set((own["extras"] or "").split(",")) - {""} <= extras
        else:
            assert name in ("torch", "tensorflow", "tensorflow-cpu", "jax", "constraints.txt")


def check_python(words: list[str]) -> None:
    """The script or module exists, and knows the flags."""
    assert not words[0].startswith("-") or words[0] == "-m"
    program = words[:2] if words[0] == "-m" else words[:1]
    arguments = words[len(program) :]
    if program == ["-m", "pytest"]:
        check_pytest(arguments)
        return
    if program[0] == "-m":
        assert importlib.util.find_spec(program[1]) is not None
    else:
        assert (ROOT / program[0]).is_file()
    flags = [word for word in arguments if word.startswith("--")]
    assert [flag for flag in flags if not re.search(rf"{flag}\b", help_of(*program))] == []
    fields = [word.partition("=")[0].partition(".")[0] for flag, word in pairwise(arguments) if flag == "--set"]
    configs = "".join(path.read_text() for path in (ROOT / "examples").rglob("configs/*.py"))
    assert [field for field in fields if f"self.{field} = " not in configs] == []


def check_pytest(arguments: list[str]) -> None:
    """Paths exist; `--backend` is our own option."""
    for place, word in enumerate(arguments):
        if word.startswith("-"):
            assert word in ("--backend", "-q", "--doctest-modules")
        elif arguments[place - 1] == "--backend" and place:
            assert word in babel_dl.list_backends()
        else:
            assert (ROOT / word).exists()


@cache
def help_of(*program: str) -> str:
    """What a program of ours prints when it is asked for help."""
    run = subprocess.run([sys.executable, *program, "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    return run.stdout
