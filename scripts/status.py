"""Write what the contract tests say of each family of backbones: `python scripts/status.py [--check]`

With `--check` nothing is written; the exit code says whether the committed file is what the tests say now.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
FILE = ROOT / "src/headstart/assets/status.json"
SWEEP = ROOT / "tests/contracts/test_backbones.py"


class Outcomes:
    """A plug-in of pytest that counts the outcomes of tests by the family they are run on."""

    def __init__(self) -> None:
        self.of: dict[str, Counter[str]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: Any, call: Any) -> Any:
        report = yield
        family = getattr(item, "callspec", None) and item.callspec.params.get("family")
        if family and (report.when == "call" or report.outcome != "passed"):
            self.of.setdefault(family, Counter())[report.outcome] += 1
        return report


def derive() -> dict[str, dict[str, int]]:
    """Run the sweep and return the number of tests by family and outcome."""
    outcomes = Outcomes()
    pytest.main([str(SWEEP), "--quiet", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist"], plugins=[outcomes])
    return {
        family: {outcome: found[outcome] for outcome in ("passed", "failed", "skipped")}
        for family, found in sorted(outcomes.of.items())
    }


def main(words: list[str]) -> int:
    text = json.dumps(derive(), indent=1) + "\n"
    if words == ["--check"]:
        return int(text != FILE.read_text(encoding="utf-8"))
    FILE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
