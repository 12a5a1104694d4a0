"""One source in more than one split: a speaker, a camera, a video that was learnt from and is tested on."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import PurePosixPath

from headstart.checking.checks.contract import Case, Check, Problem, Severity
from headstart.checking.evidence import Evidence
from headstart.types import Example

SHARE = 0.3  # of all examples, from which on a name says nothing about where a file comes from


class GroupsAcrossSplits(Check):
    name = "groups-across-splits"

    def find(self, evidence: Evidence) -> Iterator[Problem]:
        given = defaultdict(list)
        named = defaultdict(list)
        for example in evidence.examples:
            if example.group is not None:
                given[example.group].append(example)
            elif source := _source(example):
                named[source].append(example)
        if torn := _torn(given):
            yield Problem(
                "groups-across-splits", "Groups in more than one split",
                "Put each group into one split: what one speaker, camera or author has in common is learnt as well.",
                Severity.SCORES, torn,
            )  # fmt: skip
        if torn := _torn({name: of for name, of in named.items() if len(of) < SHARE * len(evidence.examples)}):
            yield Problem(
                "sources-across-splits", "Files that seem to have one source, in more than one split",
                "If they have one, say so in a column called group: then they stay together.", Severity.ODD, torn,
            )  # fmt: skip

    def plant(self, evidence: Evidence) -> Evidence:
        number = next(n for n, example in enumerate(evidence.examples) if example.split == "test")
        return evidence.changed(0, group="camera 1", split="train").changed(number, group="camera 1")


def _torn(groups: dict[str, list[Example]]) -> tuple[Case, ...]:
    """Return the groups that lie in several splits, those first of which most is tested on."""
    cases = []
    for group, members in groups.items():
        splits = Counter(example.split for example in members)
        if len(splits) > 1:
            counted = ", ".join(f"{count} in {split}" for split, count in sorted(splits.items(), key=str))
            names = tuple(example.name for example in members)
            cases.append((splits["test"], Case(names, f"`{group}`: {counted}")))
    return tuple(case for _, case in sorted(cases, key=lambda pair: (-pair[0], pair[1].names)))


def _source(example: Example) -> str | None:
    """Return what a file's name says about where it comes from: a folder in its class, or `video7` of `video7_012`.

    A number after a name without one (`photo 12`) only counts.
    """
    if "text" in example.inputs:
        return None
    path = PurePosixPath(example.name)
    label = str(example.target)
    inside = path.parts[path.parts.index(label) + 1 : -1] if label in path.parts else ()
    if inside:
        return "/".join(inside)
    found = re.match(r"(.*\d.*?)[-_ .]+[a-z]*[-_ .]*\d+$", path.stem, re.IGNORECASE)
    return found[1] if found else None


check = GroupsAcrossSplits()
