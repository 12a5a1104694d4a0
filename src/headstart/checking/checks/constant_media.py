"""Pictures of one colour, and recordings of silence or of one level."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from headstart.checking.checks.contract import LEAVE_OUT, Case, Check, Problem, Severity
from headstart.checking.evidence import Evidence


class ConstantMedia(Check):
    name = "constant-media"
    kinds = ("image", "audio")
    needs = "sketches"

    def find(self, evidence: Evidence) -> Iterator[Problem]:
        cases = tuple(
            Case((one.name,), suggestion=LEAVE_OUT)
            for one in evidence.examples
            if one.name in evidence.sketches and evidence.sketches[one.name].constant
        )
        if cases:
            what = {"image": "Pictures of one colour", "audio": "Recordings of silence"}[evidence.dataset.kind]
            yield Problem("constant", what, "Leave them out: there is nothing in them.", Severity.LEARNING, cases)

    def plant(self, evidence: Evidence) -> Evidence:
        return evidence.changed(0, sketch=replace(evidence.sketches[evidence.examples[0].name], constant=True))


check = ConstantMedia()
