"""Examples that are longer than the backbone reads, so that their end is never seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from headstart.checking.checks.contract import Case, Check, Problem, Severity
from headstart.checking.evidence import Evidence


class Shortened(Check):
    name = "shortened"

    def find(self, evidence: Evidence) -> Iterator[Problem]:
        cases = tuple(Case((one.name,)) for one in evidence.examples if one.name in evidence.shortened)
        if cases:
            yield Problem(
                "shortened", "Longer than the backbone reads",
                "Make sure that what decides is at the beginning, or cut them into parts.", Severity.ODD, cases,
            )  # fmt: skip

    def plant(self, evidence: Evidence) -> Evidence:
        return replace(evidence, shortened={evidence.examples[0].name})


check = Shortened()
