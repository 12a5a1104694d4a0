"""The commands that the documents show are run, in one folder, in the order of the page.

A block that starts with ```console holds commands after `$ `; only those of headstart are run. The lines below a
command are for the reader.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [page for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))] if page.is_file()]
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (headstart .*(?:(?<=\\)\n.*)*)", re.MULTILINE)


def commands(page):
    """Return the headstart commands of a page, each on one line."""
    text = page.read_text("utf-8")
    return [command.replace("\\\n", " ") for block in BLOCK.findall(text) for command in COMMAND.findall(block)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder that all pages share, so that a guide can use the model that the README made."""
    return tmp_path_factory.mktemp("reader")


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_commands_of_a_page_run(page, folder):
    for command in commands(page):
        arguments = [sys.executable, "-m", "headstart", *shlex.split(command, comments=True)[1:]]
        done = subprocess.run(
            arguments, cwd=folder, capture_output=True, text=True, timeout=900, env={**os.environ, "NO_COLOR": "1"}
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"


def test_commands_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```console\n$ headstart fit photos \\\n    --freeze 9\nkept 13 blocks\n$ ls\n```\n"
        "```python\n$ headstart x\n```\n"
    )
    assert [shlex.split(command) for command in commands(page)] == [["headstart", "fit", "photos", "--freeze", "9"]]
