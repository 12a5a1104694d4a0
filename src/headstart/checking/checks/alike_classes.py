"""Classes that are one class written in several ways: in case, in spaces and marks, or in forms of Unicode."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator

from headstart.checking.checks.contract import Case, Check, Problem, Severity
from headstart.checking.evidence import Evidence


class AlikeClasses(Check):
    name = "alike-classes"

    def find(self, evidence: Evidence) -> Iterator[Problem]:
        form = evidence.dataset.form
        counts = Counter(name for example in evidence.examples for name in form.classes(example.target))
        usual = _usual(counts)
        cases = tuple(
            _case(example.name, label, usual[label], single=evidence.label(example) == label)
            for example in evidence.examples
            for label in form.classes(example.target)
            if label in usual
        )
        if cases:
            yield Problem(
                "classes-written-alike", "One class written in several ways",
                "Write them alike: as it is, each way of writing is a class of its own.",
                Severity.LEARNING, cases,
            )  # fmt: skip

    def plant(self, evidence: Evidence) -> Evidence:
        example = evidence.examples[0]
        return evidence.changed(0, target=f"{example.target} ".upper())


def _case(name: str, label: str, usual: str, *, single: bool) -> Case:
    return Case((name,), f"`{label}`, mostly written `{usual}`", suggestion=usual if single else None)


def _usual(counts: Counter[str]) -> dict[str, str]:
    """Return the most frequent way to write each class that is written otherwise."""
    same: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(counts, key=lambda name: (-counts[name], name)):
        same[_plain(name)].append(name)
    return {rare: often for often, *others in same.values() for rare in others}


def _plain(name: str) -> str:
    """Return a name without case, spaces, underscores, hyphens and what Unicode writes in several ways."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().replace("_", " ").replace("-", " ").split())


check = AlikeClasses()
