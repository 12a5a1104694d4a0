"""The documents are true: what they show runs, what they quote is the source, and what they name exists.

What a block of a page is for, its first line says:

    ```console               commands after `$ `; those of headstart are run, the lines below them are for the reader
    ```python                a program, run
    ```python api.fit        a quotation of that function, without its docstring
    ```csv reviews.csv       a file of the reader's, written before what follows is run

All pages share one folder and run in the order of `PAGES`: a guide may use the model that the README made.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import os
import re
import shlex
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest
import typer.main

import headstart
from headstart.cli import application

ROOT = Path(__file__).parents[2]
SOURCE = Path(headstart.__file__).parent
TOP = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES = [*TOP, *sorted((ROOT / "docs").rglob("*.md"), key=lambda page: (page.parent.name != "guides", page))]

BLOCK = re.compile(r"^```(\w+) ?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (headstart .*(?:(?<=\\)\n.*)*)", re.MULTILINE)
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
PATH = re.compile(r"[\w.-]+(/[\w.-]+)*(/|\.(py|md|toml|lock|jinja))")
NAME = re.compile(r"headstart(?!\.(?:toml|json)\b)(\.[A-Za-z_]\w*)+")


class Block(NamedTuple):
    """A fenced block: its language, the rest of its first line, and what it holds."""

    language: str
    about: str
    text: str


def blocks(page):
    return [Block(*found) for found in BLOCK.findall(page.read_text("utf-8"))]


def prose(page):
    """Return a page without its fenced blocks."""
    return BLOCK.sub("", page.read_text("utf-8"))


def commands(text):
    """Return the headstart commands of a console block, each on one line."""
    return [command.replace("\\\n", " ") for command in COMMAND.findall(text)]


def programs(block):
    """Return the command lines that run a block."""
    if block.language == "console":
        lines = [shlex.split(command, comments=True)[1:] for command in commands(block.text)]
        return [[sys.executable, "-m", "headstart", *arguments] for arguments in lines]
    if block.language == "python" and not block.about:
        return [[sys.executable, "-c", block.text]]
    return []


def is_file(block):
    return block.about and block.language != "python"


def run_page(page, folder):
    """Write the files of a page and run its commands and programs, in order; the first that fails is the error."""
    for block in blocks(page):
        if is_file(block):
            (folder / block.about).write_text(block.text, "utf-8")
        for program in programs(block):
            done = subprocess.run(
                program, cwd=folder, capture_output=True, text=True, timeout=900, env={**os.environ, "NO_COLOR": "1"}
            )
            assert done.returncode == 0, f"{page.name}: {shlex.join(program[1:])}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
def test_what_the_documents_show_runs(tmp_path):
    for page in PAGES:
        run_page(page, tmp_path)


def test_a_command_that_fails_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```csv a.csv\ntext,label\n```\n\n```console\n$ headstart models\n$ headstart report \\\n  a.csv\n```\n"
    )
    with pytest.raises(AssertionError, match=r"headstart report a\.csv"):
        run_page(page, tmp_path)
    page.write_text("```console\n$ ls\n$ headstart models --json  # all\n[]\n```\n")
    run_page(page, tmp_path)


def test_a_program_that_fails_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```python\n1 / 0\n```\n")
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        run_page(page, tmp_path)


QUOTATIONS = [(page, b) for page in PAGES for b in blocks(page) if b.language == "python" and b.about]


@pytest.mark.parametrize(("page", "block"), QUOTATIONS, ids=[block.about for _, block in QUOTATIONS])
def test_quotations_are_the_source(page, block):
    module, _, name = block.about.rpartition(".")
    assert without_docstring(getattr(importlib.import_module(f"headstart.{module}"), name)) == block.text


def without_docstring(function):
    """Return the source of a function without its docstring."""
    source = textwrap.dedent(inspect.getsource(function))
    docstring = ast.parse(source).body[0].body[0]
    lines = source.splitlines(keepends=True)
    return "".join(lines[: docstring.lineno - 1] + lines[docstring.end_lineno :])


def test_the_architecture_is_quoted():
    assert [block.about for _, block in QUOTATIONS].count("api.fit") == 1


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for target in LINK.findall(prose(page)):
        if "://" in target:
            continue
        file, _, heading = target.partition("#")
        found = (page.parent / file).resolve() if file else page
        assert found.exists(), target
        assert not heading or heading in anchors(found), target


def anchors(page):
    """Return what a page's headings are linked by."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_path_that_is_named_exists(page):
    """A path is told from the root or from the source; `backbones/<family>.py` stands for all in that folder."""
    for code in CODE.findall(prose(page)):
        path = re.sub(r"<[\w-]+>.*", "", code)
        if PATH.fullmatch(path) and not is_users(path):
            assert (ROOT / path).exists() or (SOURCE / path).exists() or any(SOURCE.glob(f"*/{path}")), code


def is_users(path):
    """Say whether a path is one of a model folder or of a user's data."""
    own = {"report.html", "headstart.toml", "recipe.toml", "metadata.csv", "photos/"}
    return path in own or re.fullmatch(r"(train|validation|test)(/|\.csv)", path)


def test_the_tree_of_the_readme_is_complete():
    (tree,) = (block.text for block in blocks(ROOT / "README.md") if block.text.startswith("src/headstart/\n"))
    listed = set(re.findall(r"^    ([\w.]+/?)", tree, re.MULTILINE))
    there = {path.name + "/" * path.is_dir() for path in SOURCE.iterdir() if not path.name.startswith("__")}
    assert listed == there


def test_the_floors_of_the_architecture_are_those_that_are_enforced():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    (told,) = (block.text for block in blocks(ROOT / "ARCHITECTURE.md") if block.text.startswith("cli ▸"))
    assert " ".join(told.split()) == " ▸ ".join(layers)


def test_both_pages_draw_the_same_picture():
    readme, architecture = (
        next(b.text for b in blocks(ROOT / page) if b.language == "text") for page in ("README.md", "ARCHITECTURE.md")
    )
    assert readme == architecture


def options():
    """Return the options of each command of the command line."""
    group = typer.main.get_command(application())
    return {
        name: {option for parameter in command.params for option in parameter.opts} | {"--help"}
        for name, command in group.commands.items()
    }


def test_commands_and_options_that_are_named_exist():
    known = options()
    everywhere = set().union(*known.values(), {"--version"}, {"--fast"})
    for page in PAGES:
        shown = [c for block in blocks(page) if block.language == "console" for c in commands(block.text)]
        for code in [*CODE.findall(prose(page)), *shown]:
            words = re.split(r"[\s=]+", code)
            if words[0] == "headstart" and words[1:] and not words[1].startswith("-"):
                assert words[1] in known, code
                assert {word for word in words if word.startswith("--")} <= known[words[1]], code
            elif words[0].startswith("--"):
                assert words[0] in everywhere, f"{page.name}: {code}"


def test_the_readme_lists_every_command():
    text = (ROOT / "README.md").read_text("utf-8")
    assert all(f"`headstart {name}" in text for name in options())


def test_names_of_the_library_that_are_named_exist():
    for page in PAGES:
        shown = "\n".join(block.text for block in blocks(page) if block.language == "python")
        for found in NAME.finditer("\n".join([*CODE.findall(prose(page)), shown])):
            assert exists(found[0].split(".")[1:]), found[0]


def exists(parts):
    """Say whether `headstart.` and these parts name something, without importing what is heavy."""
    if parts[0] in headstart.__all__:
        return True
    module = SOURCE
    while parts and ((module / parts[0]).is_dir() or (module / f"{parts[0]}.py").is_file()):
        module = module / parts.pop(0) if (module / parts[0]).is_dir() else module / f"{parts.pop(0)}.py"
    source = module / "__init__.py" if module.is_dir() else module
    return not parts or re.search(rf"^(class|def) {parts[0]}\b|^{parts[0]}\b", source.read_text("utf-8"), re.MULTILINE)
