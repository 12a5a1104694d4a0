"""Inputs that are left out because nothing can be read from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from headstart.checking.checks.contract import Case, Check, Problem, Severity
from headstart.checking.evidence import Evidence
from headstart.types import Skipped


class Unreadable(Check):
    name = "unreadable"

    def find(self, evidence: Evidence) -> Iterator[Problem]:
        skipped = (*evidence.dataset.skipped, *evidence.unreadable)
        if skipped:
            advice = "Repair or replace them; as they are, they are left out of everything."
            cases = tuple(Case((one.name,), one.error) for one in skipped)
            yield Problem("unreadable", "Inputs that cannot be used", advice, Severity.LEARNING, cases)

    def plant(self, evidence: Evidence) -> Evidence:
        return replace(evidence, unreadable=(Skipped("broken.png", "is truncated"),))


check = Unreadable()
