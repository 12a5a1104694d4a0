"""What `headstart models` says of each family is what the contract tests say."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from headstart.assets import status
from headstart.assets.status import status_of
from headstart.registry import plugins

ROOT = Path(__file__).parents[2]


def test_every_family_of_the_project_has_been_swept() -> None:
    own = {name for name, family in plugins("backbones").items() if type(family).__module__.startswith("headstart.")}
    swept = json.loads((files("headstart.assets") / "status.json").read_text(encoding="utf-8"))
    assert set(swept) == own, "run scripts/status.py"


@pytest.mark.slow
def test_the_committed_status_is_what_the_tests_say_now() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts/status.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, "run scripts/status.py\n" + done.stdout


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [({"passed": 3, "failed": 0}, "tested"), ({"passed": 3, "failed": 1}, "failing"), ({}, "untested")],
)
def test_one_failure_is_told(outcomes: dict, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "_FILE", tmp_path / "status.json")
    (tmp_path / "status.json").write_text(json.dumps({"toy": outcomes}))
    assert status_of("toy") == expected
    assert status_of("another") == "untested"
