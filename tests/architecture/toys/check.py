"""A check: examples whose names say that nobody has finished them."""

from __future__ import annotations

from collections.abc import Iterator

from headstart.checking.checks.contract import LEAVE_OUT, Case, Check, Problem, Severity
from headstart.checking.evidence import Evidence


class Unfinished(Check):
    name = "toy-check"

    def find(self, evidence: Evidence) -> Iterator[Problem]:
        names = [example.name for example in evidence.examples if "unfinished" in example.name]
        if names:
            cases = tuple(Case((name,), suggestion=LEAVE_OUT) for name in names)
            yield Problem("unfinished", "Unfinished examples", "Finish them.", Severity.ODD, cases)

    def plant(self, evidence: Evidence) -> Evidence:
        return evidence.changed(0, name="unfinished")


check = Unfinished()
