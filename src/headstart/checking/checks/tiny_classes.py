"""Classes with so few examples that little can be learnt of them, and less measured."""

from __future__ import annotations

from collections.abc import Iterator

from headstart.checking.checks.contract import Case, Check, Problem, Severity
from headstart.checking.evidence import Evidence

FEWEST = 5


class TinyClasses(Check):
    name = "tiny-classes"

    def find(self, evidence: Evidence) -> Iterator[Problem]:
        form = evidence.dataset.form
        members: dict[str, list[str]] = {}
        for example in evidence.examples:
            for label in form.classes(example.target):
                members.setdefault(label, []).append(example.name)
        cases = tuple(
            Case(tuple(names), f"`{label}` has {len(names)}")
            for label, names in sorted(members.items(), key=lambda item: len(item[1]))
            if len(names) < FEWEST
        )
        if cases:
            yield Problem(
                "tiny-classes", f"Classes with fewer than {FEWEST} examples",
                "Add examples, or join the class to another.", Severity.ODD, cases,
            )  # fmt: skip

    def plant(self, evidence: Evidence) -> Evidence:
        return evidence.changed(0, target="seldom")


check = TinyClasses()
