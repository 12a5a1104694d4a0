"""The same content more than once, byte for byte: across splits, with different labels, or merely twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from headstart.checking.checks.contract import LEAVE_OUT, Case, Check, Problem, Severity
from headstart.checking.evidence import Evidence
from headstart.types import Example

ACROSS = "duplicates-across-splits"
_KEEP = ("test", "validation", "train")  # of the same content, what was set aside stays where it is


class ExactDuplicates(Check):
    name = "exact-duplicates"

    def find(self, evidence: Evidence) -> Iterator[Problem]:
        across: list[Case] = []
        torn: list[Case] = []
        within: list[Case] = []
        for same in _groups(evidence):
            kept, *others = sorted(same, key=lambda example: _KEEP.index(example.split or "train"))
            if len({evidence.dataset.form.text(example.target) for example in same}) > 1:
                torn.append(Case(tuple(example.name for example in same), _labels(evidence, same)))
            for example in others:
                elsewhere = tuple(one.name for one in same if one.split != example.split)
                names = (example.name, *(elsewhere or (kept.name,)))
                (across if elsewhere else within).append(Case(names, suggestion=LEAVE_OUT))
        if across:
            yield Problem(
                ACROSS, "The same content in more than one split",
                "Leave the copies out of training: a score on what was learnt says little about new examples.",
                Severity.SCORES, tuple(across),
            )  # fmt: skip
        if torn:
            yield Problem(
                "duplicates-with-other-labels", "The same content with different labels",
                "Only one of the labels can be right: decide which.", Severity.LEARNING, tuple(torn),
            )  # fmt: skip
        if within:
            yield Problem(
                "duplicates", "The same content more than once in a split",
                "Leave the copies out: they count twice without saying anything new.", Severity.ODD, tuple(within),
            )  # fmt: skip

    def plant(self, evidence: Evidence) -> Evidence:
        content = evidence.dataset.hashes[evidence.examples[0].name]
        return evidence.changed(1, content=content, split="test")


def _groups(evidence: Evidence) -> list[list[Example]]:
    """Return the examples that share their content with others."""
    found: defaultdict[str, list[Example]] = defaultdict(list)
    for example in evidence.examples:
        found[evidence.dataset.hashes[example.name]].append(example)
    return [same for same in found.values() if len(same) > 1]


def _labels(evidence: Evidence, same: Sequence[Example]) -> str:
    return "labelled " + " and ".join(sorted({f"`{evidence.dataset.form.text(one.target)}`" for one in same}))


check = ExactDuplicates()
