"""One file each is enough: another package brings a family, a head, a format, an engine, a task and a command.

The package is written to a temporary folder with the entry points that an installer would write. The contract tests
then run with it, in a process of their own, and sweep what it brings; no file of this project knows of it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from headstart.registry import NOUNS

TESTS = Path(__file__).parents[1]
TOYS = Path(__file__).parent / "toys"
# The plug-in, the file of contract tests that sweeps its folder, and how many tests there name it at the least.
SWEPT = {
    "toy-family": ("test_backbones", 15),
    "toy-head": ("test_heads", 6),
    "toy-format": ("test_formats", 6),
    "toy-engine": ("test_engines", 5),
    "toy-task": ("test_tasks", 10),
    "toy-descriptor": ("test_descriptors", 5),
    "toy-check": ("test_checks", 10),
    "toy-score": ("test_scores", 5),
    "toy-command": ("test_commands", 5),
}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a machine on which the package is installed."""
    shutil.copytree(TOYS, tmp_path / "toys")
    info = tmp_path / "toys-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n")
    points = [f"[headstart.{folder}]\n{noun} = toys.{noun}\n" for folder, noun in NOUNS.items()]
    (info / "entry_points.txt").write_text("\n".join(points))
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "HEADSTART_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, cwd=TESTS.parent)


def test_there_is_a_toy_of_each_kind() -> None:
    assert {f"{noun}.py" for noun in NOUNS.values()} == {path.name for path in TOYS.glob("[!_]*.py")}


def test_nothing_here_knows_of_them_otherwise() -> None:
    source = TESTS.parent / "src"
    assert not [file for file in source.rglob("*.py") if "toy-" in file.read_text("utf-8")]


def test_a_command_of_another_package_is_listed_and_runs(environment: dict[str, str]) -> None:
    assert "toy-command" in run(environment, "headstart", "--help").stdout
    assert run(environment, "headstart", "toy-command", "--json").stdout == '{"hello": "world"}\n'


@pytest.mark.slow
def test_the_contract_tests_sweep_what_another_package_brings(environment: dict[str, str], tmp_path: Path) -> None:
    results = tmp_path / "results.xml"
    wanted = ["-q", "-k", "toy", "-p", "no:cacheprovider", f"--junitxml={results}"]
    done = run(environment, "pytest", str(TESTS / "contracts"), *wanted)
    assert done.returncode == 0, done.stdout
    cases = ElementTree.parse(results).getroot().iter("testcase")
    passed = [(case.get("classname"), case.get("name")) for case in cases if case.find("skipped") is None]
    for name, (file, least) in SWEPT.items():
        swept = [test for home, test in passed if home.endswith(file) and name in test]
        assert len(swept) >= least, f"{name}: {swept}"
