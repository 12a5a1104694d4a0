"""What comes with headstart: every package is locked with hashes, and its licence is one that is allowed."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text("utf-8")


def script(name: str) -> ModuleType:
    """Load a script, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_version_is_exact_and_has_hashes() -> None:
    entries = re.split(r"^(?=[\w])", re.sub(r"^#.*\n", "", LOCK, flags=re.MULTILINE), flags=re.MULTILINE)[1:]
    assert len(entries) > 80
    for entry in entries:
        assert re.match(r"[\w.-]+==[\w.]+", entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


def test_every_licence_is_allowed_and_listed() -> None:
    licences = script("licences")
    assert licences.refused() == []
    listed = (ROOT / "docs" / "reference" / "licences.md").read_text("utf-8")
    for name, versions in licences.versions().items():
        assert f"\n| {name} | {', '.join(versions)} | {licences.licence(name)} | " in listed, "run scripts/docs"
    for row in licences._asset_rows():
        assert row in listed, "run scripts/docs"


@pytest.mark.parametrize("licence", ["GPL-3.0-or-later", "AGPL-3.0-only", "MIT AND GPL-2.0-only", "unknown", "BSD"])
def test_other_licences_are_refused(licence: str) -> None:
    licences = script("licences")
    assert not licences._parts(licence) <= licences.ALLOWED


def test_an_audit_that_did_not_happen_is_no_clean_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "found.json"
    flaw = {"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": []}
    known, flawed = {"name": "a", "version": "1", "vulns": []}, {"name": "b", "version": "1.0", "vulns": [flaw]}
    unknown = {"name": "c", "skip_reason": "not found"}
    expected = {
        "1 of 1 packages": ([known], 0),
        "b 1.0: PYSEC-1, repaired in 1.1": ([known, flawed], 1),
        "not compared: c": ([known, unknown], 0),
        "NOT AUDITED": ([unknown], 0),
    }
    for words, (packages, code) in expected.items():
        file.write_text(json.dumps({"dependencies": packages}))
        assert script("advisories").main(file) == code
        assert words in capsys.readouterr().out
