"""What the contract tests said of each family when they last ran: `scripts/status.py` writes it, nobody else."""

from __future__ import annotations

import json
from pathlib import Path

_FILE = Path(__file__).with_name("status.json")


def status_of(family: str) -> str:
    """Return `tested` where all contract tests of a family passed, `failing`, or `untested` where none ran."""
    outcomes = json.loads(_FILE.read_text(encoding="utf-8")).get(family, {})
    if outcomes.get("failed"):
        return "failing"
    return "tested" if outcomes.get("passed") else "untested"
