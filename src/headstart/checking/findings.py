"""What the checks found, for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from headstart.checking.checks.contract import Case, Problem
from headstart.checking.checks.exact_duplicates import ACROSS as EXACT_ACROSS
from headstart.checking.checks.label_errors import LABEL_SUSPECTS
from headstart.checking.checks.near_duplicates import ACROSS as NEAR_ACROSS
from headstart.data.dataset import Dataset
from headstart.types import SPLITS

LISTED = 20


@dataclass(frozen=True)
class Findings:
    """The problems of a data set, the worst first.

    Attributes:
        dataset: what was looked at. problems: none where all is well.
        backbone: whose vectors were looked at, or None. notes: what was not looked at, and why.
    """

    dataset: Dataset
    problems: tuple[Problem, ...]
    backbone: str | None = None
    notes: tuple[str, ...] = ()

    def problem(self, kind: str) -> Problem | None:
        """Return the problem of a kind, None where there is none."""
        return next((problem for problem in self.problems if problem.kind == kind), None)

    @property
    def duplicates_across_splits(self) -> tuple[Case, ...]:
        """Examples that are the same, or nearly, in more than one split."""
        found = (self.problem(kind) for kind in (EXACT_ACROSS, NEAR_ACROSS))
        return tuple(case for problem in found if problem for case in problem.cases)

    @property
    def label_suspects(self) -> tuple[Case, ...]:
        """Examples whose label is probably wrong, the surest first."""
        problem = self.problem(LABEL_SUSPECTS)
        return problem.cases if problem else ()

    @cached_property
    def _test(self) -> frozenset[str]:
        return frozenset(example.name for example in self.dataset.split("test"))

    def test_share(self, cases: Sequence[Case]) -> float | None:
        """Return the share of the test examples that these cases concern, None without a test split."""
        if not self._test:
            return None
        return len(self._test & {name for case in cases for name in case.names}) / len(self._test)

    def to_json(self) -> dict[str, Any]:
        """Return what `headstart check --json` prints."""
        split_of = {example.name: example.split for example in self.dataset.examples}
        sizes = Counter(split_of.values())
        across = self.duplicates_across_splits
        return {
            "examples": len(self.dataset.examples),
            "labels": list(self.dataset.labels),
            "splits": {split: sizes[split] for split in SPLITS},
            "problems": self.summary(),
            "duplicates_across_splits": [
                {
                    "examples": list(case.names),
                    "splits": [split_of[name] for name in case.names],
                    "similarity": case.score,
                }
                for case in across
            ],
            "label_suspects": [
                {"example": case.names[0], "suggestion": case.suggestion, "score": case.score, "note": case.note}
                for case in self.label_suspects
            ],
            "test_share": self.test_share(across),
        }

    def summary(self) -> list[dict[str, Any]]:
        """Return kind, count and some examples of each problem."""
        return [
            {"kind": problem.kind, "count": len(problem.cases), "examples": _some(problem.cases)}
            for problem in self.problems
        ]

    def for_record(self) -> dict[str, Any]:
        """Return the fields of a record that tell of the data."""
        across = self.duplicates_across_splits
        told = zip(self.problems, self.summary(), strict=True)
        return {
            "problems": [
                short | {"what": one.what, "advice": one.advice, "test_share": self.test_share(one.cases)}
                for one, short in told
            ],
            "duplicates_across_splits": {"count": len(across), "test_share": self.test_share(across)},
        }


def _some(cases: Sequence[Case]) -> list[str]:
    """Return the names of the examples of the first cases, each once."""
    return list(dict.fromkeys(name for case in cases[:LISTED] for name in case.names))[:LISTED]
