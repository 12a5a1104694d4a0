"""A label that can be told from the order of the examples, or from the dates of their files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from headstart.checking.checks.contract import Case, Check, Problem, Severity
from headstart.checking.evidence import Evidence
from headstart.types import Example

FEWEST = 30  # examples
SHARE = 0.9  # of examples with the label of the one before them
ABOVE = 0.25  # how much more that has to be than by chance
DAY_SECONDS = 86_400.0


class Order(Check):
    name = "order"
    kinds = ("text", "image", "audio")

    def find(self, evidence: Evidence) -> Iterator[Problem]:
        labelled = [example for example in evidence.examples if evidence.label(example) is not None]
        if len(labelled) < FEWEST:
            return
        order, what = labelled, "The rows are sorted by label"
        if evidence.dataset.kind != "text":
            order, what = _by_date(evidence, labelled), "The dates of the files tell the label"
        labels = [str(evidence.label(example)) for example in order]
        if order and _follows(labels):
            starts = [place for place in range(1, len(order)) if labels[place] != labels[place - 1]]
            cases = tuple(Case((order[at].name,), f"from here on `{labels[at]}`") for at in [0, *starts])
            yield Problem(
                "order-tells-label", what,
                "Harmless while the split is drawn by content, as headstart does; if the classes were collected at "
                "different times or places, light, device or wording may tell them apart instead of what you mean.",
                Severity.ODD, cases,
            )  # fmt: skip

    def plant(self, evidence: Evidence) -> Evidence:
        half = len(evidence.examples) // 2
        for number in range(len(evidence.examples)):
            evidence = evidence.changed(number, target="early" if number < half else "late")
        dates = {example.name: number * DAY_SECONDS for number, example in enumerate(evidence.examples)}
        return evidence if evidence.dataset.kind == "text" else replace(evidence, dates=dates)


def _follows(labels: Sequence[str]) -> bool:
    """Say whether the label of an example is nearly always that of the one before it."""
    same = sum(one == other for one, other in zip(labels, labels[1:], strict=False)) / (len(labels) - 1)
    chance = sum((count / len(labels)) ** 2 for count in Counter(labels).values())
    return len(set(labels)) > 1 and same >= SHARE and same - chance >= ABOVE


def _by_date(evidence: Evidence, examples: Sequence[Example]) -> list[Example]:
    """Return examples by the date of their files, nothing where those are of one day: then they were copied."""
    dates = evidence.dates
    dated = [example for example in examples if example.name in dates]
    found = [dates[example.name] for example in dated]
    if len(dated) < FEWEST or max(found) - min(found) < DAY_SECONDS:
        return []
    return sorted(dated, key=lambda example: dates[example.name])


check = Order()
