"""Examples that are very much longer, shorter, larger or narrower than the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from headstart.checking.checks.contract import Case, Check, Problem, Severity
from headstart.checking.evidence import Evidence

FEWEST = 20  # examples, below which nothing is usual
DEVIATIONS = 6.0
FACTOR = 4.0


class ExtremeSizes(Check):
    name = "extreme-sizes"

    def find(self, evidence: Evidence) -> Iterator[Problem]:
        sizes = {name: size for name, size in _sizes(evidence) if size > 0}
        cases = _outliers(sizes, evidence) + _narrow(evidence)
        if cases:
            yield Problem(
                "extreme-sizes", "Very much longer, shorter, larger or narrower than the others",
                "Look whether they are what they should be: a crop may have gone wrong, or a book stand in a cell.",
                Severity.ODD, tuple(sorted(cases, key=lambda case: -case.score)),
            )  # fmt: skip

    def plant(self, evidence: Evidence) -> Evidence:
        first = evidence.examples[0]
        if evidence.dataset.kind == "text":
            return evidence.changed(0, inputs={"text": "word " * 10_000})
        return evidence.changed(0, sketch=replace(evidence.sketches[first.name], extent=(4000.0, 4000.0)))


def _sizes(evidence: Evidence) -> Iterator[tuple[str, float]]:
    """Yield how large each example is, by name: characters, seconds, or the longer side in pixels."""
    if evidence.dataset.kind == "text":
        yield from ((one.name, sum(len(str(text)) for text in one.inputs.values())) for one in evidence.examples)
    else:
        yield from ((name, max(sketch.extent)) for name, sketch in evidence.sketches.items())


def _outliers(sizes: dict[str, float], evidence: Evidence) -> list[Case]:
    """Return what lies far from the middle, in robust deviations of the logarithm and by a factor."""
    if len(sizes) < FEWEST:
        return []
    logs = np.log(np.array(list(sizes.values())))
    middle = float(np.median(logs))
    deviation = 1.4826 * float(np.median(np.abs(logs - middle)))
    limit = max(DEVIATIONS * deviation, float(np.log(FACTOR)))
    unit = {"text": "characters", "image": "pixels", "audio": "s"}[evidence.dataset.kind]
    usual = float(np.exp(middle))
    return [
        Case((name,), f"{size:,.3g} {unit}, the middle is {usual:,.3g}", 1 - limit / abs(float(log) - middle) / 2)
        for (name, size), log in zip(sizes.items(), logs, strict=True)
        if abs(log - middle) > limit
    ]


def _narrow(evidence: Evidence) -> list[Case]:
    """Return pictures that are five times as long as wide, of which a network sees a square."""
    if evidence.dataset.kind != "image":
        return []
    found = {name: max(s.extent) / max(min(s.extent), 1.0) for name, s in evidence.sketches.items()}
    usual = float(np.median(list(found.values()))) if found else 1.0
    return [
        Case((name,), f"{ratio:.3g} times as long as wide", 0.5)
        for name, ratio in found.items()
        if ratio > 5 and ratio > 2 * usual
    ]


check = ExtremeSizes()
